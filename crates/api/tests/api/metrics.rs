//! The figures for Prometheus.

use crate::calls::{call, in_state};
use crate::node::{TestNode, text};
use crate::talk::{friends, until};
use hallway_model::{CallState, Delivery, EventKind, TransferState};
use hallway_node::audio::Source;
use std::collections::BTreeMap;

async fn scrape(node: &TestNode) -> String {
    let (status, page) = node.http("GET /metrics", "").await;
    assert_eq!(status, 200, "{page}");
    page
}

/// Reads the format as Prometheus does: every sample belongs to a family that was announced, with
/// labels in quotes and a number, and none is there twice.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut family, mut samples) = (String::new(), BTreeMap::new());
    let mut families = Vec::new();
    for line in page.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                assert!(
                    !help.is_empty() && !families.contains(&(*name).to_owned()),
                    "{line}"
                );
                family = (*name).to_owned();
                families.push(family.clone());
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(
                    (*name, family.ends_with("_total")),
                    (family.as_str(), *kind == "counter")
                );
            }
            _ => {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let bare = name.split('{').next().unwrap();
                assert_eq!(bare, family, "{line}");
                let legal = |c: char| c.is_ascii_lowercase() || c == '_';
                assert!(bare.chars().all(legal), "{line}");
                for label in name
                    .split('{')
                    .nth(1)
                    .into_iter()
                    .flat_map(|l| l.trim_end_matches('}').split(','))
                {
                    let (key, value) = label.split_once('=').unwrap();
                    assert!(key.chars().all(legal), "{line}");
                    let inner = value
                        .strip_prefix('"')
                        .and_then(|v| v.strip_suffix('"'))
                        .unwrap();
                    assert!(!inner.contains(['"', '\\', '\n']), "{line}");
                }
                assert!(
                    samples
                        .insert(name.to_owned(), value.parse().unwrap())
                        .is_none(),
                    "{line}"
                );
            }
        }
    }
    samples
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (ann, _, bo, _) = friends().await;
    // Its receipt is one for what was sent before it, too.
    ann.client
        .send(&text("Bo", "again", Delivery::Delivered))
        .await
        .unwrap();
    let before = samples(&scrape(&ann).await);
    assert_eq!(before["hallway_sessions"], 1.0);
    assert_eq!(
        before[r#"hallway_peers{relation="contact",state="live"}"#],
        1.0
    );
    assert_eq!(before["hallway_messages_queued"], 0.0);
    assert!(before[r#"hallway_store_bytes{file="database"}"#] > 0.0);
    assert_eq!(before[r#"hallway_messages_total{direction="sent"}"#], 2.0);

    bo.client
        .send(&text("Ann", "one", Delivery::Delivered))
        .await
        .unwrap();
    let path = ann.home().join("a file");
    std::fs::write(&path, vec![7; 100_000]).unwrap();
    bo.client
        .set_settings(&hallway_api::SettingsRequest {
            accept_files_bytes: Some(1 << 20),
            ..hallway_api::SettingsRequest::default()
        })
        .await
        .unwrap();
    let mut events = ann.client.events(None).await.unwrap();
    let offer = hallway_api::OfferRequest {
        to: "Bo".into(),
        path,
        client_id: None,
    };
    ann.client.offer(&offer).await.unwrap();
    until(&mut events, |kind| {
        let EventKind::Transfer { transfer } = kind else {
            return None;
        };
        (transfer.state == TransferState::Done).then_some(())
    })
    .await;
    ann.client.block("Bo").await.unwrap();
    let at_ann = samples(&scrape(&ann).await);
    assert_eq!(at_ann["hallway_messages_unread"], 1.0);
    assert_eq!(
        at_ann[r#"hallway_messages_total{direction="received"}"#],
        1.0
    );
    assert_eq!(
        at_ann[r#"hallway_transfer_bytes_total{direction="sent"}"#],
        100_000.0
    );
    assert_eq!(
        at_ann[r#"hallway_transfers{direction="sent",state="done"}"#],
        1.0
    );
    assert_eq!(
        at_ann
            .keys()
            .filter(|name| name.contains("blocked"))
            .count(),
        1
    );
    let at_bo = samples(&scrape(&bo).await);
    assert_eq!(
        at_bo[r#"hallway_transfer_bytes_total{direction="received"}"#],
        100_000.0
    );
}

#[tokio::test]
async fn no_peer_makes_a_label() {
    let ann = TestNode::start("Ann").await;
    let lines = |page: &str| page.lines().count();
    let bo = TestNode::start("Bo\"} 1").await;
    ann.meet(&bo).await;
    let one = scrape(&ann).await;
    let others = [TestNode::start("Cy").await, TestNode::start("Di").await];
    for other in &others {
        ann.meet(other).await;
    }
    let three = scrape(&ann).await;
    assert_eq!(
        samples(&three)[r#"hallway_peers{relation="stranger",state="live"}"#],
        3.0
    );
    assert_eq!(lines(&one), lines(&three));
    assert!(!three.contains("Bo") && !three.contains(&bo.client.status().await.unwrap().tag));
}

#[tokio::test]
async fn what_is_said_in_a_call_is_counted() {
    let ann = TestNode::start_with("Ann", Source::Parrot).await;
    let bo = TestNode::start_with("Bo", Source::Parrot).await;
    ann.meet(&bo).await;
    ann.client
        .send(&text("Bo", "hello", Delivery::Delivered))
        .await
        .unwrap();
    bo.client.accept("Ann").await.unwrap();
    let mut events = bo.client.events(None).await.unwrap();
    ann.client.call_peer("Bo".into()).await.unwrap();
    until(&mut events, in_state(CallState::Ringing)).await;
    bo.client.answer(None).await.unwrap();
    let ringing = r#"hallway_calls{direction="incoming",state="active"}"#;
    assert_eq!(samples(&scrape(&bo).await)[ringing], 1.0);
    // With the first figures of the call come those of its packets.
    until(&mut events, |kind| call(kind)?.stats).await;
    bo.client.hang_up(None).await.unwrap();
    loop {
        let now = samples(&scrape(&bo).await);
        let packets = |fate| now.get(&format!(r#"hallway_voice_packets_total{{fate="{fate}"}}"#));
        if packets("sent").is_some_and(|sent| *sent > 0.0) {
            assert_eq!(packets("malformed"), Some(&0.0));
            assert!(!now.contains_key(ringing));
            return;
        }
    }
}
