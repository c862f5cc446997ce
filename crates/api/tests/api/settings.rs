//! What a person chooses about the node.

use crate::node::TestNode;
use crate::talk::{code, friends, until};
use hallway_api::{LogQuery, SettingsRequest};
use hallway_model::{Delivery, EventKind, PeerId, Presence, STATIC_PEERS_MAX, WallTime};

#[tokio::test]
async fn what_is_chosen_is_shown_and_the_rest_stays() {
    let (ann, bo, _bo, _) = friends().await;
    let before = ann.client.status().await.unwrap();
    assert!(before.downloads.is_absolute() && before.muted.is_empty());
    let request = SettingsRequest {
        read_receipts: Some(false),
        downloads: Some("/srv/files".into()),
        static_peers: Some(vec!["127.0.0.1:9".into()]),
        ..SettingsRequest::default()
    };
    ann.client.set_settings(&request).await.unwrap();
    ann.client.mute_peer("Bo", true).await.unwrap();
    let after = ann.client.status().await.unwrap();
    assert!(!after.read_receipts);
    assert_eq!(after.downloads.to_str(), Some("/srv/files"));
    assert_eq!(after.static_peers, ["127.0.0.1:9"]);
    assert_eq!(after.muted, [bo.id]);
    assert_eq!(after.accept_files_bytes, before.accept_files_bytes);
    ann.client.mute_peer("Bo", false).await.unwrap();
    assert!(ann.client.status().await.unwrap().muted.is_empty());
}

#[tokio::test]
async fn what_nobody_can_have_is_refused_and_changes_nothing() {
    let ann = TestNode::start("Ann").await;
    let many = |count: usize| (1..=count).map(|n| format!("127.0.0.1:{n}")).collect();
    let with = |static_peers: Vec<String>| SettingsRequest {
        static_peers: Some(static_peers),
        ..SettingsRequest::default()
    };
    let relative = SettingsRequest {
        downloads: Some("files".into()),
        ..SettingsRequest::default()
    };
    ann.client
        .set_settings(&with(many(STATIC_PEERS_MAX)))
        .await
        .unwrap();
    for request in [
        with(many(STATIC_PEERS_MAX + 1)),
        with(vec!["a:b:c".into()]),
        relative,
    ] {
        assert_eq!(code(ann.client.set_settings(&request).await), "bad_value");
    }
    let kept = ann.client.status().await.unwrap();
    assert_eq!(kept.static_peers.len(), STATIC_PEERS_MAX);
    assert!(kept.downloads.is_absolute());
    // What is right beside what is wrong is not taken either.
    let half = SettingsRequest {
        accept_files_bytes: Some(kept.accept_files_bytes + 1),
        read_receipts: Some(!kept.read_receipts),
        downloads: Some("/srv/files".into()),
        static_peers: Some(many(STATIC_PEERS_MAX + 1)),
    };
    assert_eq!(code(ann.client.set_settings(&half).await), "bad_value");
    let after = ann.client.status().await.unwrap();
    assert_eq!(
        (
            after.accept_files_bytes,
            after.read_receipts,
            after.downloads
        ),
        (kept.accept_files_bytes, kept.read_receipts, kept.downloads)
    );
}

#[tokio::test]
async fn who_is_chosen_is_connected_and_who_no_longer_is_dropped_at_once() {
    let (ann, bo_seen, bo, _) = friends().await;
    let cy = TestNode::start("Cy").await;
    let address =
        async |node: &TestNode| format!("127.0.0.1:{}", node.client.status().await.unwrap().port);
    let addresses = [address(&bo).await, address(&cy).await];
    let choose = async |addresses: &[String]| {
        let request = SettingsRequest {
            static_peers: Some(addresses.to_vec()),
            ..SettingsRequest::default()
        };
        ann.client.set_settings(&request).await.unwrap();
    };
    let cy = cy.client.status().await.unwrap().id;
    let is = |wanted: PeerId, live: bool| {
        move |kind: &EventKind| {
            let now = if let EventKind::Peer { peer } = kind {
                peer.id == wanted && (peer.state == Presence::Live) == live
            } else {
                matches!(kind, EventKind::PeerGone { id } if *id == wanted && !live)
            };
            now.then_some(())
        }
    };
    let mut events = ann.client.events(None).await.unwrap();
    // Once more after it was dropped: nothing of the first time is left.
    for _ in 0..2 {
        choose(&addresses).await;
        until(&mut events, is(cy, true)).await;
        choose(&[]).await;
        until(&mut events, is(cy, false)).await;
    }
    // A contact is connected whatever was chosen.
    let bo = ann.client.peer(&bo_seen.id.to_string()).await.unwrap();
    assert_eq!(bo.state, Presence::Live);
}

#[tokio::test]
async fn a_talk_can_be_read_from_a_day_on() {
    let (ann, bo, _bo, _) = friends().await;
    for n in 0..5 {
        let text = crate::node::text("Bo", &format!("text {n}"), Delivery::Queued);
        ann.client.send(&text).await.unwrap();
    }
    let query = |from: u64| LogQuery {
        peer: Some(bo.id.to_string()),
        from: Some(WallTime(from)),
        limit: Some(2),
        ..LogQuery::default()
    };
    let texts = async |from| -> Vec<_> {
        let messages = ann.client.log(&query(from)).await.unwrap();
        messages
            .into_iter()
            .filter_map(|message| message.text)
            .collect()
    };
    assert_eq!(texts(0).await, ["hello", "text 0"]);
    assert!(texts(u64::MAX).await.is_empty());
    let all = LogQuery {
        from: None,
        limit: None,
        ..query(0)
    };
    let last = ann.client.log(&all).await.unwrap().pop().unwrap();
    let found = ann.client.log(&query(last.at.0)).await.unwrap();
    assert!(found.iter().any(|message| message.id == last.id));
    let two = LogQuery {
        before: Some(last.id.parse().unwrap()),
        ..query(0)
    };
    assert_eq!(code(ann.client.log(&two).await), "bad_request");
}
