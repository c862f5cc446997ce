//! Every route with good and bad requests, against a real node, as `curl` would send them.

use crate::node::TestNode;
use hallway_model::PeerId;
use serde_json::Value;

const JSON: &str = "\nContent-Type: application/json";

/// Asserts the status and, of a problem, the code and a part of the detail.
async fn check(node: &TestNode, request: &str, body: &str, expected: (u16, &str, &str)) {
    let (status, reply) = node.http(request, body).await;
    let value: Value = serde_json::from_str(&reply).unwrap();
    let of = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (expected_status, code, detail) = expected;
    assert_eq!(
        (status, of("code")),
        (expected_status, code),
        "{request}: {reply}"
    );
    assert!(of("detail").contains(detail), "{request}: {reply}");
    if status != 200 {
        assert_eq!(of("type"), format!("urn:hallway:problem:{code}"));
        assert_eq!(value["status"], status);
        assert!(!of("title").is_empty());
    }
}

#[tokio::test]
async fn requests_that_are_wrong_are_told_what_is_wrong() {
    let node = TestNode::start("Ann").await;
    let me = node.client.status().await.unwrap().id;
    let stranger = PeerId([7; 32]).to_string();
    let mut typo = stranger.clone();
    typo.replace_range(9..10, "z");
    let post = |path: &str| format!("POST /api/v1/{path}{JSON}");
    let get = |path: &str| format!("GET /api/v1/{path}");

    let table = [
        (
            get("nowhere"),
            String::new(),
            (404, "no_such_route", "/api/v1/nowhere"),
        ),
        (
            "GET /".into(),
            String::new(),
            (404, "no_such_route", "at /"),
        ),
        (
            "DELETE /api/v1/peers".into(),
            String::new(),
            (405, "wrong_method", "DELETE"),
        ),
        (post("messages"), "{".into(), (400, "bad_request", "JSON")),
        (post("messages"), "{}".into(), (400, "bad_request", "`to`")),
        (
            post("messages"),
            r#"{"to":"Bo","text":"hi","replyto":"x"}"#.into(),
            (400, "bad_request", "`replyto`"),
        ),
        (
            post("messages"),
            r#"{"to":"Bo","text":1}"#.into(),
            (400, "bad_request", "text:"),
        ),
        (
            post("messages"),
            r#"{"to":"Bo","text":"hi","edit":"12"}"#.into(),
            (400, "bad_request", "32 digits"),
        ),
        (
            post("messages"),
            r#"{"to":"Bo"}"#.into(),
            (400, "bad_request", "`text`"),
        ),
        (
            post("messages"),
            format!(r#"{{"to":"Bo","text":"hi","delete":"{:032}"}}"#, 0),
            (400, "bad_request", "one of"),
        ),
        (
            post("messages"),
            r#"{"to":"Bo","text":"hi"}"#.into(),
            (404, "no_such_peer", "Bo"),
        ),
        (
            post("messages"),
            format!(r#"{{"to":"{typo}","text":"hi"}}"#),
            (400, "bad_id", "character 10"),
        ),
        (
            post("messages"),
            format!(r#"{{"to":"{me}","text":"hi"}}"#),
            (422, "oneself", ""),
        ),
        (
            post("messages"),
            format!(r#"{{"to":"{stranger}","text":""}}"#),
            (422, "bad_value", "empty"),
        ),
        (
            post("messages"),
            format!(
                r#"{{"to":"{stranger}","text":"{}"}}"#,
                "x".repeat(32 * 1024 + 1)
            ),
            (413, "too_long", "32768"),
        ),
        (
            "POST /api/v1/messages".into(),
            "{}".into(),
            (415, "wrong_media_type", "application/json"),
        ),
        (get("log"), String::new(), (400, "bad_request", "`peer`")),
        (
            get("log?peer=Bo"),
            String::new(),
            (404, "no_such_peer", "Bo"),
        ),
        (
            get("log?search=x&limit=1001"),
            String::new(),
            (400, "bad_request", "1000"),
        ),
        (
            get("log?search=x&serach=y"),
            String::new(),
            (400, "bad_request", "`serach`"),
        ),
        (
            get("log?search=x&limit=-1"),
            String::new(),
            (400, "bad_request", "limit"),
        ),
        (
            format!("GET /api/v1/log?peer={stranger}&before={:032}", 0),
            String::new(),
            (404, "no_such_message", "`before`"),
        ),
        (
            format!("GET /api/v1/log?peer={stranger}&after={:032}", 0),
            String::new(),
            (404, "no_such_message", "`after`"),
        ),
        (
            format!(
                "GET /api/v1/log?peer={stranger}&before={0:032}&after={0:032}",
                0
            ),
            String::new(),
            (400, "bad_request", "`after`"),
        ),
        (
            get("events?since=x"),
            String::new(),
            (400, "bad_request", "since"),
        ),
        (
            format!("{}\nLast-Event-ID: x", get("events")),
            String::new(),
            (400, "bad_request", "Last-Event-ID"),
        ),
        (
            get("peers/%FF"),
            String::new(),
            (400, "bad_request", "UTF-8"),
        ),
        (
            get("files/%FF/content"),
            String::new(),
            (400, "bad_request", "UTF-8"),
        ),
        (
            "DELETE /api/v1/tokens/%FF".into(),
            String::new(),
            (400, "bad_request", "UTF-8"),
        ),
        (
            post("calls/%FF/answer"),
            String::new(),
            (400, "bad_request", "UTF-8"),
        ),
        (
            format!("PUT /api/v1/settings{JSON}"),
            " [null]".into(),
            (400, "bad_request", "a list"),
        ),
        (
            "POST /api/v1/messages\nContent-Type: application/jsonp".into(),
            "{}".into(),
            (415, "wrong_media_type", "application/json"),
        ),
        (
            get("events?since=-1"),
            String::new(),
            (400, "bad_request", "since"),
        ),
        (
            get("events?since=1.5"),
            String::new(),
            (400, "bad_request", "since"),
        ),
        (
            get("events?since=18446744073709551616"),
            String::new(),
            (400, "bad_request", "since"),
        ),
        (
            get("events?since=1&since=2"),
            String::new(),
            (400, "bad_request", "since"),
        ),
        (
            post("peers/Bo/block"),
            String::new(),
            (404, "no_such_peer", "Bo"),
        ),
        (
            post("connect"),
            r#"{"address":"a:b:c"}"#.into(),
            (422, "bad_value", "IPv6"),
        ),
        (
            post("connect"),
            r#"{"address":"127.0.0.1:1"}"#.into(),
            (504, "unreachable", "127.0.0.1:1"),
        ),
        (
            format!("PUT /api/v1/name{JSON}"),
            "{\"name\":\"a\\u0007b\"}".into(),
            (400, "bad_request", "U+0007"),
        ),
        (
            format!("PUT /api/v1/settings{JSON}"),
            r#"{"accept_files_bytes":-1}"#.into(),
            (400, "bad_request", "accept_files_bytes"),
        ),
        (
            format!("PUT /api/v1/status{JSON}"),
            r#"{"status":"asleep"}"#.into(),
            (400, "bad_request", "`asleep`"),
        ),
    ];
    for (request, body, expected) in table {
        check(&node, &request, &body, expected).await;
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_not() {
    let node = TestNode::start("Ann").await;
    let request = format!("POST /api/v1/messages{JSON}");
    let body = |bytes: usize| {
        let empty = r#"{"to":"Bo","text":""}"#;
        format!(
            r#"{{"to":"Bo","text":"{}"}}"#,
            "x".repeat(bytes - empty.len())
        )
    };
    check(
        &node,
        &request,
        &body(1024 * 1024),
        (404, "no_such_peer", ""),
    )
    .await;
    check(
        &node,
        &request,
        &body(1024 * 1024 + 1),
        (413, "too_large", "1048576"),
    )
    .await;
}

#[tokio::test]
async fn the_node_is_shown_renamed_and_stopped() {
    let node = TestNode::start("Ann").await;
    let (status, body) = node.http("GET /api/v1/status", "").await;
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &shown["name"]), (200, &"Ann".into()));
    assert_eq!(shown["pid"], std::process::id());
    for field in [
        "id",
        "tag",
        "port",
        "sessions",
        "addresses",
        "version",
        "counters",
        "event",
    ] {
        assert!(!shown[field].is_null(), "{field} is missing in {body}");
    }
    let renamed = node
        .http(&format!("PUT /api/v1/name{JSON}"), r#"{"name":" 王小明 "}"#)
        .await;
    assert_eq!(renamed, (200, "{}".into()));
    let away = node
        .http(&format!("PUT /api/v1/status{JSON}"), r#"{"status":"away"}"#)
        .await;
    assert_eq!(away.0, 200);
    let now = node.client.status().await.unwrap();
    assert_eq!(
        (now.name.as_str(), now.status),
        ("王小明", hallway_model::Status::Away)
    );

    let mut events = node.client.events(None).await.unwrap();
    assert_eq!(node.http("POST /api/v1/stop", "").await.0, 200);
    assert!(events.next().await.is_none());
    node.handle.stopped().await;
    node.serving.await.unwrap().unwrap();
    assert!(!node.socket.exists());
    let gone = node.client.status().await.unwrap_err();
    assert!(
        matches!(gone, hallway_api::ClientError::NotRunning { .. }),
        "{gone}"
    );
}
