//! Every code that the document lists is given by something that somebody can do.

use crate::bots::listen;
use crate::document::document;
use crate::files::{GIF, arrived, begin, get, reply, upload};
use crate::node::{TestNode, text};
use crate::talk::{code, friends};
use futures_util::future::join_all;
use hallway_api::{OfferRequest, TokenRequest};
use hallway_model::{Body, Command, ConversationId, Delivery, Name, OUTBOX_MAX, PeerId};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What takes a port, a clock or a desktop, and where that is tested.
const ELSEWHERE: [(&str, &str); 4] = [
    ("wrong_host", "guards.rs of the command line"),
    ("foreign_page", "guards.rs of the command line"),
    ("too_slow", "uploads.rs"),
    ("no_desktop", "files.rs of the command line"),
];

const JSON: &str = "\nContent-Type: application/json";

/// The code that a request gets.
async fn asked(node: &TestNode, request: &str, body: &str) -> String {
    let (status, reply) = node.http(&format!("{request}{JSON}"), body).await;
    let problem: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(problem["status"], status, "{request}: {reply}");
    problem["code"].as_str().unwrap().to_owned()
}

fn token(name: &str) -> TokenRequest {
    TokenRequest {
        name: Name::new(name).unwrap(),
        read: true,
        send: false,
        metrics: false,
        conversations: None,
    }
}

/// What anybody alone can do wrong.
async fn alone() -> Vec<String> {
    let ann = TestNode::start("Ann").await;
    let me = ann.client.status().await.unwrap().id;
    let stranger = PeerId([7; 32]).to_string();
    let mut typo = stranger.clone();
    typo.replace_range(9..10, "z");
    let to = |peer: &str, text: &str| format!(r#"{{"to":"{peer}","text":"{text}"}}"#);
    let mut codes = Vec::new();
    for (request, body) in [
        ("GET /api/v1/nowhere", String::new()),
        ("DELETE /api/v1/peers", String::new()),
        ("POST /api/v1/messages", "{".into()),
        ("POST /api/v1/messages", to("Bo", &"x".repeat(1 << 20))),
        ("POST /api/v1/messages", to("Bo", "x")),
        ("POST /api/v1/messages", to(&typo, "x")),
        ("POST /api/v1/messages", to(&me.to_string(), "x")),
        ("POST /api/v1/messages", to(&stranger, "")),
        (
            "POST /api/v1/messages",
            to(&stranger, &"x".repeat(32 * 1024 + 1)),
        ),
        (
            "POST /api/v1/connect",
            r#"{"address":"127.0.0.1:1"}"#.into(),
        ),
        ("POST /api/v1/open", String::new()),
        ("POST /api/v1/calls/current/answer", String::new()),
        ("DELETE /api/v1/tokens/x", String::new()),
        ("GET /api/v1/status\nAuthorization: Bearer x", String::new()),
        ("GET /api/v1/files/x", String::new()),
    ] {
        codes.push(asked(&ann, request, &body).await);
    }
    let (_, reply) = ann.http("POST /api/v1/messages", "{}").await;
    codes.push(
        serde_json::from_str::<Value>(&reply).unwrap()["code"]
            .as_str()
            .unwrap()
            .into(),
    );
    let before = format!("GET /api/v1/log?peer={stranger}&before={:032}", 0);
    codes.push(asked(&ann, &before, "").await);

    let bot = ann.client.add_token(&token("0")).await.unwrap().secret;
    codes.push(code(ann.client.add_token(&token("0")).await));
    let as_bot = format!("GET /api/v1/status\nAuthorization: Bearer {bot}");
    codes.push(asked(&ann, &as_bot, "").await);
    // It listens as often as it may, and asks once more; whoever has left counts no more.
    for _ in 0..2 {
        let mut listening = Vec::new();
        while asked(&ann, &as_bot, "").await == "not_allowed" {
            listening.push(listen(&ann, &bot, 0).await);
        }
        assert_eq!(listening.len(), 6);
        codes.push(asked(&ann, &as_bot, "").await);
        drop(listening);
        while asked(&ann, &as_bot, "").await == "too_many_requests" {}
    }
    for n in 1..64 {
        ann.client.add_token(&token(&n.to_string())).await.unwrap();
    }
    codes.push(code(ann.client.add_token(&token("64")).await));
    codes
}

/// What others are needed for.
async fn together() -> Vec<String> {
    let (ann, _, bo, _) = friends().await;
    let mut codes = Vec::new();
    let hello = || text("Bo", "x", Delivery::Queued);
    codes.push(code(ann.client.verify("Bo", "12345".into()).await));
    ann.client.call_peer("Bo".into()).await.unwrap();
    codes.push(code(ann.client.call_peer("Bo".into()).await));
    ann.client.hang_up(None).await.unwrap();

    let picture = arrived(&ann, &bo, "to=Bo&name=x.gif", GIF).await;
    let path = format!("files/{}/content", picture.id);
    codes.push(get(&bo, &path, "Range: bytes=999-\r\n").await.code());
    codes.push(code(bo.client.pause_file(&picture.id).await));
    std::fs::remove_file(picture.path.unwrap()).unwrap();
    codes.push(get(&bo, &path, "").await.code());
    let page = arrived(&ann, &bo, "to=Bo&name=x.html", b"<html>").await;
    let open = format!("POST /api/v1/files/{}/open", page.id);
    codes.push(asked(&bo, &open, "{}").await);
    let line = "POST /api/v1/files/upload?to=Bo&name=x";
    let most = format!("Content-Length: {}\r\n", 1_u64 << 60);
    codes.push(reply(begin(&ann, line, &most).await).await.code());
    assert_eq!(upload(&ann, "to=Bo", b"").await.code(), "bad_request");
    let missing = OfferRequest {
        to: "Bo".into(),
        path: "/nowhere/at/all".into(),
        client_id: None,
    };
    assert_eq!(code(ann.client.offer(&missing).await), "file_unreadable");

    // Somebody takes the name of one whose number was compared.
    let number = bo.client.safety_number("Ann").await.unwrap().safety_number;
    ann.client.verify("Bo", number).await.unwrap();
    let bo_id = bo.client.status().await.unwrap().id.to_string();
    let other = TestNode::start("Bo").await;
    ann.meet(&other).await;
    codes.push(code(ann.client.send(&hello()).await));
    codes.push(code(
        ann.client.send(&text(&bo_id, "x", Delivery::Queued)).await,
    ));
    ann.client.block(&bo_id).await.unwrap();
    codes.push(code(
        ann.client.send(&text(&bo_id, "x", Delivery::Queued)).await,
    ));
    codes
}

/// As many messages wait for somebody as may.
async fn crowded() -> String {
    let ann = TestNode::start("Ann").await;
    let to = ConversationId::Peer(PeerId([7; 32]));
    let send = || {
        let body = Body::Text {
            text: "x".into(),
            reply_to: None,
        };
        ann.handle.ask(Command::Send {
            to,
            body,
            client_id: None,
        })
    };
    for _ in 0..OUTBOX_MAX / 1000 {
        for sent in join_all((0..1000).map(|_| send())).await {
            sent.unwrap().unwrap();
        }
    }
    let one_more = text(&PeerId([7; 32]).to_string(), "x", Delivery::Queued);
    code(ann.client.send(&one_more).await)
}

/// The history is damaged under a running node.
async fn damaged() -> String {
    let ann = TestNode::start("Ann").await;
    let nobody = PeerId([7; 32]).to_string();
    ann.client
        .send(&text(&nobody, "x", Delivery::Queued))
        .await
        .unwrap();
    for file in ["hallway.db", "hallway.db-wal"] {
        let path = ann.home().join(file);
        // What is not there now holds nothing.
        if let Ok(found) = std::fs::metadata(&path) {
            let bytes = usize::try_from(found.len()).unwrap();
            std::fs::write(&path, vec![7; bytes]).unwrap();
        }
    }
    asked(&ann, &format!("GET /api/v1/log?peer={nobody}"), "").await
}

/// The node stops while something is asked.
async fn stopped() -> String {
    let (ann, ..) = friends().await;
    let head = "Content-Length: 1\r\nExpect: 100-continue\r\n";
    let mut stream = begin(&ann, "POST /api/v1/files/upload?to=Bo&name=x", head).await;
    // It has looked who Bo is, and waits for the file.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    ann.handle.stop();
    ann.handle.stopped().await;
    stream.write_all(b"x").await.unwrap();
    reply(stream).await.code()
}

#[tokio::test]
async fn every_code_is_reached() {
    let node = TestNode::start("Cy").await;
    let document = document(&node).await;
    let documented =
        &document["components"]["schemas"]["ProblemView"]["properties"]["code"]["enum"];
    let documented: BTreeSet<&str> = documented
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    let description = document["info"]["description"].as_str().unwrap();
    for code in &documented {
        assert!(description.contains(&format!("- `{code}` (")), "{code}");
    }
    let faults = vec![crowded().await, damaged().await, stopped().await];
    assert_eq!(faults, ["outbox_full", "internal", "stopping"]);
    let reached = [alone().await, together().await, faults].concat();
    let elsewhere = ELSEWHERE.map(|(code, _)| code);
    let all: BTreeSet<&str> = reached
        .iter()
        .map(String::as_str)
        .chain(elsewhere)
        .collect();
    assert_eq!(all, documented);
    for code in elsewhere {
        assert!(
            !reached.contains(&code.to_owned()),
            "{code} is reached here, too"
        );
    }
    let refused = get(&node, "nowhere", "").await;
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
}
