//! A test contact: a second node that answers each text with the same text.

use super::Context;
use super::up::{Node, log_to_stderr, node_config};
use crate::args::NetworkArgs;
use crate::failure::Result;
use crate::text;
use hallway_api::{Client, ClientError, ConnectRequest, Feed};
use hallway_model::{Body, Command, ConversationId, EventKind, MessageView, Name};
use hallway_node::config::Config;
use hallway_node::home::{Home, write_atomic};
use hallway_node::keys::{self, KeyStore};
use hallway_node::{Handle, NodeConfig};
use std::path::PathBuf;
use std::time::Duration;

/// The name it is seen by.
const NAME: &str = "Echo";

/// Wait before looking for the person's own node again: soon enough after they start it.
const INTRODUCE_EVERY: Duration = Duration::from_secs(1);

/// Longest wait after that node was there and did not take to the introduction.
const INTRODUCE_LATER: Duration = Duration::from_mins(1);

pub(super) async fn echo(cx: &Context<'_>, network: NetworkArgs) -> Result {
    let owner = cx.client()?;
    let home = Home::create(Some(&cx.home()?.path().join("echo"))).map_err(anyhow::Error::from)?;
    let config = Config::load(&home).map_err(anyhow::Error::from)?;
    log_to_stderr(&network, &config)?;
    let lock = home.lock().map_err(anyhow::Error::from)?;
    // It has no secret worth a question to the person.
    let loaded = keys::load_or_create(&lock, Some(KeyStore::File), |_| None);
    let secrets = loaded.map_err(anyhow::Error::from)?.secrets;
    let answered = home.path().join("answered");
    let config = NodeConfig {
        name: Name::new(NAME).map_err(anyhow::Error::from)?,
        accept_all: true,
        downloads: None,
        accept_files_bytes: 0,
        sound: hallway_node::audio::Source::Parrot,
        auto_answer: true,
        ..node_config(lock, secrets, config, &network)
    };
    let node = Node::start(config, false).await?;
    let port = node.status().await?.port;
    node.announce(cx).await?;
    cx.out.note(&text::try_echo(NAME));
    let answering = tokio::spawn(answer_all(node.handle.clone(), answered));
    let introducing = tokio::spawn(introduce(owner, port));
    let ran = node.run().await;
    answering.abort();
    introducing.abort();
    ran
}

/// Tells the person's node where this one is, so that they meet without multicast, too.
async fn introduce(owner: Client, port: u16) {
    let here = ConnectRequest {
        address: format!("127.0.0.1:{port}"),
    };
    let mut wait = INTRODUCE_EVERY;
    loop {
        match owner.connect(&here).await {
            Ok(_) => return,
            Err(ClientError::NotRunning { .. }) => wait = INTRODUCE_EVERY,
            Err(error) => {
                tracing::warn!(%error, "could not introduce this node to yours");
                wait = (wait * 2).min(INTRODUCE_LATER);
            }
        }
        tokio::time::sleep(wait).await;
    }
}

/// Answers from where it left off. A text that is met twice gets one answer all the same: the
/// answer's `client_id` is made of the text's id.
async fn answer_all(node: Handle, answered: PathBuf) {
    let since = std::fs::read_to_string(&answered)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let Ok(mut feed) = Feed::open(node.clone(), Some(since.unwrap_or(0))).await else {
        return;
    };
    while let Some(event) = feed.next().await {
        if let EventKind::Message { message, new: true } = event.kind
            && message.to == feed.me()
            && answer(&node, &message).await
            && let Err(error) = write_atomic(&answered, event.event.to_string().as_bytes())
        {
            tracing::warn!(%error, "cannot note what was answered");
        }
    }
}

/// Whether the answer is safe on disk.
async fn answer(node: &Handle, message: &MessageView) -> bool {
    let Some(text) = message.text.clone() else {
        return true;
    };
    let body = Body::Text {
        text,
        reply_to: None,
    };
    let to = ConversationId::Peer(message.from);
    let client_id = Some(message.id.clone());
    // A refusal, as of somebody blocked, is an end of it, too.
    node.ask(Command::MarkRead(message.from, message.seq))
        .await
        .is_ok()
        && node
            .ask(Command::Send {
                to,
                body,
                client_id,
            })
            .await
            .is_ok()
}
