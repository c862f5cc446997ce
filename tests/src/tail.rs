//! The events of a node, as they come.

use crate::lab::Process;
use serde_json::Value;
use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The events of a node.
#[derive(Debug)]
pub struct Tail {
    _process: Option<Process>,
    events: Receiver<Value>,
    seen: Vec<Value>,
}

impl Tail {
    /// What these lines tell, which come from this process if there is one.
    pub(crate) fn of(lines: impl BufRead + Send + 'static, process: Option<Process>) -> Self {
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.lines().map_while(io::Result::ok) {
                let event = serde_json::from_str(&line)
                    .unwrap_or_else(|e| panic!("hallway tail: {e}: {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            _process: process,
            events,
            seen: Vec::new(),
        }
    }

    /// Waits for an event that fits and returns it; those before it are passed over.
    #[track_caller]
    pub fn wait_for(&mut self, mut fits: impl FnMut(&Value) -> bool, within: Duration) -> Value {
        let end = Instant::now() + within;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Some(event) if fits(&event) => return event,
                Some(_) => {}
                None => panic!("no such event in {within:?}, only {:#?}", self.seen),
            }
        }
    }

    /// Waits for the next event; `None` when there is none in this time.
    #[track_caller]
    pub fn next(&mut self, within: Duration) -> Option<Value> {
        match self.events.recv_timeout(within) {
            Ok(event) => {
                self.seen.push(event.clone());
                Some(event)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("hallway tail ended; it had told {:#?}", self.seen)
            }
        }
    }

    /// All events so far that were waited for or passed over.
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }
}
