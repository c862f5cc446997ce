//! Events for the faces: messages become views here, off the driver's path.

use hallway_model::{
    Body, ConversationId, Delivery, Event, EventKind, Message, MessageView, PeerId,
};
use hallway_store::Reader;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};

/// What the driver has to tell.
pub(crate) enum News {
    /// Something happened.
    Event(EventKind),
    /// A message is new on disk.
    Added { message: Box<Message>, change: u64 },
}

/// Turns news into events, in order, for as long as the driver lives.
pub(crate) async fn publish(
    mut news: mpsc::UnboundedReceiver<News>,
    events: broadcast::Sender<Arc<Event>>,
    reader: Reader,
    me: PeerId,
    mut last_change: u64,
) {
    while let Some(news) = news.recv().await {
        let kind = match news {
            News::Event(kind) => kind,
            News::Added { message, change } => {
                last_change = last_change.max(change);
                if events.receiver_count() == 0 {
                    continue;
                }
                match view_of(message, change, &reader, me).await {
                    Some((message, new)) => EventKind::Message {
                        message: Box::new(message),
                        new,
                    },
                    None => continue,
                }
            }
        };
        // Nobody listening is no error.
        let _ = events.send(Arc::new(Event {
            event: last_change,
            kind,
        }));
    }
}

/// The message to show: the new one, or the one that it changes, as the disk has it now.
async fn view_of(
    message: Box<Message>,
    change: u64,
    reader: &Reader,
    me: PeerId,
) -> Option<(MessageView, bool)> {
    let author = Some(message.author);
    let (author, id, new) = match &message.body {
        Body::Text { reply_to: None, .. } => return Some((plain_view(*message, change, me), true)),
        Body::Text {
            reply_to: Some(_), ..
        }
        | Body::Call(_)
        | Body::Offer(_)
        | Body::Unknown { .. } => (author, message.id, true),
        Body::Edit { target, .. } | Body::Delete { target } => (author, *target, false),
        Body::Reaction(reaction) => (None, reaction.target, false),
    };
    let reader = reader.clone();
    let read = tokio::task::spawn_blocking(move || reader.message(author.as_ref(), &id));
    match read.await {
        Ok(Ok(stored)) => stored.map(|stored| (stored.view(&me), new)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not read a message back");
            None
        }
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The view of a plain text that has just been stored: nothing can have changed it yet.
fn plain_view(message: Message, change: u64, me: PeerId) -> MessageView {
    let other = match message.conversation {
        ConversationId::Peer(peer) => peer,
        ConversationId::Group(_) => message.author,
    };
    let own = message.author == me;
    MessageView {
        id: message.id.to_string(),
        from: message.author,
        to: if own { other } else { me },
        seq: message.seq,
        kind: "text".into(),
        text: match message.body {
            Body::Text { text, .. } => Some(text),
            Body::Edit { .. }
            | Body::Delete { .. }
            | Body::Reaction(_)
            | Body::Call(_)
            | Body::Offer(_)
            | Body::Unknown { .. } => None,
        },
        call: None,
        file: None,
        state: if own {
            Delivery::Queued
        } else {
            Delivery::Delivered
        },
        at: message.at,
        reply_to: None,
        edited: false,
        deleted: false,
        reactions: Vec::new(),
        change,
    }
}
