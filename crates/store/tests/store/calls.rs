//! The records of calls.

use crate::common::{ME, Store, message, ours};
use hallway_model::{
    Body, CallOutcome, CallRecord, ConversationId, Delivery, Peer, PeerId, WallTime, Write,
};

const BO: PeerId = PeerId([2; 32]);

const OUTCOMES: [CallOutcome; 7] = [
    CallOutcome::Answered,
    CallOutcome::Missed,
    CallOutcome::Declined,
    CallOutcome::Busy,
    CallOutcome::Cancelled,
    CallOutcome::Failed,
    CallOutcome::Interrupted,
];

fn call(outcome: CallOutcome, duration_ms: u64) -> Body {
    Body::Call(CallRecord {
        outcome,
        duration_ms,
    })
}

#[test]
fn every_record_comes_back_as_it_was() {
    let mut store = Store::new();
    let longest = (1 << 59) - 1;
    let durations = [0, 1, 185_000, longest];
    let all = OUTCOMES.iter().flat_map(|o| durations.map(|d| (*o, d)));
    let mut messages: Vec<_> = (1..)
        .zip(all)
        .map(|(seq, (outcome, duration))| message(ME, BO, seq, call(outcome, duration)))
        .collect();
    for sent in &mut messages {
        sent.delivery = Delivery::Queued;
        store.add_new(sent);
    }
    let mut too_long = message(BO, BO, 1, call(CallOutcome::Answered, u64::MAX));
    store.add_new(&too_long);
    let store = store.reopened();
    assert_eq!(store.reader.outbox(&BO, 0, 100).unwrap(), messages);
    too_long.body = call(CallOutcome::Answered, longest);
    assert_eq!(store.get(&too_long).message, too_long);
    let view = store.get(&messages[2]).view(&ME);
    assert_eq!((view.kind.as_str(), view.text), ("call", None));
    assert_eq!(view.call.unwrap().duration_ms, 185_000);
}

#[test]
fn only_a_missed_call_is_unread() {
    let mut store = Store::new();
    store.put(Write::Peer(Box::new(Peer::new(BO, WallTime(1)))));
    for (seq, outcome) in (1..).zip(OUTCOMES) {
        let before = store.reader.unread(&BO, 0).unwrap();
        store.add_new(&message(BO, BO, seq, call(outcome, 0)));
        let counted = store.reader.unread(&BO, 0).unwrap() - before;
        assert_eq!(counted == 1, outcome.is_missed(), "{outcome:?}");
    }
    assert_eq!(store.reader.unread(&BO, 7).unwrap(), 0);
    assert_eq!(store.reader.summaries().unwrap()[0].unread, 3);
}

#[test]
fn calls_are_found_among_messages_and_by_no_words() {
    let mut store = Store::new();
    let conversation = |seq| PeerId([u8::try_from(2 + seq % 2).unwrap(); 32]);
    for seq in 1..=10 {
        store.add_new(&ours(conversation(seq), seq, "a missed call"));
        let record = call(CallOutcome::Missed, seq);
        store.add_new(&message(ME, conversation(seq), seq + 100, record));
    }
    let durations = |limit| -> Vec<u64> {
        let calls = store.reader.calls(limit).unwrap();
        let calls = calls.iter().filter_map(|stored| stored.message.call());
        calls.map(|call| call.duration_ms).collect()
    };
    assert_eq!(durations(3), [8, 9, 10]);
    assert_eq!(durations(100), (1..=10).collect::<Vec<_>>());
    assert_eq!(store.search("missed").len(), 10);
    let page = store.reader.page(&ConversationId::Peer(BO), None, 100);
    assert_eq!(page.unwrap().len(), 10);
}
