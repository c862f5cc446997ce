//! Connections as no well-behaved client makes them: silent, endless, too many, all at once.

use crate::files::{begin, get, reply};
use crate::node::{TestNode, text};
use crate::talk::until;
use hallway_model::{Delivery, EventKind, PeerId};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// More than may be silent at once, in `server/serving.rs`, and fewer than there may be in all.
const MANY: usize = 300;
/// Three times as many are more than there may be in all.
const MANY_READERS: usize = 200;

async fn connect(node: &TestNode) -> UnixStream {
    UnixStream::connect(&node.socket).await.unwrap()
}

/// Waits until the other end closes. What it says before does not matter.
async fn closed(mut stream: UnixStream) {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn who_asks_nothing_keeps_nobody_from_asking() {
    let node = TestNode::start("Ann").await;
    let mut listening = node.client.events(None).await.unwrap();
    let mut half = Vec::new();
    for n in 0..MANY {
        let mut stream = connect(&node).await;
        // Some say nothing, some begin to ask, and some have asked and stay.
        let said: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET /api/v1/status HTTP/1.1\r\nHost: h\r\nX-Slow: ",
            _ => b"GET /api/v1/nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
        };
        // It may be away already.
        let _ = stream.write_all(said).await;
        half.push(stream);
    }
    node.client.status().await.unwrap();
    // The first of them is away; whoever is being told something is not.
    closed(half.swap_remove(0)).await;
    let nobody = PeerId([7; 32]).to_string();
    let message = text(&nobody, "x", Delivery::Queued);
    node.client.send(&message).await.unwrap();
    until(&mut listening, |kind| {
        matches!(kind, EventKind::Message { .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn readers_who_leave_are_not_kept() {
    let node = TestNode::start("Ann").await;
    // More than there may be at once, each of which would wait for ever.
    for _ in 0..3 {
        let mut readers = Vec::new();
        for _ in 0..MANY_READERS {
            readers.push(node.client.events(None).await.unwrap());
        }
        drop(readers);
    }
    node.client.events(None).await.unwrap();
}

#[tokio::test]
async fn what_is_asked_in_one_breath_is_answered_in_order() {
    let node = TestNode::start("Ann").await;
    let mut stream = connect(&node).await;
    let ask = |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n{last}\r\n");
    let all = [
        ask("/api/v1/status", ""),
        ask("/api/v1/nowhere", ""),
        ask("/api/v1/peers", "Connection: close\r\n"),
    ];
    stream.write_all(all.concat().as_bytes()).await.unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).await.unwrap();
    let statuses: Vec<_> = replies
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|reply| &reply[..3])
        .collect();
    assert_eq!(statuses, ["200", "404", "200"], "{replies}");
}

#[tokio::test]
async fn a_head_without_end_is_refused_and_so_is_what_is_no_http() {
    let node = TestNode::start("Ann").await;
    let long = format!("X-Long: {}\r\n", "x".repeat(256 * 1024));
    let many = "X: y\r\n".repeat(200);
    let path = format!("GET /{}", "x".repeat(70_000));
    for (line, headers, status) in [
        ("GET /api/v1/status", long.as_str(), "431"),
        ("GET /api/v1/status", &many, "431"),
        (&path, "", "414"),
        ("GET /api/v1/status", "Content-Length: -1\r\n", "400"),
        (
            "POST /api/v1/messages",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "400",
        ),
        ("\u{16}\u{3}\u{1}", "", "400"),
    ] {
        let mut stream = connect(&node).await;
        let head = format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        // It may be refused before all of it is sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut reply = vec![0; 12];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply[9..], status.as_bytes(), "{line}");
    }
}

#[tokio::test]
async fn a_body_that_is_said_to_be_too_large_is_not_waited_for() {
    let node = TestNode::start("Ann").await;
    let head = "Content-Type: application/json\r\nContent-Length: 99999999999\r\n";
    let refused = reply(begin(&node, "POST /api/v1/messages", head).await).await;
    assert_eq!(refused.code(), "too_large");
}

#[tokio::test]
async fn methods_that_nobody_needs_do_nothing() {
    let node = TestNode::start("Ann").await;
    for path in [
        "/api/v1/status",
        "/api/v1/stop",
        "/api/v1/events",
        "/metrics",
    ] {
        for method in ["OPTIONS", "TRACE", "CONNECT", "PATCH", "get"] {
            let refused = reply(begin(&node, &format!("{method} {path}"), "").await).await;
            assert_eq!(refused.code(), "wrong_method", "{method} {path}");
            assert!(refused.header("allow").is_some(), "{method} {path}");
        }
    }
    // What has a GET has a HEAD, which says as much and gives nothing, and ends.
    for path in ["/api/v1/status", "/api/v1/export", "/api/v1/events"] {
        let mut stream = begin(&node, &format!("HEAD {path}"), "").await;
        let mut head = String::new();
        stream.read_to_string(&mut head).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
    // Dots lead nowhere, however they are written.
    for path in [
        "files/../status",
        "files/%2e%2e/content",
        "files/..%2f..%2fhallway.db/content",
        "files/%00/content",
        "/status",
        "status/",
    ] {
        let refused = get(&node, path, "").await;
        let codes = ["no_such_route", "no_such_transfer"];
        assert!(codes.contains(&refused.code().as_str()), "{path}");
    }
}
