//! Two or three real nodes talk through their APIs.

use crate::node::{PATIENCE_MS, TestNode, text};
use hallway_api::{ClientError, LogQuery, ReactionRequest, SendRequest};
use hallway_model::{Delivery, Event, EventKind, PeerView, Presence};

/// The code of a refusal.
pub(crate) fn code<T>(refused: Result<T, ClientError>) -> String {
    match refused {
        Err(ClientError::Refused(problem)) => problem.code.into_owned(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// The next event that `wanted` makes something of.
pub(crate) async fn until<T>(
    events: &mut hallway_api::Lines<Event>,
    wanted: impl Fn(&EventKind) -> Option<T>,
) -> T {
    loop {
        let event = events.next().await.unwrap().unwrap();
        if let Some(found) = wanted(&event.kind) {
            return found;
        }
    }
}

fn request(kind: &EventKind) -> Option<PeerView> {
    let EventKind::Request { peer } = kind else {
        return None;
    };
    Some(PeerView::clone(peer))
}

async fn log(node: &TestNode, peer: &PeerView) -> Vec<String> {
    let query = LogQuery {
        peer: Some(peer.id.to_string()),
        ..LogQuery::default()
    };
    let messages = node.client.log(&query).await.unwrap();
    messages
        .into_iter()
        .map(|message| message.text.unwrap_or_default())
        .collect()
}

/// Two nodes that know each other as contacts.
pub(crate) async fn friends() -> (TestNode, PeerView, TestNode, PeerView) {
    let (ann, bo) = (TestNode::start("Ann").await, TestNode::start("Bo").await);
    let bo_seen = ann.meet(&bo).await;
    let mut events = bo.client.events(None).await.unwrap();
    ann.client
        .send(&text("Bo", "hello", Delivery::Queued))
        .await
        .unwrap();
    let ann_seen = until(&mut events, request).await;
    bo.client.accept("Ann").await.unwrap();
    (ann, bo_seen, bo, ann_seen)
}

#[tokio::test]
async fn a_stranger_waits_as_a_request_and_is_accepted() {
    let (ann, bo) = (TestNode::start("Ann").await, TestNode::start("Bo").await);
    let seen = ann.meet(&bo).await;
    assert_eq!(
        (seen.name.as_str(), seen.state, seen.contact),
        ("Bo", Presence::Live, false)
    );
    let mut events = bo.client.events(None).await.unwrap();
    let sent = ann
        .client
        .send(&text("Bo", "it is me", Delivery::Delivered))
        .await
        .unwrap();
    assert_eq!((sent.to, sent.state), (seen.id, Delivery::Delivered));
    let asking = until(&mut events, request).await;
    assert!(asking.request && !asking.contact);
    assert_eq!(bo.client.requests().await.unwrap().len(), 1);
    let accepted = bo.client.accept(&asking.tag).await.unwrap();
    assert!(accepted.contact && !accepted.request);
    assert!(bo.client.requests().await.unwrap().is_empty());
    assert_eq!(log(&bo, &accepted).await, ["it is me"]);
}

#[tokio::test]
async fn a_message_is_answered_changed_and_taken_back() {
    let (ann, bo, bob, ann_seen) = friends().await;
    let send = async |node: &TestNode, request: SendRequest| {
        let wait = Some(Delivery::Delivered);
        let request = SendRequest {
            wait,
            timeout_ms: Some(PATIENCE_MS),
            ..request
        };
        let sent = node.client.send(&request).await.unwrap();
        assert_eq!(sent.state, Delivery::Delivered);
        sent.id
    };
    let to = |peer: &PeerView| SendRequest {
        to: peer.id.to_string(),
        ..SendRequest::default()
    };
    let first = send(
        &ann,
        SendRequest {
            text: Some("frist".into()),
            ..to(&bo)
        },
    )
    .await;
    let edit = SendRequest {
        text: Some("first".into()),
        edit: Some(first),
        ..to(&bo)
    };
    send(&ann, edit).await;
    let answer = SendRequest {
        text: Some("yes".into()),
        reply_to: Some(first),
        ..to(&ann_seen)
    };
    let second = send(&bob, answer).await;
    let emoji = ReactionRequest {
        target: second,
        emoji: "👍".into(),
        on: true,
    };
    send(
        &ann,
        SendRequest {
            reaction: Some(emoji),
            ..to(&bo)
        },
    )
    .await;
    let third = send(
        &ann,
        SendRequest {
            text: Some("oops".into()),
            ..to(&bo)
        },
    )
    .await;
    send(
        &ann,
        SendRequest {
            delete: Some(third),
            ..to(&bo)
        },
    )
    .await;

    for (node, peer) in [(&ann, &bo), (&bob, &ann_seen)] {
        let query = LogQuery {
            peer: Some(peer.id.to_string()),
            ..LogQuery::default()
        };
        let shown = node.client.log(&query).await.unwrap();
        let texts: Vec<_> = shown.iter().map(|m| m.text.as_deref()).collect();
        assert_eq!(texts, [Some("hello"), Some("first"), Some("yes"), None]);
        assert!(shown[1].edited && shown[3].deleted);
        assert_eq!(
            shown[2].reply_to.as_ref().unwrap().text.as_deref(),
            Some("first")
        );
        assert_eq!(shown[2].reactions[0].emoji, "👍");
    }
}

#[tokio::test]
async fn a_message_waits_for_who_is_away_and_a_repeated_request_sends_once() {
    let (ann, bo, bob, _) = friends().await;
    let mut at_ann = ann.client.events(None).await.unwrap();
    bob.handle.stop();
    // The goodbye is on its way when Bo has stopped.
    until(&mut at_ann, |kind| {
        let gone = matches!(kind, EventKind::Peer { peer } if peer.state == Presence::Offline);
        gone.then_some(())
    })
    .await;
    let request = SendRequest {
        client_id: Some("once".into()),
        timeout_ms: Some(0),
        ..text("Bo", "later", Delivery::Delivered)
    };
    let first = ann.client.send(&request).await.unwrap();
    let again = ann.client.send(&request).await.unwrap();
    assert_eq!((first.id, first.state), (again.id, Delivery::Queued));
    assert_eq!(log(&ann, &bo).await, ["hello", "later"]);
}

#[tokio::test]
async fn a_repeated_request_tells_how_far_the_message_has_come() {
    let (ann, _, _bob, _) = friends().await;
    let request = SendRequest {
        client_id: Some("once".into()),
        ..text("Bo", "here", Delivery::Delivered)
    };
    let first = ann.client.send(&request).await.unwrap();
    let again = ann.client.send(&request).await.unwrap();
    assert_eq!((first.id, first.state), (again.id, Delivery::Delivered));
    assert_eq!(again.state, Delivery::Delivered);
}

#[tokio::test]
async fn the_log_is_paged_searched_and_bounded_in_time() {
    let (ann, bo, _bob, _) = friends().await;
    for n in 1..=5 {
        let line = format!("line {n} 午饭吃什么");
        ann.client
            .send(&text("Bo", &line, Delivery::Queued))
            .await
            .unwrap();
    }
    let of = async |query: LogQuery| {
        let found = ann.client.log(&query).await.unwrap();
        let texts = found
            .iter()
            .map(|m| m.text.clone().unwrap())
            .collect::<Vec<_>>();
        (texts.join("|").replace(" 午饭吃什么", ""), found)
    };
    let peer = Some(bo.tag.clone());
    let (last, found) = of(LogQuery {
        peer: peer.clone(),
        limit: Some(2),
        ..LogQuery::default()
    })
    .await;
    assert_eq!(last, "line 4|line 5");
    let before = found[0].id.parse().ok();
    let query = LogQuery {
        peer: peer.clone(),
        limit: Some(3),
        before,
        ..LogQuery::default()
    };
    let (earlier, found) = of(query).await;
    assert_eq!(earlier, "line 1|line 2|line 3");
    let query = LogQuery {
        peer: peer.clone(),
        limit: Some(2),
        after: found[0].id.parse().ok(),
        ..LogQuery::default()
    };
    assert_eq!(of(query).await.0, "line 2|line 3");
    let search = |words: &str| LogQuery {
        search: Some(words.into()),
        ..LogQuery::default()
    };
    assert_eq!(of(search("午饭 3")).await.0, "line 3");
    assert_eq!(
        of(LogQuery {
            limit: Some(1),
            ..search("饭")
        })
        .await
        .0,
        "line 5"
    );
    assert_eq!(
        of(LogQuery {
            peer: peer.clone(),
            ..search("hel")
        })
        .await
        .0,
        "hello"
    );
    let since = Some(found[1].at);
    let now = LogQuery {
        peer: peer.clone(),
        since,
        ..LogQuery::default()
    };
    assert!(of(now).await.0.ends_with("line 5"));
    let since = Some(hallway_model::WallTime(found[1].at.0 + 86_400_000));
    assert_eq!(
        of(LogQuery {
            peer,
            since,
            ..LogQuery::default()
        })
        .await
        .0,
        ""
    );

    let mut export = ann.client.export().await.unwrap();
    let mut lines = 0;
    while let Some(line) = export.next().await {
        assert!(line.unwrap().is_object());
        lines += 1;
    }
    assert!(lines >= 7, "{lines} lines for a peer and six messages");
}

#[tokio::test]
async fn numbers_are_compared_blocks_hold_and_the_forgotten_are_gone() {
    let (ann, bo, bob, ann_seen) = friends().await;
    let ours = ann.client.safety_number("Bo").await.unwrap();
    let theirs = bob.client.safety_number("Ann").await.unwrap();
    assert_eq!(ours.safety_number, theirs.safety_number);
    assert!(!ours.verified);
    assert_eq!(
        code(ann.client.verify("Bo", "12345".into()).await),
        "number_mismatch"
    );
    assert!(
        ann.client
            .verify("Bo", theirs.safety_number)
            .await
            .unwrap()
            .verified
    );
    assert!(ann.client.peer("Bo").await.unwrap().verified);

    assert!(ann.client.block("Bo").await.unwrap().blocked);
    assert_eq!(
        code(ann.client.send(&text("Bo", "x", Delivery::Queued)).await),
        "blocked"
    );
    assert!(!ann.client.unblock("Bo").await.unwrap().blocked);
    ann.client
        .send(&text("Bo", "back", Delivery::Delivered))
        .await
        .unwrap();

    assert_eq!(bob.client.forget("Ann").await.unwrap().id, ann_seen.id);
    assert!(log(&bob, &ann_seen).await.is_empty());
    assert_eq!(log(&ann, &bo).await, ["hello", "back"]);
}

#[tokio::test]
async fn one_name_of_two_people_is_refused_with_their_tags() {
    let (ann, bo, _bob, _) = friends().await;
    let other = TestNode::start("Bo").await;
    let other_seen = ann.meet(&other).await;
    let refused = ann
        .client
        .send(&text("Bo", "which?", Delivery::Queued))
        .await;
    let Err(ClientError::Refused(problem)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((&*problem.code, problem.status), ("ambiguous_name", 409));
    let mut tags: Vec<_> = problem.candidates.iter().map(|c| c.tag.clone()).collect();
    let mut expected = [bo.tag, other_seen.tag];
    tags.sort();
    expected.sort();
    assert_eq!(tags, expected);
    let exact = format!("Bo~{}", tags[0]);
    ann.client
        .send(&text(&exact, "you", Delivery::Queued))
        .await
        .unwrap();
}

#[tokio::test]
async fn any_name_comes_through_the_address_as_it_is() {
    let node = TestNode::start("Ann").await;
    for name in [
        ".",
        "..",
        "a/b",
        "/",
        "50%",
        "%2F",
        "a?b#c",
        "a+b",
        "王 小明",
        "x~y\"z",
    ] {
        let refused = node.client.peer(name).await;
        let Err(ClientError::Refused(problem)) = refused else {
            panic!("{name}: {refused:?}")
        };
        assert_eq!(problem.code, "no_such_peer", "{name}");
        assert!(problem.detail.contains(name), "{name}: {}", problem.detail);
        assert_eq!(
            code(node.client.block(name).await),
            "no_such_peer",
            "{name}"
        );
        let query = LogQuery {
            peer: Some(name.into()),
            ..LogQuery::default()
        };
        assert_eq!(
            code(node.client.log(&query).await),
            "no_such_peer",
            "{name}"
        );
    }
}

#[tokio::test]
async fn typing_and_reading_are_told() {
    let (ann, bo, bob, ann_seen) = friends().await;
    let mut at_bo = bob.client.events(None).await.unwrap();
    ann.client.typing("Bo").await.unwrap();
    until(&mut at_bo, |kind| {
        let typing = matches!(kind, EventKind::Typing { id, typing: true } if *id == ann_seen.id);
        typing.then_some(())
    })
    .await;
    let mut at_ann = ann.client.events(None).await.unwrap();
    assert_eq!(bob.client.peer("Ann").await.unwrap().unread, 1);
    bob.client.read("Ann", 1).await.unwrap();
    assert_eq!(bob.client.peers().await.unwrap()[0].unread, 0);
    let seq = until(&mut at_ann, |kind| {
        let EventKind::ReadUpTo { peer, seq, .. } = kind else {
            return None;
        };
        (*peer == bo.id).then_some(*seq)
    })
    .await;
    assert_eq!(seq, 1);
}

#[tokio::test]
async fn the_doctor_looks_at_the_running_node() {
    let node = TestNode::start("Ann").await;
    let report = node.client.doctor(None).await.unwrap();
    assert!(report.checks.iter().all(|check| !check.detail.is_empty()));
    assert!(report.checks.iter().any(|check| check.name == "node"));
    assert_eq!(
        code(node.client.doctor(Some("Bo".into())).await),
        "no_such_peer"
    );
}
