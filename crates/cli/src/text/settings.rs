//! Words about what a person chooses, and about whom.

pub(crate) mod help {
    pub(crate) const SETTINGS: &str = "Show what you have chosen about the node, or change it";
    pub(crate) const SETTINGS_AFTER: &str = "\
What is chosen here counts more than config.toml, and is kept.

Examples:
  hallway settings
  hallway settings --read-receipts off
  hallway settings --downloads ~/Desktop --accept 500MB
  hallway settings --add-peer 192.168.7.20     connected now and at every start
  hallway settings --remove-peer 192.168.7.20  no longer";
    pub(crate) const SETTINGS_ACCEPT: &str =
        "Take files of contacts up to this size unasked; 0 asks about each";
    pub(crate) const SETTINGS_RECEIPTS: &str = "Whether others are told what you have read";
    pub(crate) const SETTINGS_DOWNLOADS: &str = "Put files that arrive into this folder";
    pub(crate) const SETTINGS_ADD_PEER: &str = "Stay connected with this address";
    pub(crate) const SETTINGS_REMOVE_PEER: &str = "No longer, as `hallway settings` shows it";
    pub(crate) const NOTIFY: &str = "Say whether a peer's messages are notified, or change that";
    pub(crate) const NOTIFY_AFTER: &str = "\
Busy silences everybody: `hallway set-status busy`.

Examples:
  hallway notify Bo                  is it?
  hallway notify Bo off
  hallway notify Bo on";
    pub(crate) const NOTIFY_SWITCH: &str = "Whether they shall; without this, whether they are";
}

pub(crate) fn receipts(told: bool) -> &'static str {
    if told {
        "others are told what you have read"
    } else {
        "nobody is told what you have read"
    }
}

pub(crate) fn no_static_peer(address: &str) -> String {
    format!("{address} was not chosen; `hallway settings` lists the addresses that were")
}

pub(crate) fn notified(name: &str, notified: bool) -> String {
    match notified {
        true => format!("what {name} writes is notified"),
        false => format!("nothing of {name} is notified"),
    }
}

pub(crate) fn no_request(name: &str) -> String {
    format!("{name} waits for no decision; `hallway forget` removes whoever you know")
}

pub(crate) const FORGET_NEEDS_YES: &str =
    "nobody can be asked here whether that is meant; say so with --yes";
