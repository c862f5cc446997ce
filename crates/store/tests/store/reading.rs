//! Pages, cursors, lists and the export.

use crate::common::*;
use hallway_model::{Body, ConversationId, Delivery, Peer, WallTime, Write};
use hallway_store::StoredMessage;
use serde_json::{Value, json};

fn seqs(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(|stored| stored.message.seq).collect()
}

#[test]
fn pages_go_back_in_time_without_gap_or_overlap() {
    let mut store = Store::new();
    for seq in 1..=25 {
        store.add_new(&theirs(ANN, seq, "to page"));
        store.add_new(&theirs(BOB, seq, "of another"));
    }
    let talk = ConversationId::Peer(ANN);
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let page = store.reader.page(&talk, before, 10).unwrap();
        let Some(first) = page.first() else { break };
        before = Some(first.row);
        seen.splice(0..0, seqs(&page));
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    // And forward again.
    let mut after = 0;
    let mut forward = Vec::new();
    while let page = store.reader.page_after(&talk, after, 10).unwrap()
        && let Some(last) = page.last()
    {
        after = last.row;
        forward.extend(seqs(&page));
    }
    assert_eq!(forward, seen);
    assert_eq!(store.reader.page(&talk, None, 0).unwrap(), []);
    assert_eq!(store.reader.page(&talk, Some(0), 10).unwrap(), []);
    assert_eq!(
        store
            .reader
            .page(&talk, Some(u64::MAX), usize::MAX)
            .unwrap()
            .len(),
        25
    );
    assert_eq!(
        store
            .reader
            .page(&ConversationId::Peer(ME), None, 10)
            .unwrap(),
        []
    );
}

#[test]
fn since_goes_by_the_clock_of_the_author() {
    let mut store = Store::new();
    for (seq, at) in [(1, 50), (2, 10), (3, 40), (4, 30)] {
        let mut message = theirs(ANN, seq, "dated");
        message.at = WallTime(at);
        store.add_new(&message);
    }
    let since = |at, limit| {
        seqs(
            &store
                .reader
                .since(&ConversationId::Peer(ANN), WallTime(at), limit)
                .unwrap(),
        )
    };
    assert_eq!(since(30, 10), [1, 3, 4]);
    assert_eq!(since(31, 10), [1, 3]);
    assert_eq!(since(0, 2), [1, 3], "the latest of them");
    assert_eq!(since(51, 10), Vec::<u64>::new());
}

#[test]
fn the_cursor_of_changes_shows_each_message_as_it_is_now() {
    let mut store = Store::new();
    let (first, second) = (ours(ANN, 1, "one"), theirs(ANN, 1, "two"));
    store.add_new(&first);
    let cursor = store.add_new(&second);
    let since = |store: &Store, change| seqs(&store.reader.changes_since(change, 10).unwrap());
    assert_eq!(since(&store, cursor), Vec::<u64>::new());
    store.add_new(&edit(&second, 2, "2"));
    store.put(Write::Delivered(ANN, vec![first.id]));
    let changes = store.reader.changes_since(cursor, 10).unwrap();
    assert_eq!(changes[0].message.author, ANN);
    assert_eq!(changes[1].message.author, ME);
    assert!(cursor < changes[0].change && changes[0].change < changes[1].change);
    assert_eq!(store.reader.changes_since(0, 10).unwrap(), changes);
    assert_eq!(store.reader.changes_since(0, 1).unwrap(), changes[..1]);
    assert_eq!(since(&store, u64::MAX), Vec::<u64>::new());
    assert_eq!(
        store.writer.snapshot().unwrap().last_change,
        changes[1].change
    );
}

#[test]
fn the_list_of_talks_has_the_newest_first_and_counts_what_is_unread() {
    let mut store = Store::new();
    store.put(Write::Peer(Box::new(Peer::new(ANN, WallTime(1)))));
    for seq in 1..=5 {
        store.add_new(&theirs(ANN, seq, "from Ann"));
    }
    store.put(Write::Read(ANN, 2));
    store.add_new(&react(ANN, &theirs(ANN, 1, ""), 6, "👍", true));
    store.add_new(&ours(BOB, 1, "to Bob"));
    let summaries = store.reader.summaries().unwrap();
    let lines: Vec<_> = summaries
        .iter()
        .map(|line| (line.conversation, line.unread, text_of(&line.last)))
        .collect();
    assert_eq!(
        lines,
        [
            (ConversationId::Peer(BOB), 0, "to Bob"),
            (ConversationId::Peer(ANN), 3, "from Ann")
        ]
    );
    assert_eq!(store.reader.unread(&ANN, 0).unwrap(), 5);
    assert_eq!(store.reader.unread(&ANN, 5).unwrap(), 0);
    assert_eq!(store.reader.unread(&ME, 0).unwrap(), 0);
}

#[test]
fn a_view_says_who_wrote_to_whom() {
    let mut store = Store::new();
    let (question, mut answer) = (theirs(ANN, 1, "why?"), ours(ANN, 1, "because"));
    answer.body = Body::Text {
        text: "because".into(),
        reply_to: Some(question.id),
    };
    store.add_new(&question);
    store.add_new(&answer);
    store.add_new(&react(ANN, &answer, 2, "👍", true));
    let view = store.get(&answer).view(&ME);
    assert_eq!(
        (view.from, view.to, view.state),
        (ME, ANN, Delivery::Queued)
    );
    assert_eq!(
        (view.kind.as_str(), view.text.as_deref()),
        ("text", Some("because"))
    );
    let quote = view.reply_to.unwrap();
    assert_eq!(
        (quote.from, quote.text.as_deref()),
        (Some(ANN), Some("why?"))
    );
    assert_eq!(view.reactions[0].by, ANN);
    let view = store.get(&question).view(&ME);
    assert_eq!(
        (view.from, view.to, view.state),
        (ANN, ME, Delivery::Delivered)
    );

    let mut lost = theirs(ANN, 9, "");
    lost.body = Body::Text {
        text: "re".into(),
        reply_to: Some(theirs(ANN, 8, "").id),
    };
    let mut unknown = theirs(ANN, 10, "");
    unknown.body = Body::Unknown {
        kind: 99,
        raw: vec![1],
    };
    store.add_new(&lost);
    store.add_new(&unknown);
    let quote = store.get(&lost).quote.unwrap();
    assert_eq!((quote.from, quote.text), (None, None));
    let view = store.get(&unknown).view(&ME);
    assert_eq!((view.kind.as_str(), view.text), ("unknown", None));
}

#[test]
fn many_read_while_one_writes() {
    let mut store = Store::new();
    store.add_new(&theirs(ANN, 1, "first"));
    let reader = store.reader.clone();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 60 {
                        let seen =
                            seqs(&reader.page(&ConversationId::Peer(ANN), None, 500).unwrap());
                        assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
                        assert!(seen.len() >= last, "it went back in time");
                        last = seen.len();
                    }
                })
            })
            .collect();
        for seq in 2..=60 {
            store.add_new(&theirs(ANN, seq, "next"));
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn an_export_has_everything_a_person_wants_back() {
    let mut store = Store::new();
    let mut ann = Peer::new(ANN, WallTime(7));
    ann.addresses.push("192.0.2.1:42550".parse().unwrap());
    store.put(Write::Peer(Box::new(ann)));
    let (kept, gone) = (
        theirs(ANN, 1, "line\nbreak \"quoted\""),
        ours(ANN, 1, "oops"),
    );
    let mut unknown = theirs(ANN, 2, "");
    unknown.body = Body::Unknown {
        kind: 40,
        raw: vec![0, 0xfe],
    };
    for message in [&kept, &gone, &unknown] {
        store.add_new(message);
    }
    store.add_new(&react(ME, &kept, 2, "👍", true));
    store.add_new(&delete(&gone, 3));
    let mut out = Vec::new();
    let lines = store.reader.export(&mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let values: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, 5);
    assert_eq!(values[0], json!({"kind": "export", "version": 1}));
    let (ann, me) = (ANN.to_string(), ME.to_string());
    assert_eq!(
        values[1],
        json!({"kind": "peer", "id": ann, "name": null, "relation": "stranger", "blocked": false,
            "verified_at": null, "first_seen": 7, "last_seen": null,
            "addresses": ["192.0.2.1:42550"]})
    );
    assert_eq!(
        values[2],
        json!({"kind": "message", "id": kept.id.to_string(), "conversation": {"peer": ann},
            "from": ann, "seq": 1, "at": 1, "state": "delivered", "edited": false,
            "deleted": false, "text": "line\nbreak \"quoted\"", "reply_to": null,
            "reactions": [{"emoji": "👍", "by": me}]})
    );
    assert_eq!(
        (&values[3]["deleted"], &values[3]["text"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        (&values[4]["unknown_kind"], &values[4]["raw_hex"]),
        (&json!(40), &json!("00fe"))
    );
    assert_eq!(values.len(), 5);
}

#[test]
fn an_export_says_when_it_cannot_be_written() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = Store::new().reader.export(&mut Full).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the export could not be written"),
        "{error}"
    );
}
