//! The event stream: resumed, slow and in both formats, it leaves nothing out and tells nothing
//! twice.

use crate::node::{TestNode, text};
use futures_util::future::join_all;
use hallway_api::Feed;
use hallway_model::{Body, Command, ConversationId, Delivery, Event, EventKind, PeerId};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Somebody who is never there: messages to them are added and go nowhere.
const NOBODY: PeerId = PeerId([7; 32]);

/// The text of a message that is told as new.
fn new_text(event: &Event) -> Option<String> {
    let EventKind::Message { message, new: true } = &event.kind else {
        return None;
    };
    message.text.clone()
}

async fn write(node: &TestNode, lines: std::ops::Range<usize>) {
    let sends = lines.map(|n| {
        let body = Body::Text {
            text: n.to_string(),
            reply_to: None,
        };
        let to = ConversationId::Peer(NOBODY);
        node.handle.ask(Command::Send {
            to,
            body,
            client_id: None,
        })
    });
    for sent in join_all(sends).await {
        sent.unwrap().unwrap();
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn a_listener_that_comes_back_again_and_again_misses_and_repeats_nothing() {
    let node = TestNode::start("Ann").await;
    let listening = async {
        let (mut since, mut told) = (0, Vec::new());
        // Connections of one event, of two, and so on, while messages are being written.
        for events in (1..=20).cycle() {
            let mut stream = node.client.events(Some(since)).await.unwrap();
            for _ in 0..events {
                let event = stream.next().await.unwrap().unwrap();
                assert!(event.event >= since);
                since = event.event;
                told.extend(new_text(&event));
                if told.len() == 600 {
                    return told;
                }
            }
        }
        told
    };
    let writing = async {
        for block in 0..60 {
            write(&node, block * 10..block * 10 + 10).await;
        }
    };
    let (told, ()) = tokio::join!(listening, writing);
    assert_eq!(told, numbers(0..600));
}

#[tokio::test]
async fn a_listener_too_slow_for_the_backlog_is_caught_up_from_disk() {
    let node = TestNode::start("Ann").await;
    let mut feed = Feed::open(node.handle.clone(), None).await.unwrap();
    // Connected, and reading nothing for now.
    let mut deaf = node.client.events(None).await.unwrap();
    write(&node, 0..1).await;
    while new_text(&feed.next().await.unwrap()).is_none() {}
    // The backlog holds 10,000 events, rounded up to a power of two. That they were told is known
    // once another listener, who keeps up, has heard the last.
    let mut witness = Feed::open(node.handle.clone(), None).await.unwrap();
    let writing = async {
        for start in (1..17_001).step_by(500) {
            write(&node, start..start + 500).await;
        }
    };
    let hearing =
        async { while new_text(&witness.next().await.unwrap()).as_deref() != Some("17000") {} };
    tokio::join!(writing, hearing);
    let lagged = feed.next().await.unwrap();
    assert!(matches!(lagged.kind, EventKind::Notice { ref code, .. } if code == "lagged"));
    write(&node, 17_001..17_010).await;
    let (mut told, mut last) = (Vec::new(), 0);
    while told.len() < 17_009 {
        let event = feed.next().await.unwrap();
        if let Some(text) = new_text(&event) {
            assert!(event.event > last, "a change out of order");
            last = event.event;
            told.push(text.parse::<usize>().unwrap());
        }
    }
    // Requests made at once are carried out in any order.
    told.sort_unstable();
    assert!(told.into_iter().eq(1..17_010), "a gap or a repetition");
    // Whoever did not read at all held up nobody, and has missed nothing either.
    let (mut told, mut lagged) = (Vec::new(), 0);
    while told.len() < 17_010 {
        let event = deaf.next().await.unwrap().unwrap();
        let is_lag = matches!(&event.kind, EventKind::Notice { code, .. } if code == "lagged");
        lagged += usize::from(is_lag);
        told.extend(new_text(&event).map(|text| text.parse::<usize>().unwrap()));
    }
    told.sort_unstable();
    assert!(told.into_iter().eq(0..17_010) && lagged == 1, "{lagged}");
}

#[tokio::test]
async fn a_cursor_of_another_database_does_not_make_deaf() {
    let node = TestNode::start("Ann").await;
    let mut stream = node.client.events(Some(1_000_000)).await.unwrap();
    write(&node, 0..1).await;
    let told = loop {
        let event = stream.next().await.unwrap().unwrap();
        assert!(event.event < 1_000_000);
        if let Some(text) = new_text(&event) {
            break text;
        }
    };
    assert_eq!(told, "0");
}

#[tokio::test]
async fn a_change_made_while_away_is_told_once_and_not_as_new() {
    let node = TestNode::start("Ann").await;
    let to = NOBODY.to_string();
    let sent = node
        .client
        .send(&text(&to, "frist", Delivery::Queued))
        .await
        .unwrap();
    let seen = node.client.status().await.unwrap().event;
    let mut edit = text(&to, "first", Delivery::Queued);
    edit.edit = Some(sent.id);
    node.client.send(&edit).await.unwrap();
    write(&node, 0..1).await;
    let mut stream = node.client.events(Some(seen)).await.unwrap();
    let changed = stream.next().await.unwrap().unwrap();
    let EventKind::Message {
        message,
        new: false,
    } = changed.kind
    else {
        panic!("{changed:?}")
    };
    assert_eq!(
        (message.text.as_deref(), message.edited),
        (Some("first"), true)
    );
    assert_eq!(
        new_text(&stream.next().await.unwrap().unwrap()).unwrap(),
        "0"
    );
}

#[tokio::test]
async fn a_message_that_changed_long_after_it_came_is_new_to_who_did_not_know_it() {
    let node = TestNode::start("Ann").await;
    let to = NOBODY.to_string();
    let sent = node
        .client
        .send(&text(&to, "frist", Delivery::Queued))
        .await;
    let mut edit = text(&to, "first", Delivery::Queued);
    edit.edit = Some(sent.unwrap().id);
    // More than is read from disk at once lies between the two.
    write(&node, 0..1200).await;
    node.client.send(&edit).await.unwrap();
    let mut feed = Feed::open(node.handle.clone(), Some(0)).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|text| text != "first") {
        told.extend(new_text(&feed.next().await.unwrap()));
    }
    assert_eq!(told.len(), 1201);
}

#[tokio::test]
async fn a_hundred_listen_at_once_and_each_hears_all() {
    let node = TestNode::start("Ann").await;
    write(&node, 0..50).await;
    let listen = async || {
        let mut stream = node.client.events(Some(0)).await.unwrap();
        let mut told = Vec::new();
        while told.len() < 100 {
            told.extend(new_text(&stream.next().await.unwrap().unwrap()));
        }
        told
    };
    let listening = join_all((0..100).map(|_| listen()));
    let (all, ()) = tokio::join!(listening, write(&node, 50..100));
    for mut told in all {
        // Requests made at once are carried out in any order.
        told.sort_unstable_by_key(|text| text.parse::<usize>().unwrap());
        assert_eq!(told, numbers(0..100));
    }
}

/// The ids and the data of so many server-sent events.
async fn sse(node: &TestNode, path: &str, headers: &str, count: usize) -> (Vec<u64>, Vec<Event>) {
    let mut stream = UnixStream::connect(&node.socket).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let (mut ids, mut events, mut is_sse) = (Vec::new(), Vec::new(), false);
    while events.len() < count {
        let line = lines.next_line().await.unwrap().unwrap();
        is_sse |= line.eq_ignore_ascii_case("content-type: text/event-stream");
        ids.extend(
            line.strip_prefix("id: ")
                .map(|id| id.parse::<u64>().unwrap()),
        );
        let data = line.strip_prefix("data: ");
        events.extend(data.map(|data| serde_json::from_str::<Event>(data).unwrap()));
    }
    assert!(is_sse);
    ids.truncate(count);
    (ids, events)
}

#[tokio::test]
async fn browsers_get_events_with_ids_and_come_back_with_the_last() {
    let node = TestNode::start("Ann").await;
    write(&node, 0..4).await;
    let (ids, events) = sse(&node, "/api/v1/events?since=0", "", 2).await;
    assert_eq!(
        events.iter().filter_map(new_text).collect::<Vec<_>>(),
        numbers(0..2)
    );
    assert_eq!(
        ids,
        events.iter().map(|event| event.event).collect::<Vec<_>>()
    );
    // The header counts more than the address, which a browser repeats as it was.
    let last = format!("Last-Event-ID: {}\r\n", ids[1]);
    let (_, events) = sse(&node, "/api/v1/events?since=0", &last, 2).await;
    assert_eq!(
        events.iter().filter_map(new_text).collect::<Vec<_>>(),
        numbers(2..4)
    );
}
