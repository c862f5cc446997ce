//! The sound of calls: one thread that runs only while a call does.

mod room;
mod socket;
mod thread;

pub(crate) use socket::{Sockets, bind};

use crate::audio::wake::{self, Wake};
use crate::audio::{Choices, Sound};
use crate::clock::Clock;
use hallway_model::{CallId, EventKind};
use hallway_proto::io::{Input, MediaPlan};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};

/// What the thread tells the driver.
#[derive(Debug)]
pub(crate) enum Report {
    /// For the engine.
    Input(Input),
    /// For the faces.
    Event(EventKind),
}

/// What the driver tells the thread.
enum Order {
    Start(CallId, Box<MediaPlan>),
    Candidates(CallId, Vec<SocketAddr>),
    Set {
        call: CallId,
        muted: bool,
        held: bool,
    },
    Stop(CallId),
    Choose(Choices),
}

/// The calls of a node, as the driver sees them.
pub(crate) struct Calls {
    sockets: Sockets,
    sound: Sound,
    clock: Clock,
    reports: tokio::sync::mpsc::UnboundedSender<Report>,
    calls: HashSet<CallId>,
    thread: Option<Running>,
}

struct Running {
    orders: Sender<Order>,
    wake: Wake,
}

impl Calls {
    /// No call yet, and no thread.
    pub(crate) fn new(
        sockets: Sockets,
        sound: Sound,
        clock: Clock,
        reports: tokio::sync::mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self {
            sockets,
            sound,
            clock,
            reports,
            calls: HashSet::new(),
            thread: None,
        }
    }

    /// Carries the sound of a call from now on.
    pub(crate) fn start(&mut self, call: CallId, plan: Box<MediaPlan>) {
        if self.thread.is_none() {
            match self.run() {
                Ok(running) => self.thread = Some(running),
                Err(error) => {
                    let why = format!("no thread for the sound of the call: {error}");
                    // A driver that is gone needs no report.
                    let _ = self
                        .reports
                        .send(Report::Input(Input::MediaFailed(call, why)));
                    return;
                }
            }
        }
        self.calls.insert(call);
        self.order(Order::Start(call, plan));
    }

    /// The peer may be reached there now.
    pub(crate) fn candidates(&self, call: CallId, candidates: Vec<SocketAddr>) {
        self.order(Order::Candidates(call, candidates));
    }

    /// What is to pass from now on.
    pub(crate) fn set(&self, call: CallId, muted: bool, held: bool) {
        self.order(Order::Set { call, muted, held });
    }

    /// Other devices may have been chosen.
    pub(crate) fn devices_chosen(&self) {
        self.order(Order::Choose(self.sound.choices()));
    }

    /// The call is over; with the last one the thread ends.
    pub(crate) fn stop(&mut self, call: CallId) {
        self.order(Order::Stop(call));
        self.calls.remove(&call);
        if self.calls.is_empty()
            && let Some(Running { orders, wake }) = self.thread.take()
        {
            drop(orders);
            wake.wake();
        }
    }

    fn order(&self, order: Order) {
        if let Some(Running { orders, wake }) = &self.thread {
            // A thread that has died has said so in the log.
            let _ = orders.send(order);
            wake.wake();
        }
    }

    fn run(&self) -> std::io::Result<Running> {
        let (wake, woken) = wake::pair()?;
        let (orders, received) = channel();
        let thread = thread::Thread::new(
            self.sockets.clone(),
            self.sound.clone(),
            self.clock,
            self.reports.clone(),
            (wake.clone(), woken),
            received,
        );
        std::thread::Builder::new()
            .name("voice".into())
            .spawn(move || thread.run())?;
        Ok(Running { orders, wake })
    }
}
