//! One sender and many receivers of the same file.

use crate::files::{downloads, is_same, noise, outbox, until_state};
use crate::host::Host;
use crate::lab::Lan;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// See the module. The receivers know the sender, and need not know each other.
pub struct Crowd {
    /// Host 0 is the sender's.
    pub lan: Lan,
    /// The sender.
    pub ann: Host,
    /// On the hosts from 1 on.
    pub receivers: Vec<Host>,
}

impl Crowd {
    /// With so many receivers, all of them contacts of the sender.
    pub fn of(receivers: usize) -> Self {
        let lan = Lan::of(receivers + 1);
        let ann = Host::start(&lan, 0, "Ann");
        let receivers: Vec<Host> = (1..=receivers)
            .map(|host| Host::start(&lan, host, &format!("Bo{host}")))
            .collect();
        receivers.iter().for_each(|bo| ann.befriend(bo));
        Self {
            lan,
            ann,
            receivers,
        }
    }

    /// The file that is sent.
    pub fn source(&self) -> PathBuf {
        outbox(&self.ann).join("disk.img")
    }

    /// Offers a file of so many bytes to these with one command; the transfers, in this order.
    #[track_caller]
    pub fn offer(&self, bytes: usize, to: &[usize]) -> Vec<String> {
        let path = self.source();
        fs::write(&path, noise(bytes, 1)).expect("there is room");
        let path = path.to_str().expect("a plain name");
        let mut args = vec!["send", "--json", "--file", path];
        args.extend(to.iter().map(|to| self.receivers[*to].id()));
        let offered = self.ann.cli(&args);
        let of = |to: &usize| {
            let meant = |one: &&Value| one["peer"] == self.receivers[*to].id();
            let one = offered.iter().find(meant).expect("it is offered to each");
            one["id"].as_str().expect("it has an id").to_owned()
        };
        to.iter().map(of).collect()
    }

    /// Waits until both sides say that a receiver has all of it, and looks.
    #[track_caller]
    pub fn until_done(&self, to: usize, id: &str) {
        let receiver = &self.receivers[to];
        until_state(receiver, id, "done");
        until_state(&self.ann, id, "done");
        let place = downloads(receiver).join("disk.img");
        assert!(
            is_same(&self.source(), &place),
            "{} differs",
            place.display()
        );
    }
}
