//! Records: whatever happens to one of them on the way ends the session.

use super::{BOTH_SUITES, Chance, Exchange, exchange};
use hallway_proto::handshake::{
    RECORD_PLAINTEXT_MAX, REKEY_RECORDS, RecordError, Suite, Transport, Usage,
};

fn session() -> Exchange {
    exchange(Suite::ChaChaPoly, Chance(1), Chance(2))
}

fn seal(from: &mut Transport, plaintext: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    from.seal(plaintext, &mut record).unwrap();
    record
}

fn open(to: &mut Transport, bytes: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
    to.push(bytes);
    // What is there before is not to be seen afterwards.
    let mut plaintext = vec![0xaa; 7];
    let opened = to.open(&mut plaintext)?;
    assert!(opened || plaintext.is_empty());
    Ok(opened.then_some(plaintext))
}

fn assert_opens(to: &mut Transport, record: &[u8], plaintext: &[u8]) {
    assert_eq!(open(to, record), Ok(Some(plaintext.to_vec())));
}

#[test]
fn both_directions_carry_records_of_every_length() {
    for suite in BOTH_SUITES {
        let Exchange {
            mut initiator,
            mut responder,
            ..
        } = exchange(suite, Chance(1), Chance(2));
        let (a, b) = (&mut initiator.transport, &mut responder.transport);
        for length in [0, 1, 2, 100, 4095, 4096, 65_000, RECORD_PLAINTEXT_MAX] {
            let plaintext = vec![0x5a; length];
            let record = seal(a, &plaintext);
            assert_eq!(record.len(), 2 + length + 16);
            assert_opens(b, &record, &plaintext);
            let record = seal(b, &plaintext);
            assert_opens(a, &record, &plaintext);
        }
    }
}

#[test]
fn the_longest_record_is_as_long_as_noise_allows() {
    let Exchange {
        mut initiator,
        mut responder,
        ..
    } = session();
    let mut out = b"before".to_vec();
    let past = vec![0; RECORD_PLAINTEXT_MAX + 1];
    let refused = initiator.transport.seal(&past, &mut out);
    assert_eq!(refused, Err(RecordError::TooLong(RECORD_PLAINTEXT_MAX + 1)));
    assert_eq!(out, b"before");
    initiator.transport.seal(&past[1..], &mut out).unwrap();
    assert_eq!(out[6..8], [0xff, 0xff]);
    assert_opens(&mut responder.transport, &out[6..], &past[1..]);
}

#[test]
fn a_changed_record_ends_the_session() {
    let record = seal(&mut session().initiator.transport, b"hello");
    for at in 2..record.len() {
        let mut to = session().responder.transport;
        let mut changed = record.clone();
        changed[at] ^= 0x80;
        assert_eq!(
            open(&mut to, &changed),
            Err(RecordError::Tampered),
            "byte {at}"
        );
        // For good: the right record comes too late.
        assert_eq!(open(&mut to, &record), Err(RecordError::Tampered));
    }
    // A length that is too short, down to one that has no room for a tag, or too long.
    for length in 0..23u8 {
        let mut changed = record.clone();
        changed[1] = length;
        let opened = open(&mut session().responder.transport, &changed);
        match length {
            21 => assert_eq!(opened, Ok(Some(b"hello".to_vec()))),
            22 => assert_eq!(opened, Ok(None)),
            _ => assert_eq!(opened, Err(RecordError::Tampered), "length {length}"),
        }
    }
}

#[test]
fn a_truncated_record_is_waited_for() {
    let record = seal(&mut session().initiator.transport, b"hello");
    let mut to = session().responder.transport;
    let (last, before) = record.split_last().unwrap();
    for byte in before {
        assert_eq!(open(&mut to, &[*byte]), Ok(None));
    }
    assert_opens(&mut to, &[*last], b"hello");
}

#[test]
fn replayed_dropped_reordered_and_reflected_records_are_refused() {
    let sealed = || {
        let mut from = session().initiator.transport;
        [&b"one"[..], b"two"].map(|text| seal(&mut from, text))
    };
    let [one, two] = sealed();
    let mut to = session().responder.transport;
    assert_opens(&mut to, &one, b"one");
    assert_eq!(open(&mut to, &one), Err(RecordError::Tampered));
    let mut to = session().responder.transport;
    assert_eq!(open(&mut to, &two), Err(RecordError::Tampered));
    let mut to = session().initiator.transport;
    assert_eq!(open(&mut to, &one), Err(RecordError::Tampered));
}

#[test]
fn each_direction_rekeys_on_its_own() {
    for suite in BOTH_SUITES {
        let Exchange {
            mut initiator,
            mut responder,
            ..
        } = exchange(suite, Chance(1), Chance(2));
        let (a, b) = (&mut initiator.transport, &mut responder.transport);
        for round in 0..3 {
            let record = seal(a, b"last under this key");
            assert_opens(b, &record, b"last under this key");
            a.rekey_outgoing();
            b.rekey_incoming();
            assert_eq!(a.outgoing(), Usage::default());
            let record = seal(a, &[round]);
            assert_opens(b, &record, &[round]);
            let record = seal(b, b"not rekeyed in this direction");
            assert_opens(a, &record, b"not rekeyed in this direction");
        }
        b.rekey_outgoing();
        a.rekey_incoming();
        let record = seal(b, b"nor forgotten");
        assert_opens(a, &record, b"nor forgotten");
    }
}

#[test]
fn sides_that_disagree_about_a_rekey_part() {
    for (sender, receiver) in [(1, 0), (0, 1), (2, 1), (1, 2)] {
        let Exchange {
            mut initiator,
            mut responder,
            ..
        } = session();
        (0..sender).for_each(|_| initiator.transport.rekey_outgoing());
        (0..receiver).for_each(|_| responder.transport.rekey_incoming());
        let record = seal(&mut initiator.transport, b"hello");
        let opened = open(&mut responder.transport, &record);
        assert_eq!(opened, Err(RecordError::Tampered));
    }
}

#[test]
fn an_old_key_opens_nothing_sealed_before_or_after() {
    let Exchange {
        mut initiator,
        mut responder,
        ..
    } = session();
    let before = seal(&mut initiator.transport, b"before");
    responder.transport.rekey_incoming();
    let opened = open(&mut responder.transport, &before);
    assert_eq!(opened, Err(RecordError::Tampered));
}

#[test]
fn use_is_counted_until_the_next_rekey() {
    let mut from = session().initiator.transport;
    seal(&mut from, &[0; 100]);
    seal(&mut from, b"");
    assert_eq!(
        from.outgoing(),
        Usage {
            records: 2,
            bytes: 100
        }
    );
    assert!(!from.outgoing().rekey_due());
    from.rekey_outgoing();
    assert_eq!(from.outgoing(), Usage::default());
}

/// A peer that goes on for ever under one key is cut off, and so are we.
#[test]
fn a_key_is_used_four_times_as_long_as_it_should_be_and_no_longer() {
    let Exchange {
        mut initiator,
        mut responder,
        ..
    } = session();
    let (a, b) = (&mut initiator.transport, &mut responder.transport);
    let [mut keys, _] = super::vectors::keys(Suite::ChaChaPoly, Chance(1), Chance(2));
    let (mut record, mut plaintext) = (Vec::new(), Vec::new());
    for count in 0..4 * REKEY_RECORDS {
        assert_eq!(a.outgoing().rekey_due(), count >= REKEY_RECORDS);
        record.clear();
        a.seal(b"", &mut record).unwrap();
        b.push(&record);
        assert_eq!(b.open(&mut plaintext), Ok(true));
    }
    assert_eq!(a.seal(b"", &mut record), Err(RecordError::DidNotRekey));
    // One that does not stop by itself.
    keys.nonce = 4 * REKEY_RECORDS;
    b.push(&keys.seal(b""));
    assert_eq!(b.open(&mut plaintext), Err(RecordError::PeerDidNotRekey));
    assert_eq!(b.open(&mut plaintext), Err(RecordError::PeerDidNotRekey));
    a.rekey_outgoing();
    assert_eq!(a.seal(b"", &mut record), Ok(()));
}
