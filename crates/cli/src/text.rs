//! Every word a person reads, in one place, so that another language is another such file.

use hallway_model::{
    CallDirection, CallQuality, CallState, CallView, Delivery, Outcome, Presence, Status,
};
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

mod desktop;
mod files;
mod settings;
mod start;
mod tokens;

pub(crate) use desktop::desktop;
pub(crate) use files::*;
pub(crate) use hallway_tui::call_record;
pub(crate) use hallway_tui::format::{bytes, percent, talked};
pub(crate) use settings::*;
pub(crate) use start::*;
pub(crate) use tokens::*;

/// What `--help` says.
pub(crate) mod help {
    pub(crate) use super::settings::help::*;
    pub(crate) use super::tokens::help::*;

    pub(crate) const ABOUT: &str = "Talk to the people on your network, without a server";
    pub(crate) const LONG_ABOUT: &str = "\
Talk to the people on your network, without a server.

`hallway` alone starts your node in the background if it does not run yet, and opens its page, or \
the terminal app where there is no desktop. `hallway up` runs the node in the foreground; all other \
commands speak with it. A peer is named by a name, a tag (four characters), an id, or name~tag \
where two have one name.";
    pub(crate) const AFTER: &str = "\
Exit codes:
  0  done
  1  anything not listed here
  2  the command line is wrong
  3  the node is not running
  4  refused: blocked, not verified, a call declined, or a name that more than one peer has
  5  queued, but not delivered; or not there to be called
  6  timed out

Examples:
  hallway                            start, and open the page
  hallway up --name Ann              run your node, and be seen as Ann
  hallway peers                      who is here
  hallway send Bo 'Lunch at noon?'   write to Bo
  hallway log Bo                     what you and Bo wrote
  hallway echo                       a test contact, to try everything alone";

    pub(crate) const EVERYWHERE: &str = "Options of every command";
    pub(crate) const HOME: &str = "Folder of the node's data; one node runs in each";
    pub(crate) const JSON: &str = "Print JSON: one object, or one on each line";
    pub(crate) const LOG: &str = "What to log to stderr: off, error, warn, info (without this), \
                                  debug, trace, or a level for a part: warn,hallway_node=debug";

    pub(crate) const UP: &str = "Run your node in the foreground, until Ctrl-C or `hallway stop`";
    pub(crate) const UP_AFTER: &str = "\
Examples:
  hallway up --name Ann
  hallway up --key-store passphrase --passphrase-file ~/.secret
  hallway up --home /tmp/b --port 0 --no-mdns
  hallway up --json | head -1        one line of JSON as soon as the node is ready";
    pub(crate) const UP_NAME: &str = "The name others see; it is kept for the next time";
    pub(crate) const UP_INPUT: &str = "The microphone of calls for this run: its name, or a part of \
                                       it; see `hallway devices`";
    pub(crate) const UP_OUTPUT: &str = "The speaker of calls for this run";
    pub(crate) const UP_NO_WEB: &str = "Serve no page for a browser on this computer";
    pub(crate) const OPEN: &str = "Open the page: people, talks, calls and files in a window";
    pub(crate) const OPEN_AFTER: &str = "\
Examples:
  hallway open                       a window of its own, or your browser
  hallway open Bo                    the talk with Bo
  hallway open --print               the address, good once and for a minute";
    pub(crate) const OPEN_PEER: &str = "Show the talk with this peer";
    pub(crate) const OPEN_PRINT: &str = "Print the address instead of opening it";
    pub(crate) const TUI: &str = "Open the terminal app: people, talks, calls and files";
    pub(crate) const TUI_AFTER: &str = "\
F1 in it lists its keys and commands. While it has the mouse, Shift selects text.

Examples:
  hallway tui
  hallway tui --theme light --language zh
  ssh -t office hallway tui --no-mouse";
    pub(crate) const TUI_NO_MOUSE: &str = "Leave the mouse to the terminal";
    pub(crate) const TUI_THEME: &str = "Its colours; without this dark, or none where there is no \
                                        colour";
    pub(crate) const TUI_LANGUAGE: &str = "Its language; without this as LANG says";
    pub(crate) const PORT: &str = "TCP and UDP port; 0 for any. Without this: 42550, or another \
                                   when that is taken";
    pub(crate) const KEY_STORE: &str = "Keep the secret keys there, or move them there";
    pub(crate) const KEY_STORE_AUTO: &str = "the keyring if there is one, else a file";
    pub(crate) const KEY_STORE_KEYRING: &str = "the keyring of your desktop";
    pub(crate) const KEY_STORE_FILE: &str = "a file that only you can read";
    pub(crate) const KEY_STORE_PASSPHRASE: &str = "a file behind a passphrase, asked for at start";
    pub(crate) const PASSPHRASE_FILE: &str = "Read the passphrase from this file, not the terminal";
    pub(crate) const NO_MDNS: &str = "Neither announce this node nor look for others";

    pub(crate) const STOP: &str = "Stop the node, and wait until it is gone";
    pub(crate) const STOP_AFTER: &str = "\
Examples:
  hallway stop
  hallway stop --timeout 60 && cp -r ~/.local/share/hallway /backup";
    pub(crate) const STOP_TIMEOUT: &str = "Give up waiting after so many seconds";
    pub(crate) const STATUS: &str = "Show the node: name, port, addresses, sessions, what is wrong";
    pub(crate) const STATUS_AFTER: &str = "\
Examples:
  hallway status
  hallway status --json | jq .sessions";
    pub(crate) const ID: &str = "Print your id";
    pub(crate) const ID_AFTER: &str = "\
Examples:
  hallway id                         what others may check you by";
    pub(crate) const NAME: &str = "Print your name, or take a new one";
    pub(crate) const NAME_AFTER: &str = "\
Examples:
  hallway name
  hallway name 'Bo Li'";
    pub(crate) const NAME_NEW: &str = "The new name: up to 64 bytes, about 21 Chinese characters";
    pub(crate) const SET_STATUS: &str = "Tell others whether you are there";
    pub(crate) const SET_STATUS_AFTER: &str = "\
Examples:
  hallway set-status away
  hallway set-status available";
    pub(crate) const SET_STATUS_STATUS: &str = "What to tell";

    pub(crate) const PEERS: &str = "List who is here, and whom you know";
    pub(crate) const PEERS_AFTER: &str = "\
With --watch and --json, {\"id\":…,\"gone\":true} is somebody who is not known any more.

Examples:
  hallway peers
  hallway peers --watch
  hallway peers --json | jq -r 'select(.state == \"live\") | .name'";
    pub(crate) const PEERS_WATCH: &str = "Then go on, with a line for each change";
    pub(crate) const CONNECT: &str = "Connect to an address, for networks without multicast";
    pub(crate) const CONNECT_AFTER: &str = "\
Examples:
  hallway connect 192.168.1.7
  hallway connect build-host.lan:42551
  hallway connect '[fe80::1%eth0]:42550'";
    pub(crate) const CONNECT_ADDRESS: &str = "HOST or HOST:PORT; the port is 42550 without one";

    pub(crate) const SEND: &str = "Send a message, or change one";
    pub(crate) const SEND_AFTER: &str = "\
Without --wait it waits up to two seconds for delivery when the peer is here, and not at all
when they are away: the message then goes out when they come back.

Examples:
  hallway send Bo 'Lunch at noon?'
  uptime | hallway send Bo
  hallway send Bo~k3fa hello --wait delivered --timeout 30
  hallway send Bo 'yes' --reply 5d0c…      answer a message; `log --ids` shows the ids
  hallway send Bo --react 5d0c… 👍
  hallway send Bo --file report.pdf
  hallway send Bo --file photos/ --wait delivered      with a bar, until Bo has all of it";
    pub(crate) const PEER: &str = "A name, a tag, an id, or name~tag";
    pub(crate) const SEND_TEXT: &str = "The text; `-`, or nothing at the end of a pipe, for stdin";
    pub(crate) const SEND_FILE: &str = "Send this file or folder; further words are further peers";
    pub(crate) const FILES: &str = "List the files that come and go, or decide about one";
    pub(crate) const FILES_AFTER: &str = "\
An id may be cut to what no other begins with.

Examples:
  hallway send Bo --file report.pdf
  hallway send --file disk.img Bo Cy Di    each also passes on what it has
  hallway files
  hallway files accept 5d0c --to ~/Desktop
  hallway files watch                bars, until Ctrl-C
  hallway files open 5d0c
  hallway files pause 5d0c
  hallway files limit 500MB          take what contacts send up to this size unasked

They go to the usual folder, or to the one that `hallway settings --downloads` names;
`files_kb_per_second` in config.toml in the home holds back all that leaves.";
    pub(crate) const FILES_ACCEPT: &str = "Take what is offered";
    pub(crate) const FILES_ACCEPT_AFTER: &str = "\
Examples:
  hallway files accept 5d0c
  hallway files accept 5d0c --to ~/Desktop";
    pub(crate) const FILES_DECLINE: &str = "Do not take what is offered";
    pub(crate) const FILES_DECLINE_AFTER: &str = "\
Examples:
  hallway files decline 5d0c";
    pub(crate) const FILES_PAUSE: &str = "Hold a transfer for now";
    pub(crate) const FILES_PAUSE_AFTER: &str = "\
Examples:
  hallway files pause 5d0c";
    pub(crate) const FILES_RESUME: &str = "Go on with it";
    pub(crate) const FILES_RESUME_AFTER: &str = "\
Examples:
  hallway files resume 5d0c";
    pub(crate) const FILES_CANCEL: &str = "Give it up, and remove what has come of it";
    pub(crate) const FILES_CANCEL_AFTER: &str = "\
Examples:
  hallway files cancel 5d0c";
    pub(crate) const FILES_LIMIT: &str =
        "Say up to which size files of contacts are taken unasked, or set it";
    pub(crate) const FILES_LIMIT_AFTER: &str = "\
What strangers offer always waits for your answer.

Examples:
  hallway files limit
  hallway files limit 2GB
  hallway files limit 0              ask about each";
    pub(crate) const FILES_LIMIT_SIZE: &str = "A size such as 500MB or 2GB; 0 asks about each file";
    pub(crate) const FILES_WATCH: &str = "Follow transfers until they are over; Ctrl-C leaves them";
    pub(crate) const FILES_WATCH_AFTER: &str = "\
Without an ID it follows all there are and all that come, until Ctrl-C, which ends no transfer.
On a terminal there is a bar for each; otherwise a line for each change.

Examples:
  hallway files watch
  hallway files watch 5d0c
  hallway files watch 5d0c --json | jq .moved";
    pub(crate) const FILES_WATCH_ID: &str = "Only these; they may be cut, too";
    pub(crate) const FILES_OPEN: &str = "Open what has arrived with the program for it";
    pub(crate) const FILES_OPEN_AFTER: &str = "\
Pictures, sound, video, documents and archives are opened, and folders. Programs are not, nor
anything that could be one: for those look at the folder, with --folder.

Examples:
  hallway files open 5d0c
  hallway files open 5d0c --folder";
    pub(crate) const FILES_OPEN_FOLDER: &str = "Open the folder it is in instead";
    pub(crate) const FILES_ID: &str = "The id of the transfer, or its beginning";
    pub(crate) const FILES_TO: &str = "Put it in this folder";
    pub(crate) const SEND_REPLY: &str = "Answer this message";
    pub(crate) const SEND_EDIT: &str = "Put the text in the place of your own message's";
    pub(crate) const SEND_DELETE: &str = "Take your own message back";
    pub(crate) const SEND_REACT: &str = "Set an emoji on a message";
    pub(crate) const SEND_UNREACT: &str = "Take your emoji off a message";
    pub(crate) const SEND_WAIT: &str = "Return once the message has come this far";
    pub(crate) const SEND_WAIT_QUEUED: &str = "safe on this disk";
    pub(crate) const SEND_WAIT_SENT: &str = "handed to the peer's session";
    pub(crate) const SEND_WAIT_DELIVERED: &str = "safe on the peer's disk";
    pub(crate) const SEND_TIMEOUT: &str = "Seconds to wait; 10 without this, for files without end";
    pub(crate) const SEND_CLIENT_ID: &str = "A name for this message: sending it again with the \
                                             same one sends it once";

    pub(crate) const LOG_COMMAND: &str = "Show what was written";
    pub(crate) const LOG_AFTER: &str = "\
Examples:
  hallway log Bo
  hallway log Bo --since yesterday
  hallway log Bo --since 2026-03-01 --limit 500 --json
  hallway log --search 午饭            in all conversations";
    pub(crate) const LOG_PEER: &str = "With whom: a name, a tag, an id, or name~tag";
    pub(crate) const LOG_SINCE: &str = "From then on: 2026-03-01, '2026-03-01 14:30', 14:30, 2h, \
                                        3d, today, yesterday, or milliseconds as in the JSON";
    pub(crate) const LOG_LIMIT: &str = "At most so many, the latest; 50 without this and --since";
    pub(crate) const LOG_SEARCH: &str = "Only messages with all of these words";
    pub(crate) const LOG_IDS: &str = "Show the ids, for --reply, --edit, --delete and --react";
    pub(crate) const LOG_MARK_READ: &str = "Also with --json, tell the peer that you have seen it";
    pub(crate) const TAIL: &str = "Show every event as it happens";
    pub(crate) const TAIL_AFTER: &str = "\
Examples:
  hallway tail
  hallway tail --json | jq -r 'select(.kind == \"message\" and .new).message.text'
  hallway tail --json --since 1042     what happened to messages after event 1042, then live";
    pub(crate) const TAIL_SINCE: &str = "First what happened after this event";

    pub(crate) const CALL: &str = "Call a peer, and stay until it is over; Ctrl-C hangs up";
    pub(crate) const CALL_AFTER: &str = "\
Ends with 0 after a call that was answered, 4 when it was declined or could not ring, 5 when the
peer is not there, 6 when nobody answered. The peer finds a missed call in the log.

Examples:
  hallway call Bo
  hallway call Bo --detach && hallway mute     leave the call to the node
  hallway call Echo                            hear yourself; start it with `hallway echo`";
    pub(crate) const CALL_DETACH: &str = "Return at once; the node goes on with the call";
    pub(crate) const CALL_MEANT: &str = "Which call, by its peer or id, when there are several";
    pub(crate) const ANSWER: &str = "Answer the call that rings; one you are in is held";
    pub(crate) const ANSWER_AFTER: &str = "\
Examples:
  hallway answer
  hallway answer Cy                  of several that ring, this one
  hallway hang-up Cy                 decline it";
    pub(crate) const HANG_UP: &str = "Hang up, give up or decline";
    pub(crate) const HANG_UP_AFTER: &str = "\
Examples:
  hallway hang-up
  hallway hang-up Cy                 of several calls, this one";
    pub(crate) const MUTE: &str = "Let nothing of your microphone through";
    pub(crate) const MUTE_AFTER: &str = "\
Examples:
  hallway mute
  hallway mute off
  hallway mute && hallway talk       push to talk: heard until Ctrl-C";
    pub(crate) const MUTE_SWITCH: &str = "Whether nothing passes";
    pub(crate) const HOLD: &str = "Hold a call, or go on with it; another you are in is then held";
    pub(crate) const HOLD_AFTER: &str = "\
Examples:
  hallway hold
  hallway hold off
  hallway hold off --call Bo         of several that are held, this one";
    pub(crate) const HOLD_SWITCH: &str = "Whether it is held";
    pub(crate) const TALK: &str = "Be heard in a call while this runs, and muted afterwards";
    pub(crate) const TALK_AFTER: &str = "\
For a key or pedal that starts a program and ends it with SIGINT or SIGTERM.

Examples:
  hallway talk";
    pub(crate) const CALLS: &str = "List the calls there are, and the latest there were";
    pub(crate) const CALLS_AFTER: &str = "\
Examples:
  hallway calls
  hallway calls --limit 5 --json";
    pub(crate) const CALLS_LIMIT: &str = "At most so many of the past; 20 when absent";

    pub(crate) const VERIFY: &str = "Compare the safety number with a peer";
    pub(crate) const VERIFY_AFTER: &str = "\
Examples:
  hallway verify Bo                          show the number, and ask whether it is the same
  hallway verify Bo '12345 67890 …'          the number that Bo reads out
  hallway verify Bo --keep-name              another Bo has appeared, and both are right";
    pub(crate) const VERIFY_NUMBER: &str = "The 60 digits the other person reads out";
    pub(crate) const VERIFY_KEEP_NAME: &str = "Keep this contact although another uses their name";
    pub(crate) const BLOCK: &str = "Let nothing from or to a peer pass";
    pub(crate) const BLOCK_AFTER: &str = "\
Examples:
  hallway block Bo
  hallway block Bo~k3fa              of two with one name, this one";
    pub(crate) const UNBLOCK: &str = "Undo a block";
    pub(crate) const UNBLOCK_AFTER: &str = "\
Examples:
  hallway unblock Bo";
    pub(crate) const FORGET: &str = "Remove a peer and everything you wrote with them";
    pub(crate) const FORGET_AFTER: &str = "\
Examples:
  hallway forget Bo
  hallway forget Bo --yes            in a script, where there is nobody to ask";
    pub(crate) const FORGET_YES: &str = "Do not ask; needed where nobody can be asked";
    pub(crate) const REQUESTS: &str = "List strangers who wrote, and decide";
    pub(crate) const REQUESTS_AFTER: &str = "\
Examples:
  hallway requests
  hallway requests accept Cy
  hallway requests decline Cy";
    pub(crate) const REQUESTS_ACCEPT: &str = "Take them as a contact";
    pub(crate) const REQUESTS_ACCEPT_AFTER: &str = "\
Examples:
  hallway requests accept Cy";
    pub(crate) const REQUESTS_DECLINE: &str = "Remove them and what they wrote";
    pub(crate) const REQUESTS_DECLINE_AFTER: &str = "\
Examples:
  hallway requests decline Cy";

    pub(crate) const DEVICES: &str = "List microphones and speakers, choose, and try them out";
    pub(crate) const DEVICES_AFTER: &str = "\
Calls use the devices marked *, also after a restart.

Examples:
  hallway devices --input yeti       a part of the name is enough
  hallway devices --output default   whatever the system uses, also when that changes
  hallway devices --test             say something, and hear it";
    pub(crate) const DEVICES_INPUT: &str = "Use this microphone; `default` follows the system's";
    pub(crate) const DEVICES_OUTPUT: &str = "Use this speaker; `default` follows the system's";
    pub(crate) const DEVICES_TEST: &str = "Record a sentence and play it back";
    pub(crate) const DOCTOR: &str =
        "Find out what is wrong with this network, or the way to a peer";
    pub(crate) const DOCTOR_AFTER: &str = "\
Examples:
  hallway doctor
  hallway doctor Bo                  also the way to Bo";
    pub(crate) const ECHO: &str = "Run a test contact that answers what it is sent";
    pub(crate) const ECHO_AFTER: &str = "\
It is a second node, \"Echo\", with its data in the folder `echo` of the home. It takes everybody
as a contact and answers each text with the same text, until Ctrl-C.

Examples:
  hallway echo &
  hallway send Echo 'anybody there?'
  hallway log Echo";
    pub(crate) const AUTOSTART: &str = "Start the node at login, or no longer";
    pub(crate) const AUTOSTART_AFTER: &str = "\
Your desktop starts it, or systemd where there is no desktop when this is set.

Examples:
  hallway autostart                  is it?
  hallway autostart on
  hallway autostart on && loginctl enable-linger      a server, from boot on";
    pub(crate) const AUTOSTART_SWITCH: &str = "Whether it shall; without this, whether it does";
    pub(crate) const EXPORT: &str = "Print everything as JSON Lines, to keep or to move";
    pub(crate) const EXPORT_AFTER: &str = "\
Examples:
  hallway export > history.jsonl";
    pub(crate) const COMPLETIONS: &str =
        "Print completions for a shell: commands, options, files and peers";
    pub(crate) const COMPLETIONS_AFTER: &str = "\
Examples:
  echo 'source <(hallway completions bash)' >> ~/.bashrc
  echo 'source <(hallway completions zsh)' >> ~/.zshrc
  hallway completions fish > ~/.config/fish/completions/hallway.fish";
    pub(crate) const COMPLETIONS_SHELL: &str = "The shell";
    pub(crate) const MAN: &str = "Print the manual page, or write all of them";
    pub(crate) const MAN_AFTER: &str = "\
Examples:
  hallway man | man -l -
  hallway man --dir ~/.local/share/man/man1";
    pub(crate) const MAN_DIR: &str = "Write a page for each command into this folder";
}

pub(crate) fn not_running(socket: &Path) -> String {
    format!(
        "no node is running here (nobody listens on {}). Start it with `hallway up`",
        socket.display()
    )
}

pub(crate) fn not_written(error: &std::io::Error) -> String {
    format!("reading or writing broke off: {error}")
}

pub(crate) fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Live => "live",
        Presence::Nearby => "nearby",
        Presence::Offline => "offline",
    }
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Available => "available",
        Status::Away => "away",
        Status::Busy => "busy",
    }
}

pub(crate) fn delivery(state: Delivery) -> &'static str {
    match state {
        Delivery::Queued => "queued",
        Delivery::Sent => "sent",
        Delivery::Delivered => "delivered",
        Delivery::Read => "read",
    }
}

/// A call as it is now.
pub(crate) fn call(name: &str, call: &CallView) -> String {
    match (call.state, call.direction) {
        (CallState::Dialling, _) => format!("Calling {name} …"),
        (CallState::Ringing, CallDirection::Outgoing) if call.waiting => {
            format!("It rings at {name}'s, who is talking to somebody else")
        }
        (CallState::Ringing, CallDirection::Outgoing) => format!("It rings at {name}'s"),
        (CallState::Ringing, CallDirection::Incoming) => {
            format!("{name} is calling: `hallway answer`, or `hallway hang-up` to decline")
        }
        (CallState::Active, _) => format!(
            "In a call with {name}, {}{}",
            talked(call.duration_ms),
            call_remarks(call)
        ),
        (CallState::Ended, _) => match &call.detail {
            Some(detail) => format!("The call with {name} is over: {detail}"),
            None => format!("The call with {name} is over"),
        },
    }
}

fn call_remarks(call: &CallView) -> String {
    let mut remarks = String::new();
    let all = [
        (call.held, "on hold"),
        (call.held_by_them, "held by them"),
        (call.muted, "muted"),
        (call.muted_by_them, "muted by them"),
        (!call.can_speak, "you have no microphone and only listen"),
        (!call.can_hear, "you have no speaker"),
        (
            !call.they_can_speak,
            "they have no microphone and only listen",
        ),
        (!call.they_can_hear, "they have no speaker"),
        (
            !call.connected && !call.held && !call.held_by_them,
            "no sound of theirs comes in",
        ),
    ];
    for (_, remark) in all.iter().filter(|(holds, _)| *holds) {
        remarks.push_str(", ");
        remarks.push_str(remark);
    }
    if let Some(stats) = &call.stats {
        remarks.push_str(&format!(", {}", quality(stats.quality)));
    }
    remarks
}

/// How a call sounds.
pub(crate) fn quality(quality: CallQuality) -> &'static str {
    match quality {
        CallQuality::Good => "good",
        CallQuality::Fair => "fair",
        CallQuality::Poor => "poor",
        CallQuality::Bad => "bad",
    }
}

/// How loud a call is.
pub(crate) fn levels(microphone: Option<f32>, speaker: Option<f32>) -> String {
    let of = |level: Option<f32>| level.map_or("none".into(), |level| format!("{level:.0} dB"));
    format!("microphone {}, speaker {}", of(microphone), of(speaker))
}

pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warn => "note",
        Outcome::Fail => "FAIL",
    }
}

/// How a day and a time of day are written, as `strftime` has it.
pub(crate) const DAY: &str = "%A, %-d %B %Y";
pub(crate) const TIME: &str = "%H:%M";

pub(crate) const YOU: &str = "you";
pub(crate) const VERIFIED: &str = "verified";
pub(crate) const BLOCKED: &str = "blocked";
pub(crate) const REQUEST: &str = "wants to write";
pub(crate) const IMPOSTOR: &str = "name also used by another!";
pub(crate) const NOBODY: &str = "Nobody is here yet. `hallway doctor` says why, and `hallway echo` \
                                 is somebody to try with";
pub(crate) const NO_MESSAGES: &str = "No messages";
pub(crate) const CALL_LOST_SIGHT: &str = "Lost sight of the call, and it is over now";
pub(crate) const NO_CALLS: &str = "No calls";
pub(crate) const NO_REQUESTS: &str = "No requests";
pub(crate) const DELETED: &str = "(deleted)";
pub(crate) const NOT_HERE: &str = "(a message that is not here)";
pub(crate) const EDITED: &str = "(edited)";
pub(crate) const NEEDS_NEWER: &str = "(needs a newer version of Hallway)";
pub(crate) const STOPPED: &str = "The node has stopped";
pub(crate) const DO_THEY_MATCH: &str = "Is it the same number on both sides? [y/N] ";
pub(crate) const NOT_VERIFIED: &str = "Not verified. If the numbers differ, somebody is between \
                                       you: do not trust this peer";
pub(crate) const YES: [&str; 2] = ["y", "yes"];

pub(crate) fn unread(count: u64) -> String {
    format!("{count} new")
}

pub(crate) fn running(name: &str, pid: u32, uptime: impl Display) -> String {
    format!("{name} is running (process {pid}, for {uptime})")
}

pub(crate) fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

pub(crate) const ID: &str = "id";
pub(crate) const STATUS: &str = "status";
pub(crate) const PORT: &str = "port";
pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const ADDRESSES: &str = "addresses";
pub(crate) const VERSION: &str = "version";

pub(crate) fn ready(name: &str, port: u16) -> String {
    format!("{name} is up on port {port}; Ctrl-C stops it")
}

pub(crate) const PASSPHRASE: &str = "Passphrase of the keys: ";
pub(crate) const PASSPHRASE_AGAIN: &str = "That is not it. Try again (nothing gives up): ";
pub(crate) const PASSPHRASE_NEW: &str = "New passphrase for the keys: ";
pub(crate) const PASSPHRASE_REPEAT: &str = "The same again: ";
pub(crate) const PASSPHRASE_DIFFERS: &str = "These were two different ones. New passphrase: ";
pub(crate) const PASSPHRASE_FILE_UNREADABLE: &str = "the file with the passphrase cannot be read";

pub(crate) fn keys_moved(store: impl Display) -> String {
    format!("the keys are kept in this way now: {store}")
}

pub(crate) const MICROPHONES: &str = "Microphones";
pub(crate) const SPEAKERS: &str = "Speakers";
pub(crate) const DEVICE_DEFAULT: &str = "default";
pub(crate) const DEVICE_HEADPHONES: &str = "headphones";
pub(crate) const DEVICE_CHOSEN: &str = "chosen";
pub(crate) const TRY_LISTEN: &str = "And now listen:";
pub(crate) const TRY_SILENT: &str = "Nothing was heard: is the microphone muted, or another one \
                                     meant? `hallway devices` lists them";

pub(crate) fn devices_problem(problem: impl Display) -> String {
    format!("Calls are not as they should be: {problem}")
}

pub(crate) fn try_speak(length: Duration) -> String {
    format!("Say something, for {} seconds:", length.as_secs())
}

pub(crate) fn try_heard(loudest_dbfs: f32) -> String {
    format!("The microphone heard up to {loudest_dbfs:.0} dB. Did you hear it, too?")
}

pub(crate) fn try_echo(name: &str) -> String {
    format!("Write to it: `hallway send {name} hello`, or call it: `hallway call {name}`")
}

pub(crate) fn bad_log(levels: &str, error: impl Display) -> String {
    format!("\"{levels}\" is nothing to log: {error}")
}

pub(crate) fn connected(name: &str, address: impl Display) -> String {
    format!("connected to {name} at {address}")
}

pub(crate) fn sent(name: &str, state: Delivery) -> String {
    match state {
        Delivery::Queued => format!("queued: goes out when {name} is back"),
        Delivery::Sent => format!("sent to {name}; no receipt yet"),
        Delivery::Delivered => format!("delivered to {name}"),
        Delivery::Read => format!("read by {name}"),
    }
}

pub(crate) fn still_queued(name: &str) -> String {
    format!("not delivered: {name} is not here. It is kept and goes out when they are back")
}

pub(crate) fn no_receipt(name: &str) -> String {
    format!("timed out: handed to {name}'s session, but no receipt has come yet")
}

pub(crate) const STDIN_NOT_TEXT: &str = "stdin is not UTF-8 text; send it as a file instead";
pub(crate) const NO_TEXT: &str = "there is no text; give it after the peer, or through a pipe";

pub(crate) fn text_too_long(bytes_max: usize) -> String {
    format!("this text takes more than {bytes_max} bytes, the limit; send it as a file instead")
}

pub(crate) fn bad_since(text: &str) -> String {
    format!(
        "\"{text}\" is no time I know; try 2026-03-01, '2026-03-01 14:30', 14:30, 2h or yesterday"
    )
}

pub(crate) const SINCE_TOO_EARLY: &str = "this time is before 1970";

pub(crate) fn log_limit(max: usize) -> String {
    format!("a search shows at most {max} messages")
}

pub(crate) fn safety_number(name: &str, verified: bool) -> String {
    let verified = if verified { " (verified)" } else { "" };
    format!("Safety number with {name}{verified}:")
}

pub(crate) fn how_to_compare(name: &str, tag: &str) -> String {
    format!(
        "Compare it with {name} on the phone or face to face: they see theirs with\n\
         `hallway verify` and your name, and it must be the same. To have it compared\n\
         for you, give the number that they read out: `hallway verify {tag} NUMBER`"
    )
}

pub(crate) fn verified(name: &str) -> String {
    format!("{name} is verified")
}

pub(crate) fn name_kept(name: &str) -> String {
    format!("{name} stays as they are, whoever else uses the name")
}

pub(crate) fn blocked(name: &str) -> String {
    format!("{name} is blocked")
}

pub(crate) fn unblocked(name: &str) -> String {
    format!("{name} is not blocked any more")
}

pub(crate) fn forget_question(name: &str) -> String {
    format!("Remove {name} and everything you wrote with them, for good? [y/N] ")
}

pub(crate) fn forgotten(name: &str) -> String {
    format!("{name} is forgotten")
}

pub(crate) const NOTHING_DONE: &str = "Nothing was done";

pub(crate) fn accepted(name: &str) -> String {
    format!("{name} is a contact now")
}

pub(crate) fn declined(name: &str) -> String {
    format!("{name} is declined, and what they wrote is gone")
}

pub(crate) fn now_called(name: &str) -> String {
    format!("you are {name} now")
}

pub(crate) fn now_status(text: &str) -> String {
    format!("you are {text} now")
}

pub(crate) fn came(name: &str, presence: &str) -> String {
    format!("{name} is {presence}")
}

pub(crate) fn gone(tag: &str) -> String {
    format!("~{tag} is gone")
}

pub(crate) fn typing(name: &str) -> String {
    format!("{name} is typing")
}

pub(crate) fn not_typing(name: &str) -> String {
    format!("{name} has stopped typing")
}

pub(crate) fn wants_to_write(name: &str, tag: &str) -> String {
    format!("{name} wants to write to you: `hallway requests accept {tag}`, or decline")
}

pub(crate) fn name_collision(contact: &str, newcomer: &str) -> String {
    format!("{newcomer} uses the name of {contact}, with a key of their own. Be careful")
}

pub(crate) fn has_read(name: &str, seq: u64) -> String {
    format!("{name} has read up to your message {seq}")
}

pub(crate) fn you_have_read(name: &str, seq: u64) -> String {
    format!("you have read up to message {seq} of {name}")
}

pub(crate) fn state_of(id: &str, name: &str, state: Delivery) -> String {
    format!("to {name}: {} ({id})", delivery(state))
}

pub(crate) const STOP_TIMED_OUT: &str = "the node was told to stop and has not gone yet";

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_has_at_most_two_units() {
        let of = |seconds| super::uptime(seconds);
        assert_eq!((of(0).as_str(), of(59).as_str()), ("0 s", "59 s"));
        assert_eq!((of(60).as_str(), of(3599).as_str()), ("1 min", "59 min"));
        assert_eq!(
            (of(3600).as_str(), of(86_399).as_str()),
            ("1 h 0 min", "23 h 59 min")
        );
        assert_eq!(of(90_000), "1 d 1 h");
    }
}
