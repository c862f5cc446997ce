//! Two nodes in this process, each on a host of its own, in a session with each other.

use crate::place::{End, Link};
use anyhow::{Context, bail};
use hallway_model::{
    Answer, Body, Command, ConversationId, Delivery, EventKind, MessageId, Name, PeerId,
};
use hallway_node::home::Home;
use hallway_node::keys::{self, KeyStore};
use hallway_node::{EventStream, Handle, NodeConfig};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Far more than anything here takes, so that only what hangs is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The node on host 0, and whom it is in a session with.
pub(crate) struct Near {
    pub(crate) handle: Handle,
    pub(crate) peer: PeerId,
}

/// Runs a job beside the node on host 0, on its runtime, as a face inside the process would run.
pub(crate) fn with_pair<T: Send>(
    link: &Link<'_>,
    folder: &Path,
    keep_history: bool,
    job: impl AsyncFnOnce(Near) -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let far = start_far(link, &folder.join("far"), keep_history)?;
    let done = link.lan.inside(0, || {
        link.place.take(End::Near)?;
        runtime()?.block_on(async {
            let (handle, _) = start(&folder.join("near"), "Ann", keep_history).await?;
            let peer = connect(&handle, SocketAddr::new(link.lan.ipv4(1), far.port)).await?;
            let done = job(Near {
                handle: handle.clone(),
                peer,
            })
            .await;
            stop(&handle).await?;
            done
        })
    });
    runtime()?.block_on(stop(&far.handle))?;
    done
}

struct Far {
    handle: Handle,
    port: u16,
}

/// A node on host 1 that runs on a thread of its own until it is stopped.
fn start_far(link: &Link<'_>, folder: &Path, keep_history: bool) -> anyhow::Result<Far> {
    let folder = folder.to_owned();
    let (started, far) = mpsc::channel();
    let run = move || -> anyhow::Result<()> {
        runtime()?.block_on(async {
            let node = start(&folder, "Ben", keep_history).await;
            let handle = node.as_ref().ok().map(|(handle, _)| handle.clone());
            started.send(node.map(|(handle, port)| Far { handle, port }))?;
            if let Some(handle) = handle {
                handle.stopped().await;
            }
            Ok(())
        })
    };
    link.lan.inside(1, || {
        link.place.take(End::Far)?;
        thread::spawn(run);
        anyhow::Ok(())
    })?;
    far.recv().context("the node on host 1 did not start")?
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn start(folder: &Path, name: &str, keep_history: bool) -> anyhow::Result<(Handle, u16)> {
    let home = Home::create(Some(folder))?;
    let lock = home.lock()?;
    let secrets = keys::load_or_create(&lock, Some(KeyStore::File), |_| None)?.secrets;
    let name = Name::new(name)?;
    let config = NodeConfig {
        home,
        lock,
        secrets,
        device: name.clone(),
        name,
        rename: None,
        port: Some(0),
        mdns: false,
        peers: Vec::new(),
        read_receipts: true,
        accept_all: true,
        downloads: None,
        accept_files_bytes: 0,
        files_bytes_per_second: None,
        aes: true,
        sound: hallway_node::audio::Source::default(),
        auto_answer: false,
        keep_history,
        version: env!("CARGO_PKG_VERSION"),
    };
    let handle = hallway_node::start(config).await?;
    let answer = handle.ask(Command::Status).await??;
    let Answer::Status(status) = answer else {
        bail!("no status but {answer:?}")
    };
    Ok((handle, status.port))
}

async fn connect(handle: &Handle, address: SocketAddr) -> anyhow::Result<PeerId> {
    let answer = handle.ask(Command::Connect(vec![address])).await??;
    let Answer::Peer(peer) = answer else {
        bail!("no peer but {answer:?}")
    };
    Ok(peer.id)
}

async fn stop(handle: &Handle) -> anyhow::Result<()> {
    handle.stop();
    timeout(PATIENCE, handle.stopped())
        .await
        .context("a node does not stop")
}

impl Near {
    /// Sends a text and returns once it is in the outbox.
    pub(crate) async fn send(&self, text: &str) -> anyhow::Result<MessageId> {
        let body = Body::Text {
            text: text.into(),
            reply_to: None,
        };
        let to = ConversationId::Peer(self.peer);
        let answer = self
            .handle
            .ask(Command::Send {
                to,
                body,
                client_id: None,
            })
            .await??;
        let Answer::Sent { id, .. } = answer else {
            bail!("not sent but {answer:?}")
        };
        Ok(id)
    }
}

/// The id of the next message that is told to be delivered.
pub(crate) async fn next_delivered(events: &mut EventStream) -> anyhow::Result<String> {
    let delivered = async {
        loop {
            let event = events.recv().await?;
            if let EventKind::State { id, state, .. } = &event.kind
                && *state == Delivery::Delivered
            {
                return anyhow::Ok(id.clone());
            }
        }
    };
    timeout(PATIENCE, delivered)
        .await
        .context("a message is not delivered")?
}
