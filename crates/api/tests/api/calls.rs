//! Calls through the API.

use crate::node::TestNode;
use crate::talk::{code, friends, until};
use hallway_model::{
    CallDirection, CallEnd, CallOutcome, CallState, CallView, EventKind, MessageView,
};

pub(crate) fn call(kind: &EventKind) -> Option<CallView> {
    if let EventKind::Call { call } = kind {
        Some(CallView::clone(call))
    } else {
        None
    }
}

pub(crate) fn in_state(state: CallState) -> impl Fn(&EventKind) -> Option<CallView> {
    move |kind| call(kind).filter(|call| call.state == state)
}

fn record(kind: &EventKind) -> Option<MessageView> {
    if let EventKind::Message { message, .. } = kind
        && message.call.is_some()
    {
        Some(MessageView::clone(message))
    } else {
        None
    }
}

#[tokio::test]
async fn a_call_from_ring_to_record() {
    let (ann, _, bo, ann_seen) = friends().await;
    let mut at_ann = ann.client.events(None).await.unwrap();
    let mut at_bo = bo.client.events(None).await.unwrap();
    let begun = ann.client.call_peer("Bo".into()).await.unwrap();
    assert_eq!(begun.direction, CallDirection::Outgoing);
    let rings = until(&mut at_bo, in_state(CallState::Ringing)).await;
    assert_eq!((rings.id, rings.peer), (begun.id, ann_seen.id));
    until(&mut at_ann, in_state(CallState::Ringing)).await;
    assert_eq!(bo.client.calls().await.unwrap().len(), 1);

    assert_eq!(
        bo.client.answer(None).await.unwrap().state,
        CallState::Active
    );
    until(&mut at_ann, in_state(CallState::Active)).await;
    // By peer, by id and without either.
    assert!(ann.client.mute(Some("Bo"), true).await.unwrap().muted);
    until(&mut at_bo, |kind| {
        call(kind).filter(|call| call.muted_by_them)
    })
    .await;
    let id = begun.id.to_string();
    assert!(
        !ann.client
            .push_to_talk(Some(&id), true)
            .await
            .unwrap()
            .muted
    );
    assert!(ann.client.push_to_talk(None, false).await.unwrap().muted);
    assert!(bo.client.hold(None, true).await.unwrap().held);
    until(&mut at_ann, |kind| {
        call(kind).filter(|call| call.held_by_them)
    })
    .await;
    assert!(!bo.client.hold(None, false).await.unwrap().held);

    let over = ann.client.hang_up(None).await.unwrap();
    assert_eq!(over.end, Some(CallEnd::HungUp));
    let ended = until(&mut at_bo, in_state(CallState::Ended)).await;
    assert_eq!(ended.end, Some(CallEnd::HungUp));
    assert!(ended.detail.unwrap().contains("Ann"));
    let message = until(&mut at_bo, record).await;
    assert_eq!((message.id, message.kind.as_str()), (id, "call"));
    for node in [&ann, &bo] {
        let history = node.client.call_history(None).await.unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].call.unwrap().outcome, CallOutcome::Answered);
        assert!(node.client.calls().await.unwrap().is_empty());
    }
    let unread = bo.client.peer("Ann").await.unwrap().unread;
    ann.client.call_peer("Bo".into()).await.unwrap();
    until(&mut at_bo, in_state(CallState::Ringing)).await;
    ann.client.hang_up(None).await.unwrap();
    until(&mut at_bo, record).await;
    let now = bo.client.peer("Ann").await.unwrap().unread;
    assert_eq!(
        now,
        unread + 1,
        "a missed call is news, one that was answered is not"
    );
}

#[tokio::test]
async fn what_cannot_be_done_with_calls_is_refused() {
    let (ann, _, bo, _) = friends().await;
    for call in [None, Some("Bo"), Some("00112233445566778899aabbccddeeff")] {
        assert_eq!(
            code(ann.client.answer(call).await),
            "no_such_call",
            "{call:?}"
        );
        assert_eq!(code(ann.client.hang_up(call).await), "no_such_call");
        assert_eq!(code(ann.client.mute(call, true).await), "no_such_call");
        assert_eq!(code(ann.client.hold(call, true).await), "no_such_call");
    }
    assert_eq!(
        code(ann.client.answer(Some("Nobody")).await),
        "no_such_peer"
    );
    assert_eq!(
        code(ann.client.call_peer("Nobody".into()).await),
        "no_such_peer"
    );
    ann.client.call_peer("Bo".into()).await.unwrap();
    assert_eq!(code(ann.client.call_peer("Bo".into()).await), "call_busy");
    ann.client.block("Bo").await.unwrap();
    assert_eq!(code(ann.client.call_peer("Bo".into()).await), "blocked");
    drop(bo);
    let node = TestNode::start("Cy").await;
    let post = "POST /api/v1/calls\nContent-Type: application/json";
    let (status, body) = node.http(post, r#"{"peer": "x", "wall": 1}"#).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("wall"), "{body}");
}
