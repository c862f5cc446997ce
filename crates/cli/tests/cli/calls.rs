//! Calls from the command line.

use crate::run::{Following, Home, assert_said, friends};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn rings(home: &Home) -> Following {
    home.follow(&["tail", "--json"])
}

fn in_state(state: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["call"]["state"] == state
}

/// Waits until it rings at a home whose events are read.
fn ring(events: &mut Following) {
    events.until(in_state("ringing"));
}

#[test]
fn a_call_is_followed_to_its_end() {
    let (ann, bo) = friends("Bo");
    let mut at_bo = rings(&bo);
    // What a stream begins with shows that it listens.
    ann.tell("Bo", "may I call?");
    at_bo.until(|event| event["kind"] == "message");
    let mut call = ann.follow(&["call", "Bo", "--json"]);
    ring(&mut at_bo);
    assert_said!(bo.run(&["calls"]).all(), @"
    exit 0
    Ann is calling: `hallway answer`, or `hallway hang-up` to decline
    ");
    assert_eq!(bo.run(&["answer"]).code, 0);
    let talks = |call: &Value| call["state"] == "active";
    let id = call.until(talks)["id"].clone();
    assert_eq!(ann.run(&["mute"]).code, 0);
    at_bo.until(|event| event["call"]["muted_by_them"] == true);
    assert_eq!(ann.run(&["mute", "off", "--call", "Bo"]).code, 0);
    assert_eq!(bo.run(&["hold", "--call", "Ann"]).code, 0);
    call.until(|call| call["held_by_them"] == true);
    assert_eq!(bo.run(&["hold", "off"]).code, 0);
    let listed = &ann.run(&["calls", "--json"]).json()[0];
    assert_eq!(
        (&listed["id"], &listed["held_by_them"]),
        (&id, &Value::Bool(false))
    );
    assert_eq!(bo.run(&["hang-up"]).code, 0);
    assert_eq!(
        call.until(|call| call["state"] == "ended")["end"],
        "hung_up"
    );
    assert_eq!(call.ended(), 0, "it was answered");
    let log = ann.run(&["log", "Bo"]).out;
    assert!(
        log.lines().last().unwrap().contains("you  Call, 0:0"),
        "{log}"
    );
    let calls = ann.run(&["calls", "--json"]).json();
    assert_eq!(
        (&calls[0]["kind"], &calls[0]["id"]),
        (&Value::from("call"), &id)
    );
}

#[test]
fn exit_codes_tell_how_a_call_went() {
    let (ann, mut bo) = friends("Bo");
    let mut at_bo = rings(&bo);
    ann.tell("Bo", "may I call?");
    at_bo.until(|event| event["kind"] == "message");

    let call = ann.follow(&["call", "Bo", "--json"]);
    ring(&mut at_bo);
    assert_eq!(bo.run(&["hang-up", "Ann"]).code, 0);
    assert_eq!(call.ended(), 4, "declined");

    let mut call = ann.follow(&["call", "Bo", "--json"]);
    ring(&mut at_bo);
    call.until(|call| call["state"] == "ringing");
    let pid = Pid::from_raw(i32::try_from(call.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(
        call.until(|call| call["state"] == "ended")["end"],
        "cancelled"
    );
    assert_eq!(call.ended(), 6, "nobody answered before Ctrl-C");
    at_bo.until(|event| event["message"]["call"]["outcome"] == "cancelled");
    let log = bo.run(&["log", "Ann"]).out;
    assert!(
        log.lines().last().unwrap().ends_with("Ann  Missed call"),
        "{log}"
    );

    assert_eq!(bo.run(&["stop"]).code, 0);
    assert_eq!(bo.ended(), 0);
    let called = ann.run(&["call", "Bo"]);
    assert_eq!(called.code, 5, "{}", called.err);
    assert!(called.err.contains("is not here"), "{}", called.err);

    let detached = ann.run(&["call", "Bo", "--detach", "--json"]);
    assert_eq!(detached.json()[0]["state"], "dialling");
    assert_eq!(ann.run(&["call", "Bo"]).code, 4, "one call at a time");
    assert_eq!(ann.run(&["hang-up"]).code, 0);
    assert_said!(ann.run(&["hang-up"]).all(), @"
    exit 1
    -- stderr
    hallway: there is no call like that; `hallway calls` lists all
    ");
}

#[test]
fn help_of_call() {
    assert_said!(Home::empty().run(&["call", "-h"]).all(), @"
    exit 0
    Call a peer, and stay until it is over; Ctrl-C hangs up

    Usage: hallway call [OPTIONS] <PEER>

    Arguments:
      <PEER>  A name, a tag, an id, or name~tag

    Options:
          --detach  Return at once; the node goes on with the call
      -h, --help    Print help

    Options of every command:
          --home <DIR>  Folder of the node's data; one node runs in each [env: HALLWAY_HOME]
          --json        Print JSON: one object, or one on each line

    Ends with 0 after a call that was answered, 4 when it was declined or could not ring, 5 when the
    peer is not there, 6 when nobody answered. The peer finds a missed call in the log.

    Examples:
      hallway call Bo
      hallway call Bo --detach && hallway mute     leave the call to the node
      hallway call Echo                            hear yourself; start it with `hallway echo`
    ");
}
