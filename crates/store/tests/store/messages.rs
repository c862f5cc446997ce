//! What writes do to messages and peers.

use crate::common::*;
use hallway_model::{
    Added, Body, ConversationId, Delivery, GroupId, Message, MessageId, Name, Peer, PeerId,
    QuoteView, ReactionView, Relation, WallTime, Write,
};

#[test]
fn a_message_is_kept_as_it_is_and_only_once() {
    let mut store = Store::new();
    let plain = theirs(ANN, 1, "hello\0\u{1F600} 世界");
    let mut reply = ours(ANN, 1, "fine");
    reply.body = Body::Text {
        text: "fine".into(),
        reply_to: Some(plain.id),
    };
    let mut unknown = theirs(ANN, 2, "");
    unknown.body = Body::Unknown {
        kind: 777,
        raw: vec![0, 1, 255],
    };
    let mut newer = theirs(ANN, 3, "with more to it");
    newer.raw = Some(vec![9, 9]);
    let all = [plain, reply, unknown, newer];
    for (n, message) in (1..).zip(&all) {
        assert_eq!(store.add(message), Added::New { change: n });
        assert_eq!(store.add(message), Added::Duplicate);
    }
    let store = store.reopened();
    let kept: Vec<Message> = store
        .page(ANN)
        .into_iter()
        .map(|stored| stored.message)
        .collect();
    assert_eq!(kept, all);
    assert_eq!(
        store.get(&all[1]).quote.unwrap().text.unwrap(),
        "hello\0\u{1F600} 世界"
    );
}

#[test]
fn an_id_is_an_authors_own() {
    let mut store = Store::new();
    let first = theirs(ANN, 1, "mine");
    let mut second = theirs(BOB, 1, "mine too");
    second.id = first.id;
    store.add_new(&first);
    store.add_new(&second);
    assert_eq!(store.get(&first).message, first);
    assert_eq!(store.get(&second).message, second);
    assert_eq!(
        store
            .reader
            .message(None, &first.id)
            .unwrap()
            .unwrap()
            .message,
        first
    );
    assert_eq!(store.reader.message(Some(&ME), &first.id).unwrap(), None);
    // The same, known already and with another number.
    second.seq = 2;
    assert_eq!(store.add(&second), Added::Duplicate);
}

#[test]
fn numbers_a_peer_makes_up_are_kept_as_far_as_they_fit() {
    let mut store = Store::new();
    let mut message = theirs(ANN, u64::MAX, "huge");
    message.at = WallTime(u64::MAX);
    store.add_new(&message);
    let kept = store.get(&message).message;
    assert_eq!(
        (kept.seq, kept.at.0),
        (i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs())
    );
    message.id.0[0] ^= 1;
    message.seq = i64::MAX.unsigned_abs();
    store.add_new(&message);
    assert_eq!(store.get(&message).message.seq, message.seq);
}

#[test]
fn an_edit_changes_the_authors_own_message_only() {
    let mut store = Store::new();
    let original = theirs(ANN, 1, "teh cat");
    store.add_new(&original);
    let change = store.add_new(&edit(&original, 2, "the cat"));
    let edited = store.get(&original);
    assert_eq!(
        (text_of(&edited), edited.edited, edited.change),
        ("the cat", true, change)
    );
    assert_eq!(
        (edited.row, edited.message.seq, edited.message.at),
        (1, 1, original.at)
    );
    assert_eq!(
        (store.search("teh"), store.search("the")),
        (vec![], vec!["the cat".into()])
    );

    let mut forged = edit(&original, 1, "the dog");
    forged.author = ME;
    store.add_new(&forged);
    let mut elsewhere = edit(&original, 4, "the bird");
    elsewhere.conversation = ConversationId::Peer(BOB);
    store.add_new(&elsewhere);
    assert_eq!(store.get(&original), edited);
    assert_eq!(texts(&store.page(ANN)), ["the cat"]);
    assert_eq!(store.search("dog"), Vec::<String>::new());
}

#[test]
fn a_deleted_message_keeps_its_place_and_nothing_else() {
    let mut store = Store::new();
    let original = theirs(ANN, 1, "secret one");
    let mut answer = ours(ANN, 1, "what?");
    answer.body = Body::Text {
        text: "what?".into(),
        reply_to: Some(original.id),
    };
    store.add_new(&original);
    store.add_new(&edit(&original, 2, "secret two"));
    store.add_new(&react(ME, &original, 2, "👍", true));
    store.add_new(&answer);
    let change = store.add_new(&delete(&original, 3));
    let gone = store.get(&original);
    assert_eq!(
        (gone.deleted, gone.change, text_of(&gone)),
        (true, change, "")
    );
    assert_eq!((gone.reactions.len(), gone.view(&ME).text), (0, None));
    assert_eq!(
        store.get(&answer).quote,
        Some(QuoteView {
            id: original.id.to_string(),
            from: Some(ANN),
            text: None
        })
    );
    assert_eq!(store.search("secret"), Vec::<String>::new());

    store.add_new(&edit(&original, 4, "secret three"));
    store.add_new(&react(ME, &original, 3, "👍", true));
    store.add_new(&delete(&original, 5));
    assert_eq!(store.get(&original), gone);
    let late = edit(&original, 4, "");
    assert_eq!(
        store.get(&late).message.body,
        late.body,
        "its text is not kept either"
    );
    assert_eq!(store.search("secret"), Vec::<String>::new());
}

#[test]
fn only_the_author_deletes() {
    let mut store = Store::new();
    let original = theirs(ANN, 1, "stays");
    store.add_new(&original);
    let mut forged = delete(&original, 1);
    forged.author = ME;
    store.add_new(&forged);
    assert!(!store.get(&original).deleted);
}

#[test]
fn what_is_taken_back_before_it_left_never_leaves() {
    let mut store = Store::new();
    let (first, second) = (ours(ANN, 1, "oops"), ours(ANN, 2, "fine"));
    let (change, withdrawal) = (edit(&first, 3, "ouch"), delete(&first, 4));
    for message in [&first, &second, &change] {
        store.add_new(message);
    }
    let waiting = store.reader.outbox(&ANN, 0, 10).unwrap();
    let mut as_it_is_now = first.clone();
    as_it_is_now.body = body("ouch");
    assert_eq!(waiting, [as_it_is_now, second.clone(), change]);
    store.add_new(&withdrawal);
    assert_eq!(
        store.reader.outbox(&ANN, 0, 10).unwrap(),
        [second, withdrawal]
    );
    assert_eq!(store.get(&first).message.delivery, Delivery::Queued);
}

#[test]
fn effects_without_their_target_are_kept_and_not_shown() {
    let mut store = Store::new();
    let absent = theirs(ANN, 1, "never came");
    let effects = [
        edit(&absent, 2, "still not"),
        react(ANN, &absent, 3, "👍", true),
        delete(&absent, 4),
    ];
    for effect in &effects {
        store.add_new(effect);
        assert_eq!(store.add(effect), Added::Duplicate);
        assert_eq!(store.get(effect).message, *effect);
    }
    assert_eq!(store.page(ANN), []);
    assert_eq!(store.reader.changes_since(0, 10).unwrap(), []);
    assert_eq!(store.search("still"), Vec::<String>::new());
    assert_eq!(store.reader.unread(&ANN, 0).unwrap(), 0);
}

#[test]
fn reactions_are_set_and_cleared_by_anybody_of_the_talk() {
    let mut store = Store::new();
    let target = theirs(ANN, 1, "news");
    store.add_new(&target);
    store.add_new(&react(ME, &target, 1, "👍", true));
    let last = store.add_new(&react(ANN, &target, 2, "🎉", true));
    let reaction = |emoji: &str, by| ReactionView {
        emoji: emoji.into(),
        by,
    };
    let stored = store.get(&target);
    assert_eq!(stored.reactions, [reaction("👍", ME), reaction("🎉", ANN)]);
    assert_eq!(stored.change, last);

    // Set again, or cleared without being there: nothing changes.
    store.add_new(&react(ME, &target, 2, "👍", true));
    store.add_new(&react(ME, &target, 3, "🎉", false));
    let mut elsewhere = react(BOB, &target, 1, "👎", true);
    elsewhere.conversation = ConversationId::Peer(BOB);
    store.add_new(&elsewhere);
    assert_eq!(store.get(&target), stored);
    store.add_new(&react(ME, &target, 4, "👍", false));
    assert_eq!(store.get(&target).reactions, [reaction("🎉", ANN)]);
}

#[test]
fn a_peer_cannot_pile_up_reactions() {
    let mut store = Store::new();
    let target = theirs(ANN, 1, "news");
    store.add_new(&target);
    for n in 0..17u64 {
        store.add_new(&react(ANN, &target, 2 + n, &format!("e{n}"), true));
    }
    store.add_new(&react(ME, &target, 1, "👍", true));
    let reactions = store.get(&target).reactions;
    assert_eq!(
        reactions
            .iter()
            .filter(|reaction| reaction.by == ANN)
            .count(),
        16
    );
    assert_eq!(
        reactions
            .iter()
            .filter(|reaction| reaction.emoji == "e16")
            .count(),
        0
    );
    assert_eq!(
        reactions
            .iter()
            .filter(|reaction| reaction.by == ME)
            .count(),
        1
    );
}

#[test]
fn delivered_messages_leave_the_outbox_of_their_peer() {
    let mut store = Store::new();
    let messages: Vec<Message> = (1..=5).map(|seq| ours(ANN, seq, "to Ann")).collect();
    let other = ours(BOB, 6, "to Bob");
    for message in messages.iter().chain([&other]) {
        store.add_new(message);
    }
    assert_eq!(store.reader.outbox(&ANN, 0, 10).unwrap(), messages);
    assert_eq!(store.reader.outbox(&ANN, 2, 2).unwrap(), messages[2..4]);
    // Bob cannot acknowledge what is for Ann, nor anybody what is not there.
    let ids = vec![messages[1].id, messages[3].id, other.id, MessageId([0; 16])];
    store.put(Write::Delivered(BOB, ids.clone()));
    assert_eq!(store.reader.outbox(&BOB, 0, 10).unwrap(), []);
    assert_eq!(store.reader.outbox(&ANN, 0, 10).unwrap(), messages);
    let before = store
        .reader
        .changes_since(0, 100)
        .unwrap()
        .last()
        .unwrap()
        .change;
    store.put(Write::Delivered(ANN, ids.clone()));
    store.put(Write::Delivered(ANN, ids));
    let left: Vec<u64> = store
        .reader
        .outbox(&ANN, 0, 10)
        .unwrap()
        .iter()
        .map(|message| message.seq)
        .collect();
    assert_eq!(left, [1, 3, 5]);
    let changed = store.reader.changes_since(before, 100).unwrap();
    assert_eq!(
        changed
            .iter()
            .map(|stored| stored.message.seq)
            .collect::<Vec<_>>(),
        [2, 4]
    );
    assert!(
        changed
            .iter()
            .all(|stored| stored.message.delivery == Delivery::Delivered)
    );
    assert_eq!(store.writer.snapshot().unwrap().undelivered, [ANN]);
}

#[test]
fn what_a_peer_that_lost_its_count_writes_was_not_read() {
    let mut store = Store::new();
    let mark = |store: &Store| store.writer.snapshot().unwrap().peers[0].read_by_us;
    let mut ann = Peer::new(ANN, WallTime(1));
    store.put(Write::Peer(Box::new(ann.clone())));
    for seq in 1..=5 {
        store.add_new(&theirs(ANN, seq, "before"));
    }
    store.put(Write::Read(ANN, 4));
    store.put(Write::Read(ANN, 3));
    assert_eq!(mark(&store), 4);
    // Sent again, or written by us, or above the mark.
    assert_eq!(store.add(&theirs(ANN, 2, "")), Added::Duplicate);
    store.add_new(&ours(ANN, 1, "ours"));
    store.add_new(&theirs(ANN, 6, "next"));
    assert_eq!(mark(&store), 4);

    let mut after = theirs(ANN, 3, "after");
    after.id = MessageId([7; 16]);
    let again = Write::Message(Box::new(after));
    // A record from before this was known does not bring the mark back, in one group or later.
    ann.read_by_us = 4;
    let record = Write::Peer(Box::new(ann));
    store
        .writer
        .commit(&[&[again], std::slice::from_ref(&record)])
        .unwrap();
    assert_eq!(mark(&store), 2);
    store.put(record);
    assert_eq!(mark(&store), 2);
    store.put(Write::Read(ANN, 6));
    assert_eq!(mark(&store), 6);
}

#[test]
fn a_read_mark_reads_what_was_delivered() {
    let mut store = Store::new();
    for seq in 1..=3 {
        store.add_new(&ours(ANN, seq, "ours"));
        store.add_new(&theirs(ANN, seq, "theirs"));
    }
    store.put(Write::Delivered(
        ANN,
        vec![ours(ANN, 1, "").id, ours(ANN, 3, "").id],
    ));
    let mut ann = Peer::new(ANN, WallTime(1));
    (ann.read_by_them, ann.read_by_us) = (2, 1);
    store.put(Write::Peer(Box::new(ann)));
    let state = |message: Message| store.get(&message).view(&ME).state;
    assert_eq!(state(ours(ANN, 1, "")), Delivery::Read);
    assert_eq!(
        state(ours(ANN, 2, "")),
        Delivery::Queued,
        "a mark says nothing of what waits"
    );
    assert_eq!(state(ours(ANN, 3, "")), Delivery::Delivered);
    assert_eq!(state(theirs(ANN, 1, "")), Delivery::Read);
    assert_eq!(state(theirs(ANN, 2, "")), Delivery::Delivered);
}

#[test]
fn the_number_of_our_last_message_rises_with_it() {
    let mut store = Store::new();
    store.put(Write::Peer(Box::new(Peer::new(ANN, WallTime(1)))));
    let last_seq = |store: &Store| store.writer.snapshot().unwrap().peers[0].last_seq;
    store.add_all([5, 7, 6].map(|seq| ours(ANN, seq, "hi")).into_iter());
    assert_eq!(last_seq(&store), 7);
    store.add_new(&ours(ANN, 3, "late"));
    store.add_new(&theirs(ANN, 99, "theirs"));
    store.add_new(&ours(BOB, 50, "to another"));
    let mut again = ours(ANN, 7, "hi");
    again.seq = 60;
    assert_eq!(store.add(&again), Added::Duplicate);
    assert_eq!(last_seq(&store), 7);
    // A record of the peer that was made before the message, and comes with it.
    let record = Write::Peer(Box::new(Peer::new(ANN, WallTime(1))));
    let next = Write::Message(Box::new(ours(ANN, 8, "next")));
    store.writer.commit(&[&[next, record]]).unwrap();
    assert_eq!(last_seq(&store.reopened()), 8);
}

fn full_peer(id: PeerId) -> Peer {
    Peer {
        id,
        name: Some(Name::new("王小明").unwrap()),
        relation: Relation::Contact,
        blocked: true,
        verified_at: Some(WallTime(5)),
        impostor: Some(PeerId([77; 32])),
        name_settled: true,
        first_seen: WallTime(1),
        last_seen: Some(WallTime(9)),
        addresses: ["192.0.2.1:42550", "[fe80::1%3]:42550", "[2001:db8::1]:1"]
            .map(|address| address.parse().unwrap())
            .to_vec(),
        fast_aes: true,
        last_seq: 11,
        read_by_them: 12,
        read_by_us: u64::MAX >> 1,
        request_messages: 3,
    }
}

#[test]
fn the_snapshot_is_what_was_written() {
    let mut store = Store::new();
    let before = store.writer.snapshot().unwrap();
    assert_eq!(
        (
            before.peers.len(),
            before.settings.len(),
            before.last_change
        ),
        (0, 0, 0)
    );
    let (full, mut plain) = (full_peer(ANN), Peer::new(BOB, WallTime(3)));
    store.put(Write::Peer(Box::new(Peer::new(ANN, WallTime(0)))));
    store.put(Write::Peer(Box::new(plain.clone())));
    store.put(Write::Peer(Box::new(full.clone())));
    store.put(Write::Setting("name", "Zoë".into()));
    store.put(Write::Setting("status", "away".into()));
    store.put(Write::Setting("status", "busy".into()));
    store.add_new(&ours(BOB, 1, "hi"));
    let change = store.add_new(&theirs(ANN, 1, "hi"));
    store.put(Write::Read(ANN, full.read_by_us));
    let snapshot = store.reopened().writer.snapshot().unwrap();
    plain.last_seq = 1;
    assert_eq!(
        snapshot.peers,
        [full, plain],
        "and counts on from the last message of ours"
    );
    assert_eq!(snapshot.undelivered, [BOB]);
    let settings = [("name", "Zoë"), ("status", "busy")];
    assert_eq!(
        snapshot.settings,
        settings.map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
    assert_eq!(snapshot.last_change, change);
}

#[test]
fn a_forgotten_peer_leaves_nothing_and_no_number_comes_again() {
    // Few messages are taken out of the index one by one; of many, the index is made anew.
    for (forgotten, others) in [(1, 60), (60, 1), (0, 3)] {
        let mut store = Store::new();
        store.put(Write::Peer(Box::new(full_peer(ANN))));
        store.put(Write::Peer(Box::new(full_peer(BOB))));
        for seq in 1..=others {
            store.add_new(&theirs(BOB, seq, "apple 苹果"));
        }
        store.put(Write::Read(BOB, full_peer(BOB).read_by_us));
        for seq in 1..=forgotten {
            store.add_new(&ours(ANN, seq, "apple 苹果"));
            store.add_new(&react(ANN, &ours(ANN, seq, ""), seq, "👍", true));
        }
        let last = store.writer.snapshot().unwrap().last_change;
        store.put(Write::ForgetPeer(ANN));
        store.put(Write::ForgetPeer(PeerId([99; 32])));
        assert_eq!(store.page(ANN), []);
        assert_eq!(store.reader.outbox(&ANN, 0, 10).unwrap(), []);
        let everything = store.reader.changes_since(0, 1000).unwrap();
        assert_eq!(everything.len() as u64, others);
        assert_eq!(store.search("apple").len() as u64, others);
        let snapshot = store.writer.snapshot().unwrap();
        assert_eq!(snapshot.peers, [full_peer(BOB)]);
        assert_eq!(
            (snapshot.undelivered.len(), snapshot.last_change),
            (0, last)
        );
        // They come back as a stranger, with the same ids.
        let mut store = store.reopened();
        let back = ours(ANN, 1, "apple again");
        assert_eq!(store.add_new(&back), last + 1);
        assert_eq!(store.get(&back).reactions, []);
        assert_eq!(store.search("appl 苹").len() as u64, others);
        assert_eq!(store.search("apple again"), ["apple again"]);
    }
}

#[test]
fn somebody_forgotten_can_write_again_at_once() {
    let mut store = Store::new();
    let (before, after) = (theirs(ANN, 1, "before"), theirs(ANN, 2, "after"));
    let add = |message: &Message| Write::Message(Box::new(message.clone()));
    let peer = Peer::new(ANN, WallTime(1));
    let group = [
        add(&before),
        Write::ForgetPeer(ANN),
        add(&after),
        add(&ours(ANN, 4, "hello")),
    ];
    store.writer.commit(&[&group]).unwrap();
    assert_eq!(texts(&store.page(ANN)), ["after", "hello"]);
    assert_eq!(store.search("after"), ["after"]);
    store.put(Write::Peer(Box::new(peer.clone())));
    assert_eq!(store.writer.snapshot().unwrap().peers.len(), 1);
    // Forgotten after our message, in one group: nothing is left to count on from.
    let bob = Peer::new(BOB, WallTime(1));
    let group = [
        add(&ours(BOB, 9, "hi")),
        Write::ForgetPeer(BOB),
        Write::Peer(Box::new(bob.clone())),
    ];
    store.writer.commit(&[&group]).unwrap();
    assert_eq!(store.writer.snapshot().unwrap().peers, [peer, bob]);
}

#[test]
fn a_group_is_a_conversation_too() {
    let mut store = Store::new();
    let group = ConversationId::Group(GroupId([5; 16]));
    let mut first = theirs(ANN, 1, "to all");
    let mut second = ours(ANN, 1, "welcome");
    (first.conversation, second.conversation) = (group, group);
    store.add_new(&first);
    store.add_new(&second);
    store.put(Write::ForgetPeer(ANN));
    let messages = store.reader.page(&group, None, 10).unwrap();
    let kept: Vec<&Message> = messages.iter().map(|stored| &stored.message).collect();
    assert_eq!(
        kept,
        [&first, &second],
        "what was said in a group stays there"
    );
    assert_eq!(store.page(ANN), []);
    assert_eq!(
        texts(&store.reader.search("to", Some(&group), 10).unwrap()),
        ["to all"]
    );
}
