//! Everything that the commands can do, the API can do: each command stands here with its routes.

use crate::docs::all_commands;
use crate::run::Home;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// What does the same in the API, or why nothing needs to.
const ROUTES: [(&str, &[&str]); 45] = [
    ("up", &["it is the node itself"]),
    ("open", &["POST /open"]),
    ("tui", &["it is an app on the API"]),
    ("stop", &["POST /stop"]),
    ("status", &["GET /status"]),
    ("id", &["GET /status"]),
    ("name", &["GET /status", "PUT /name"]),
    ("set-status", &["PUT /status"]),
    ("peers", &["GET /peers", "GET /events"]),
    ("connect", &["POST /connect"]),
    ("send", &["POST /messages", "POST /files", "POST /offers"]),
    ("files", &["GET /files"]),
    ("files accept", &["POST /files/{id}/accept"]),
    ("files decline", &["POST /files/{id}/decline"]),
    ("files pause", &["POST /files/{id}/pause"]),
    ("files resume", &["POST /files/{id}/resume"]),
    ("files cancel", &["POST /files/{id}/cancel"]),
    ("files limit", &["GET /status", "PUT /settings"]),
    ("files watch", &["GET /events"]),
    ("files open", &["POST /files/{id}/open"]),
    ("log", &["GET /log", "POST /peers/{peer}/read"]),
    ("tail", &["GET /events"]),
    ("call", &["POST /calls", "GET /events"]),
    ("answer", &["POST /calls/{call}/answer"]),
    ("hang-up", &["POST /calls/{call}/hang-up"]),
    ("mute", &["POST /calls/{call}/mute"]),
    ("hold", &["POST /calls/{call}/hold"]),
    ("talk", &["POST /calls/{call}/push-to-talk"]),
    ("calls", &["GET /calls", "GET /calls/history"]),
    (
        "verify",
        &[
            "GET /peers/{peer}/verify",
            "POST /peers/{peer}/verify",
            "POST /peers/{peer}/keep-name",
        ],
    ),
    ("block", &["POST /peers/{peer}/block"]),
    ("unblock", &["POST /peers/{peer}/unblock"]),
    ("forget", &["POST /peers/{peer}/forget"]),
    ("requests", &["GET /requests"]),
    ("requests accept", &["POST /peers/{peer}/accept"]),
    ("requests decline", &["POST /peers/{peer}/forget"]),
    (
        "devices",
        &["GET /devices", "PUT /devices", "POST /devices/test"],
    ),
    ("doctor", &["GET /doctor"]),
    ("settings", &["GET /status", "PUT /settings"]),
    ("notify", &["GET /status", "POST /peers/{peer}/mute"]),
    ("echo", &["it is another node"]),
    ("tokens", &["GET /tokens"]),
    ("tokens add", &["POST /tokens"]),
    ("tokens revoke", &["DELETE /tokens/{name}"]),
    ("export", &["GET /export"]),
];

/// What no command needs, and why.
const NO_COMMAND: [(&str, &str); 9] = [
    ("GET /api/v1/files/{id}", "`files` shows all of them"),
    (
        "GET /api/v1/files/{id}/content",
        "the file is on this computer",
    ),
    (
        "GET /api/v1/files/{id}/thumbnail",
        "the file is on this computer",
    ),
    (
        "POST /api/v1/files/upload",
        "`send --file` has the file on this computer",
    ),
    (
        "POST /api/v1/peers/{peer}/typing",
        "whoever types a command is not seen to type",
    ),
    ("POST /api/v1/ticket", "it is for the page"),
    ("GET /api/v1/openapi.json", "it is for programs"),
    ("GET /metrics", "it is for programs"),
    ("GET /api/v1/peers/{peer}", "`peers` shows all of them"),
];

/// About the program and its desktop, not about the node.
const LOCAL: [&str; 3] = ["autostart", "completions", "man"];

fn document(home: &Home) -> Value {
    let mut stream = UnixStream::connect(home.path().join("api.sock")).unwrap();
    stream
        .write_all(b"GET /api/v1/openapi.json HTTP/1.0\r\nHost: h\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn whatever_a_command_does_the_api_does() {
    let home = Home::up("Ann");
    let commands: BTreeSet<String> = all_commands(&home)
        .iter()
        .map(|words| words.join(" "))
        .collect();
    let known = ROUTES.iter().map(|(command, _)| (*command).to_owned());
    let known: BTreeSet<String> = known.chain(LOCAL.map(str::to_owned)).collect();
    assert_eq!(commands, known);
    let document = document(&home);
    for (command, routes) in ROUTES {
        for route in routes {
            let Some((method, path)) = route.split_once(" /") else {
                assert!(route.starts_with("it is "), "{command}: {route}");
                continue;
            };
            let served = &document["paths"][format!("/api/v1/{path}")][method.to_lowercase()];
            assert!(served.is_object(), "{command} needs {route}");
        }
    }
    // And the other way round.
    let commanded = ROUTES.iter().flat_map(|(_, routes)| routes.iter());
    let commanded = commanded.map(|route| route.replacen(" /", " /api/v1/", 1));
    let known = NO_COMMAND.map(|(route, _)| route.to_owned());
    let known: BTreeSet<String> = commanded.chain(known).collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let route = format!("{} {path}", method.to_uppercase());
            assert!(known.contains(&route), "no command does {route}");
        }
    }
}
