//! Bots: what a token lets its holder do, and how it fails to do more.

use crate::document::{document, operations};
use crate::node::{TestNode, text};
use crate::talk::{code, friends, until};
use hallway_api::{LogQuery, SendRequest, TokenRequest};
use hallway_model::{Delivery, EventKind, Name, PeerView};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;

/// Ann knows Bo and Cy.
async fn three() -> (TestNode, TestNode, TestNode, PeerView) {
    let (ann, _, bo, _) = friends().await;
    let cy = TestNode::start("Cy").await;
    let cy_seen = ann.meet(&cy).await;
    ann.client
        .send(&text("Cy", "secret", Delivery::Delivered))
        .await
        .unwrap();
    (ann, bo, cy, cy_seen)
}

fn asked(name: &str, conversations: Option<&[&str]>) -> TokenRequest {
    let conversations = conversations.map(|peers| peers.iter().map(|p| (*p).into()).collect());
    TokenRequest {
        name: Name::new(name).unwrap(),
        read: true,
        send: true,
        metrics: false,
        conversations,
    }
}

async fn token(node: &TestNode, request: TokenRequest) -> String {
    node.client.add_token(&request).await.unwrap().secret
}

/// One request of a bot: the status and the answer.
async fn bot(node: &TestNode, secret: &str, line: &str, body: &str) -> (u16, Value) {
    let json = "\nContent-Type: application/json";
    let request = format!("{line}{json}\nAuthorization: Bearer {secret}");
    let (status, body) = node.http(&request, body).await;
    let value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    (status, value)
}

async fn refused(node: &TestNode, secret: &str, line: &str, body: &str) -> String {
    let (status, value) = bot(node, secret, line, body).await;
    assert_ne!(status, 200, "{line}: {value}");
    value["code"].as_str().unwrap().to_owned()
}

/// What a bot hears, line by line.
pub(crate) async fn listen(
    node: &TestNode,
    secret: &str,
    since: u64,
) -> Lines<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(&node.socket).await.unwrap();
    let request = format!(
        "GET /api/v1/events?since={since} HTTP/1.0\r\nHost: h\r\nAuthorization: Bearer {secret}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("200"));
    while !lines.next_line().await.unwrap().unwrap().is_empty() {}
    lines
}

#[tokio::test]
async fn a_bot_reads_hears_and_writes_in_its_conversation() {
    let (ann, bo, _cy, _) = three().await;
    let secret = token(&ann, asked("bot", Some(&["Bo"]))).await;
    let mut heard = listen(&ann, &secret, 0).await;
    let body = r#"{"to":"Bo","text":"beep","client_id":"1","wait":"delivered","timeout_ms":60000}"#;
    let (status, sent) = bot(&ann, &secret, "POST /api/v1/messages", body).await;
    assert_eq!(
        (status, &sent["state"]),
        (200, &json!("delivered")),
        "{sent}"
    );
    let again = bot(&ann, &secret, "POST /api/v1/messages", body).await;
    assert_eq!(again.1["id"], sent["id"]);
    // What somebody else calls by the same `client_id` is another message.
    let own = SendRequest {
        client_id: Some("1".into()),
        ..text("Bo", "mine", Delivery::Delivered)
    };
    ann.client.send(&own).await.unwrap();
    bo.client
        .send(&text("Ann", "boop", Delivery::Delivered))
        .await
        .unwrap();
    let (_, log) = bot(&ann, &secret, "GET /api/v1/log?peer=Bo", "").await;
    let said: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["hello", "beep", "mine", "boop"]);
    let mut told = Vec::new();
    while told.len() < 4 {
        let line = heard.next_line().await.unwrap().unwrap();
        assert!(!line.contains("secret") && !line.contains("Cy"), "{line}");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["kind"] == "message" && event["new"] == true {
            told.push(event["message"]["text"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(told, said);
    let (_, peers) = bot(&ann, &secret, "GET /api/v1/peers", "").await;
    assert_eq!(peers.as_array().unwrap().len(), 1);
    let typing = bot(&ann, &secret, "POST /api/v1/peers/Bo/typing", "").await;
    assert_eq!(typing.0, 200);
}

#[tokio::test]
async fn a_bot_learns_of_nobody_else() {
    let (ann, _bo, cy, cy_seen) = three().await;
    let secret = token(&ann, asked("bot", Some(&["Bo"]))).await;
    let id = cy_seen.id;
    // Somebody who is there and somebody who is not are the same to it.
    for peer in ["Cy", "Nobody", &cy_seen.tag, &id.to_string(), "Cy~aaaa", ""] {
        for line in [
            format!("GET /api/v1/log?peer={peer}"),
            format!("GET /api/v1/peers/{peer}"),
            format!("POST /api/v1/peers/{peer}/typing"),
        ] {
            if peer.is_empty() && line.contains("/peers/") {
                continue;
            }
            let (status, answer) = bot(&ann, &secret, &line, "").await;
            let said = (
                status,
                answer["code"].as_str().unwrap(),
                answer["detail"].as_str().unwrap(),
            );
            let same = (403, "not_allowed", "the token is not for this conversation");
            assert_eq!(said, same, "{line}");
        }
        let body = format!(r#"{{"to":"{peer}","text":"x"}}"#);
        let code = refused(&ann, &secret, "POST /api/v1/messages", &body).await;
        assert_eq!(code, "not_allowed");
    }
    assert_eq!(
        refused(&ann, &secret, "GET /api/v1/log?search=secret", "").await,
        "not_allowed"
    );
    // Two of one name: the one it may see is the one it means, and the other stays unknown.
    let other = TestNode::start("Bo").await;
    let other_seen = ann.meet(&other).await;
    let (status, bo) = bot(&ann, &secret, "GET /api/v1/peers/Bo", "").await;
    assert_eq!(status, 200, "{bo}");
    assert_ne!(bo["id"], other_seen.id.to_string());
    // A message of another conversation answers nothing, and cannot be reacted to.
    let query = LogQuery {
        peer: Some("Cy".into()),
        ..LogQuery::default()
    };
    let theirs = &ann.client.log(&query).await.unwrap()[0].id;
    for side in ["before", "after"] {
        let line = format!("GET /api/v1/log?peer=Bo&{side}={theirs}");
        let code = refused(&ann, &secret, &line, "").await;
        assert_eq!(code, "no_such_message", "{line}");
    }
    for body in [
        json!({ "to": "Bo", "text": "x", "reply_to": theirs }),
        json!({ "to": "Bo", "reaction": { "target": theirs, "emoji": "x" } }),
    ] {
        let code = refused(&ann, &secret, "POST /api/v1/messages", &body.to_string()).await;
        assert_eq!(code, "no_such_message");
    }
    drop(cy);
}

#[tokio::test]
async fn a_bot_hears_nothing_of_others_even_of_what_is_live() {
    let (ann, bo, cy, cy_seen) = three().await;
    let secret = token(&ann, asked("bot", Some(&["Bo"]))).await;
    let since = ann.client.status().await.unwrap().event;
    let mut heard = listen(&ann, &secret, since).await;
    cy.client.typing("Ann").await.unwrap();
    let mut events = ann.client.events(None).await.unwrap();
    cy.client
        .send(&text("Ann", "psst", Delivery::Delivered))
        .await
        .unwrap();
    until(&mut events, |kind| {
        matches!(kind, EventKind::Message { .. }).then_some(())
    })
    .await;
    ann.client.call_peer("Bo".into()).await.unwrap();
    ann.client.block("Cy").await.unwrap();
    ann.client.forget("Cy").await.unwrap();
    bo.client
        .send(&text("Ann", "last", Delivery::Delivered))
        .await
        .unwrap();
    loop {
        let line = heard.next_line().await.unwrap().unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        let kind = event["kind"].as_str().unwrap();
        assert!(!line.contains(&cy_seen.id.to_string()), "{line}");
        assert!(
            ["message", "peer", "state", "read_up_to", "typing"].contains(&kind),
            "{line}"
        );
        if event["message"]["text"] == "last" {
            break;
        }
    }
}

#[tokio::test]
async fn a_token_never_opens_what_is_the_owners() {
    let (ann, _bo, _cy, _) = three().await;
    let all = token(&ann, asked("all", None)).await;
    let mut open = Vec::new();
    let document = document(&ann).await;
    for (method, path, _) in operations(&document) {
        let line = format!("{method} {}", path.replace(['{', '}'], ""));
        if path.ends_with("/events") {
            open.push(format!("{method} {path}"));
            continue;
        }
        let (status, answer) = bot(&ann, &all, &line, "{}").await;
        if answer["code"] == "not_allowed" {
            assert_eq!(status, 403, "{line}");
        } else {
            open.push(format!("{method} {path}"));
        }
    }
    open.sort();
    // What reads and sends; the ticket is for whoever was given one.
    assert_eq!(
        open,
        [
            "GET /api/v1/events",
            "GET /api/v1/log",
            "GET /api/v1/openapi.json",
            "GET /api/v1/peers",
            "GET /api/v1/peers/{peer}",
            "POST /api/v1/messages",
            "POST /api/v1/peers/{peer}/read",
            "POST /api/v1/peers/{peer}/typing",
            "POST /api/v1/ticket",
        ]
    );
    // Nothing was made, revoked or stopped by trying.
    assert_eq!(ann.client.tokens().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_for_what_it_says() {
    let (ann, _bo, _cy, _) = three().await;
    let only = |name: &str, read, send, metrics| TokenRequest {
        read,
        send,
        metrics,
        ..asked(name, None)
    };
    let reader = token(&ann, only("reader", true, false, false)).await;
    let sender = token(&ann, only("sender", false, true, false)).await;
    let scraper = token(&ann, only("scraper", false, false, true)).await;
    let send = ("POST /api/v1/messages", r#"{"to":"Bo","text":"x"}"#);
    let read = ("GET /api/v1/log?peer=Bo", "");
    let hear = ("GET /api/v1/events?since=x", "");
    let scrape = ("GET /metrics", "");
    for (secret, may) in [
        (&reader, [false, true, true, false]),
        (&sender, [true, false, false, false]),
        (&scraper, [false, false, false, true]),
    ] {
        for ((line, body), may) in [send, read, hear, scrape].into_iter().zip(may) {
            let (status, answer) = bot(&ann, secret, line, body).await;
            // Whoever may listen is told that `x` is no event.
            let allowed = answer["code"] != "not_allowed";
            assert_eq!(allowed, may, "{line}: {status} {answer}");
        }
    }
    // What the person has written is not for a bot to change.
    let query = LogQuery {
        peer: Some("Bo".into()),
        ..LogQuery::default()
    };
    let own = &ann.client.log(&query).await.unwrap()[0].id;
    for body in [
        json!({ "to": "Bo", "text": "y", "edit": own }),
        json!({ "to": "Bo", "delete": own }),
    ] {
        let code = refused(&ann, &sender, send.0, &body.to_string()).await;
        assert_eq!(code, "not_allowed");
    }
    assert_eq!(
        ann.client.log(&query).await.unwrap()[0].text.as_deref(),
        Some("hello")
    );
    let nothing = only("nothing", false, false, false);
    assert_eq!(code(ann.client.add_token(&nothing).await), "bad_request");
    let nowhere = asked("nowhere", Some(&[]));
    assert_eq!(code(ann.client.add_token(&nowhere).await), "bad_request");
    assert_eq!(
        code(
            ann.client
                .add_token(&only("reader", true, false, false))
                .await
        ),
        "token_exists"
    );
    let unknown = asked("unknown", Some(&["Nobody"]));
    assert_eq!(code(ann.client.add_token(&unknown).await), "no_such_peer");
}

#[tokio::test]
async fn a_revoked_token_ends_what_its_bot_is_doing() {
    let (ann, _bo, _cy, _) = three().await;
    let secret = token(&ann, asked("bot", Some(&["Bo"]))).await;
    let other = token(&ann, asked("other", Some(&["Bo"]))).await;
    let since = ann.client.status().await.unwrap().event;
    let mut heard = listen(&ann, &secret, since).await;
    let mut others = listen(&ann, &other, since).await;
    // It waits for what does not come: nobody has read anything.
    let body = r#"{"to":"Bo","text":"x","wait":"read","timeout_ms":3600000}"#;
    let waiting = bot(&ann, &secret, "POST /api/v1/messages", body);
    let revoking = async {
        while !heard
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("\"delivered\"")
        {}
        ann.client
            .revoke_token(&Name::new("bot").unwrap())
            .await
            .unwrap();
        while heard.next_line().await.unwrap().is_some() {}
    };
    let ((status, answer), ()) = tokio::join!(waiting, revoking);
    assert_eq!((status, &answer["code"]), (401, &json!("no_token")));
    assert_eq!(
        refused(&ann, &secret, "GET /api/v1/log?peer=Bo", "").await,
        "no_token"
    );
    assert_eq!(
        code(ann.client.revoke_token(&Name::new("bot").unwrap()).await),
        "no_such_token"
    );
    // The other one goes on.
    ann.client
        .send(&text("Bo", "still", Delivery::Queued))
        .await
        .unwrap();
    while !others.next_line().await.unwrap().unwrap().contains("still") {}
}
