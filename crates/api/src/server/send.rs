//! Sending, and waiting for how far the message comes.

use super::request::Body as JsonBody;
use super::{Result, ask, off_the_reactor, state_on_disk, this_node, unexpected, unreadable};
use crate::caller::Caller;
use crate::problem::ProblemView;
use crate::schema::{SendRequest, SendView};
use axum::Json;
use axum::extract::State;
use hallway_model::{
    Answer, Body, Command, ConversationId, Delivery, EventKind, MessageId, Problem, Reaction,
    Refusal,
};
use hallway_node::{EventStream, Handle};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Waiting time when the request names none.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// Longest waiting time: a connection that nobody remembers must end some time.
const WAIT_MAX: Duration = Duration::from_hours(1);

pub(super) async fn send(
    State(node): State<Handle>,
    caller: Caller,
    JsonBody(request): JsonBody<SendRequest>,
) -> Result<Json<SendView>> {
    let wanted = request.wait.unwrap_or(Delivery::Queued);
    let patience = patience(request.timeout_ms);
    let body = body_of(&request)?;
    let to = ConversationId::Peer(caller.resolve(&node, &request.to).await?.id);
    caller.check_body(&body)?;
    check_target(&node, to, &body).await?;
    // Listen before sending: the answer of a fast peer must not be missed.
    let events = node.events();
    let client_id = request.client_id.map(|id| caller.client_id(id));
    let repeatable = client_id.is_some();
    let sent = ask(
        &node,
        Command::Send {
            to,
            body,
            client_id,
        },
    )
    .await?;
    let Answer::Sent { id, to, mut state } = sent else {
        return Err(unexpected());
    };
    if repeatable {
        // A repeated request means a message that may have come far before.
        let me = this_node(&node).await?.id;
        let on_disk = state_on_disk(&node, me, id).await;
        state = on_disk.unwrap_or(state).max(state);
    }
    let progress = follow(&node, events, id, &mut state, wanted);
    // The time being over is no fault: the reply says how far it came.
    let _ = tokio::time::timeout(patience, progress).await;
    Ok(Json(SendView { id, to, state }))
}

fn patience(timeout_ms: Option<u64>) -> Duration {
    let wanted = timeout_ms.map_or(WAIT_DEFAULT, Duration::from_millis);
    wanted.min(WAIT_MAX)
}

/// Keeps `state` at how far the message has come, until that is `wanted`.
async fn follow(
    node: &Handle,
    mut events: EventStream,
    message: MessageId,
    state: &mut Delivery,
    wanted: Delivery,
) {
    let id_text = message.to_string();
    while *state < wanted {
        let next = tokio::select! {
            next = events.recv() => next,
            () = node.stopping() => return,
        };
        match next {
            Ok(event) => {
                if let EventKind::State { id, state: now, .. } = &event.kind
                    && *id == id_text
                {
                    *state = (*now).max(*state);
                }
            }
            Err(RecvError::Lagged(_)) => {
                let Ok(status) = this_node(node).await else {
                    return;
                };
                let on_disk = state_on_disk(node, status.id, message).await;
                *state = on_disk.unwrap_or(*state).max(*state);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// What is answered, changed or reacted to must be in this talk, and only the author changes it.
async fn check_target(node: &Handle, to: ConversationId, body: &Body) -> Result<()> {
    let (target, own) = match body {
        Body::Text {
            reply_to: Some(target),
            ..
        } => (*target, false),
        Body::Edit { target, .. } | Body::Delete { target } => (*target, true),
        Body::Reaction(reaction) => (reaction.target, false),
        Body::Text { reply_to: None, .. }
        | Body::Call(_)
        | Body::Offer(_)
        | Body::Unknown { .. } => return Ok(()),
    };
    let author = if own {
        Some(this_node(node).await?.id)
    } else {
        None
    };
    let reader = node.reader().clone();
    let read = move || reader.message(author.as_ref(), &target).map_err(unreadable);
    let found = off_the_reactor(read).await?;
    if found.is_some_and(|found| found.message.conversation == to) {
        return Ok(());
    }
    let whose = if own {
        "you have written no message"
    } else {
        "there is no message"
    };
    let detail = format!("{whose} {target} in this talk; `hallway log --ids` shows the ids");
    Err(ProblemView::refused(&Refusal::new(
        Problem::NoSuchMessage,
        detail,
    )))
}

fn body_of(request: &SendRequest) -> Result<Body> {
    let SendRequest {
        text,
        reply_to,
        edit,
        delete,
        reaction,
        ..
    } = request;
    match (text, reply_to, edit, delete, reaction) {
        (Some(text), reply_to, None, None, None) => Ok(Body::Text {
            text: text.clone(),
            reply_to: *reply_to,
        }),
        (Some(text), None, Some(target), None, None) => Ok(Body::Edit {
            target: *target,
            text: text.clone(),
        }),
        (None, None, None, Some(target), None) => Ok(Body::Delete { target: *target }),
        (None, None, None, None, Some(reaction)) => Ok(Body::Reaction(Reaction {
            target: reaction.target,
            emoji: reaction.emoji.clone(),
            on: reaction.on,
        })),
        _ => Err(ProblemView::bad_request(
            "a message is one of: `text`, `text` with `reply_to`, `text` with `edit`, `delete`, \
             `reaction`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_ever() {
        assert_eq!(patience(None), Duration::from_secs(10));
        assert_eq!(patience(Some(0)), Duration::ZERO);
        assert_eq!(patience(Some(3_600_000)), WAIT_MAX);
        assert_eq!(patience(Some(3_600_001)), WAIT_MAX);
        assert_eq!(patience(Some(u64::MAX)), WAIT_MAX);
    }
}
