//! A call between two nodes, as people at their command lines have it.

use super::{Recording, Rooms, SAMPLE_RATE};
use crate::host::{Host, PATIENCE};
use serde_json::Value;
use std::time::Duration;

/// For the first word to be said, and after the last for what is still on its way.
const MARGIN: Duration = Duration::from_millis(1200);

/// A call that was answered. It goes on when this is dropped.
#[derive(Debug)]
pub struct Call<'a> {
    caller: &'a Host,
    callee: &'a Host,
}

impl<'a> Call<'a> {
    /// One calls, the other answers, and both can hear.
    #[track_caller]
    pub fn connect(caller: &'a Host, callee: &'a Host) -> Self {
        Self::ring(caller, callee);
        callee.cli(&["answer", "--json"]);
        for (host, other) in [(caller, callee), (callee, caller)] {
            host.until("the call is connected", PATIENCE, |host| {
                current(host, other).filter(|call| call["connected"] == true)
            });
        }
        Self { caller, callee }
    }

    /// One calls, and it rings at the other. Returns the call as the caller sees it.
    #[track_caller]
    pub fn ring(caller: &Host, callee: &Host) -> Value {
        caller.cli(&["call", callee.id(), "--detach", "--json"]);
        until_state(callee, caller, "ringing");
        until_state(caller, callee, "ringing")
    }

    /// The call as its two sides see it, the caller first.
    #[track_caller]
    pub fn views(&self) -> [Value; 2] {
        [(self.caller, self.callee), (self.callee, self.caller)].map(|(host, other)| {
            current(host, other).unwrap_or_else(|| panic!("there is no call any more"))
        })
    }

    /// The caller hangs up, and both have no call.
    #[track_caller]
    pub fn hang_up(self) {
        self.caller.cli(&["hang-up", "--json"]);
        until_over(self.caller, self.callee);
        until_over(self.callee, self.caller);
    }
}

/// Something is said on a host, and recorded until the last word is heard where that takes `delay`.
#[track_caller]
pub fn talk(rooms: &Rooms, host: usize, text: &[f32], delay: Duration) -> Recording {
    let recorder = rooms.record();
    let speaking = rooms.say(host, text);
    let length = Duration::from_secs(text.len() as u64) / SAMPLE_RATE;
    recorder.go_on(length + MARGIN + delay);
    drop(speaking);
    recorder.stop()
}

/// The calls of a host that are not over. `hallway calls` lists those of the past, too.
#[track_caller]
pub fn running(host: &Host) -> Vec<Value> {
    let mut calls = host.cli(&["calls", "--json"]);
    calls.retain(|call| call["direction"].is_string() && call["state"] != "ended");
    calls
}

/// The call of a host with another, if there is one.
#[track_caller]
pub fn current(host: &Host, other: &Host) -> Option<Value> {
    let mut calls = running(host).into_iter();
    calls.find(|call| call["peer"] == other.id())
}

/// Waits until the call of a host with another is in this state.
#[track_caller]
pub fn until_state(host: &Host, other: &Host, state: &str) -> Value {
    host.until(&format!("a call is {state}"), PATIENCE, |host| {
        current(host, other).filter(|call| call["state"] == state)
    })
}

/// Waits until a host has no call with another.
#[track_caller]
pub fn until_over(host: &Host, other: &Host) {
    host.until("the call is over", PATIENCE, |host| {
        current(host, other).is_none().then_some(())
    });
}
