//! The one way into a running node: ask, listen, read history.

use crate::audio::Devices;
use hallway_model::{Answer, Command, Event, Refusal};
use hallway_store::Reader;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// A request to the driver and where its answer goes.
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// The node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct NodeStopped;

/// Events from now on. A listener that falls [`EVENT_BACKLOG`] events behind is told so by
/// [`broadcast::error::RecvError::Lagged`] and can catch up with [`Reader::changes_since`].
pub type EventStream = broadcast::Receiver<Arc<Event>>;

/// Events kept for a slow listener.
pub(crate) const EVENT_BACKLOG: usize = 10_000;

/// A running node. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) reader: Reader,
    pub(crate) devices: Devices,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Handle {
    /// Runs a command. The outer error means that the node has stopped.
    pub async fn ask(&self, command: Command) -> Result<Result<Answer, Refusal>, NodeStopped> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .send(Request { command, answer })
            .await
            .map_err(|_| NodeStopped)?;
        answered.await.map_err(|_| NodeStopped)
    }

    /// Every event from now on.
    pub fn events(&self) -> EventStream {
        self.events.subscribe()
    }

    /// History and search. Its calls read the disk: run them off the reactor.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The sound devices. Its calls ask the system: run them off the reactor.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Asks the node to say goodbye and stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves once [`Handle::stop`] was called.
    pub async fn stopping(&self) {
        let mut stop = self.stop.subscribe();
        // An error means that the last handle is gone, which is a stop too.
        let _ = stop.wait_for(|stopping| *stopping).await;
    }

    /// Resolves once the node has said goodbye and its data directory is free.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the node is gone, which is stopped too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}
