//! Peers with a valid handshake and bad intentions. Each loses its session and nothing else
//! happens: the node lives, answers, and its contact notices nothing.

use hallway_model::{
    Answer, Command, ConversationId, Delivery, Message, MessageId, Name, PeerId,
    REQUEST_MESSAGES_MAX, Status, TEXT_BYTES_MAX, WallTime,
};
use hallway_proto::frame::{ACK_IDS_MAX, Bye, Envelope, Frame, Hold, Profile};
use hallway_proto::io::ConnId;
use hallway_proto::limits::{CONTROL_BURST, PONG_WITHIN_BUSY, WINDOW_MESSAGES};
use hallway_tests::sim::{Host, Mark, World, explore, mins, ms, secs};

/// A node with a contact, and somebody hostile who is its contact too if need be.
struct Stage {
    node: Host,
    contact: Host,
    villain: Host,
}

fn stage(world: &mut World, is_contact: bool) -> Stage {
    let hosts = world.hosts(3);
    let turn = usize::try_from(world.seed() % 3).expect("a small number");
    let [node, contact, villain] = [0, 1, 2].map(|n| hosts[(n + turn) % 3]);
    world.befriend(node, contact);
    if is_contact {
        world.befriend(node, villain);
        // It dials when it wants to.
        world.forget_address(node, villain);
    }
    world.start(node);
    world.start(contact);
    world.possess(villain);
    world.run_until(secs(5), |world| {
        world.is_live(node, contact) && world.is_live(contact, node)
    });
    Stage {
        node,
        contact,
        villain,
    }
}

impl Stage {
    /// The contact notices nothing.
    fn is_calm(&self, world: &mut World) {
        assert!(!world.is_off(self.node));
        let marks = [
            world.say(self.node, self.contact),
            world.say(self.contact, self.node),
        ];
        world.run_until(secs(2), |world| {
            marks.iter().all(|m| world.is_told_delivered(*m))
        });
        assert!(world.presence_changes(self.node, self.contact) <= 2);
    }
}

fn counter(world: &mut World, host: Host, name: &str) -> u64 {
    match world.ask(host, Command::Status) {
        Ok(Answer::Status(status)) => {
            let found = status.counters.iter().find(|counter| counter.name == name);
            found.map_or(0, |counter| counter.count)
        }
        other => panic!("{other:?}"),
    }
}

fn message(mark: Mark, seq: u64, id: u8) -> Frame {
    let author = PeerId([0; 32]);
    Frame::Message(Envelope::of(&Message {
        id: MessageId([id; 16]),
        conversation: ConversationId::Peer(author),
        author,
        seq,
        at: WallTime(0),
        body: mark.text(),
        raw: None,
        delivery: Delivery::Delivered,
    }))
}

fn byes(world: &World, villain: Host, conn: ConnId) -> Vec<Bye> {
    let heard = world.heard(villain, conn).iter();
    heard
        .filter_map(|frame| {
            if let Frame::Bye(bye) = frame {
                Some(*bye)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn garbage_of_every_kind_ends_the_session() {
    explore("garbage_of_every_kind_ends_the_session", 40, |world| {
        let stage = stage(world, true);
        let (node, villain) = (stage.node, stage.villain);
        let mark = world.mark();
        let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
            ("bad_frame", vec![vec![]]),
            ("bad_frame", vec![vec![2, 0xff, 0xff]]),
            ("bad_frame", vec![vec![6, 0xa1, 0x61, b'q', 0x18, 0x01]]),
            ("bad_frame", vec![vec![1; 65_519]]),
            ("bad_frame", vec![encoded(&text(mark, 1, 0))]),
            (
                "bad_frame",
                vec![encoded(&text(mark, 1, TEXT_BYTES_MAX + 1))],
            ),
            (
                "bad_frame",
                vec![encoded(&Frame::Ack(vec![
                    MessageId([1; 16]);
                    ACK_IDS_MAX + 1
                ]))],
            ),
            ("bad_order", vec![encoded(&message(mark, 0, 9))]),
            (
                "bad_order",
                vec![encoded(&message(mark, 2, 9)), encoded(&message(mark, 1, 8))],
            ),
            (
                "bad_order",
                vec![encoded(&message(mark, 1, 9)), encoded(&message(mark, 1, 8))],
            ),
        ];
        for (name, records) in cases {
            let before = counter(world, node, name);
            let conn = world.puppet_meet(villain, node);
            world.run_for(ms(5));
            world.utter_records(villain, conn, &records);
            world.run_for(secs(1));
            assert_eq!(
                counter(world, node, name),
                before + 1,
                "{name}: {records:?}"
            );
            assert!(!world.is_open(villain, conn));
            assert_eq!(byes(world, villain, conn), [Bye::Protocol]);
            world.run_for(secs(1));
        }
        // Bytes that are no records, and a record of the greatest length that never ends.
        let conn = world.puppet_meet(villain, node);
        world.utter_bytes(
            villain,
            conn,
            &[
                0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
            ],
        );
        world.run_for(secs(1));
        assert!(!world.is_open(villain, conn));
        let conn = world.puppet_meet(villain, node);
        world.utter_bytes(villain, conn, &[0xff; 100]);
        world.run_for(secs(1));
        assert!(world.is_open(villain, conn), "it may still come");
        world.run_for(mins(1));
        assert!(!world.is_open(villain, conn));
        stage.is_calm(world);
    });
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn text(mark: Mark, seq: u64, length: usize) -> Frame {
    let Frame::Message(mut envelope) = message(mark, seq, 7) else {
        unreachable!()
    };
    envelope.body = vec![0xa1, 0x61, b'x'];
    match u16::try_from(length).expect("a text") {
        0 => envelope.body.push(0x60),
        length => {
            envelope.body.push(0x79);
            envelope.body.extend(length.to_be_bytes());
        }
    }
    envelope.body.extend(vec![b'x'; length]);
    Frame::Message(envelope)
}

#[test]
fn nothing_comes_before_the_profile() {
    explore("nothing_comes_before_the_profile", 10, |world| {
        let stage = stage(world, true);
        let (node, villain) = (stage.node, stage.villain);
        let mark = world.mark();
        let early = [
            message(mark, 1, 1),
            Frame::Ack(vec![]),
            Frame::Read(1),
            Frame::Typing(true),
            Frame::Ping(1),
            Frame::Pong(1),
            Frame::Rekey,
            Frame::Hold(Hold::Request),
            Frame::Resume,
            Frame::Unknown(99),
        ];
        for frame in early {
            let conn = world.puppet_dial(villain, node);
            world.be_polite(villain, conn, false);
            world.utter(villain, conn, &[frame]);
            world.run_for(secs(1));
            assert!(!world.is_open(villain, conn));
        }
        // Saying nothing at all is found out too.
        let conn = world.puppet_dial(villain, node);
        world.be_polite(villain, conn, false);
        world.run_for(mins(1));
        assert!(!world.is_open(villain, conn));
        stage.is_calm(world);
    });
}

#[test]
fn a_flood_of_control_frames_ends_the_session() {
    explore("a_flood_of_control_frames_ends_the_session", 20, |world| {
        let stage = stage(world, world.seed().is_multiple_of(2));
        let (node, villain) = (stage.node, stage.villain);
        let floods = [
            Frame::Ping(7),
            Frame::Pong(7),
            Frame::Typing(true),
            Frame::Hold(Hold::Storage),
            Frame::Resume,
            Frame::Rekey,
            Frame::Unknown(77),
        ];
        for frame in floods {
            let conn = world.puppet_meet(villain, node);
            world.run_for(ms(5));
            let burst = usize::try_from(CONTROL_BURST).expect("a small number");
            let mut fair = vec![frame.clone(); burst - 20];
            if frame == Frame::Rekey {
                // Its records are under one key, which the node has left.
                fair.truncate(1);
            }
            world.utter(villain, conn, &fair);
            world.run_for(ms(20));
            assert!(
                frame == Frame::Rekey || world.is_open(villain, conn),
                "{frame:?}"
            );
            world.utter(villain, conn, &vec![frame.clone(); 100]);
            world.run_for(ms(100));
            assert!(!world.is_open(villain, conn), "{frame:?}");
            world.run_for(secs(1));
        }
        assert!(counter(world, node, "flood") >= 5);
        stage.is_calm(world);
    });
}

#[test]
fn acknowledgements_of_what_it_does_not_have_are_believed_of_nothing_else() {
    explore("acknowledgements_of_what_it_does_not_have", 10, |world| {
        let stage = stage(world, true);
        let (node, villain) = (stage.node, stage.villain);
        let conn = world.puppet_meet(villain, node);
        let to_villain: Vec<Mark> = (0..5).map(|_| world.say(node, villain)).collect();
        let to_contact = world.say(node, stage.contact);
        world.run_for(secs(1));
        let strange = (0..40).map(|n| Frame::Ack(vec![MessageId([n; 16]); ACK_IDS_MAX]));
        let strange: Vec<Frame> = strange.collect();
        world.utter(villain, conn, &strange);
        world.utter(villain, conn, &[Frame::Read(u64::MAX), Frame::Read(3)]);
        world.run_for(secs(1));
        assert!(world.is_open(villain, conn));
        assert!(
            to_villain
                .iter()
                .all(|mark| !world.is_told_delivered(*mark))
        );
        assert!(world.is_told_delivered(to_contact));
        assert_eq!(
            world
                .record(node, villain)
                .map(|record| record.read_by_them),
            Some(0)
        );
        // Its own business: what it acknowledges counts as delivered to it, once.
        let ids: Vec<MessageId> = world
            .heard(villain, conn)
            .iter()
            .filter_map(id_of)
            .collect();
        assert_eq!(ids.len(), to_villain.len());
        world.utter(villain, conn, &[Frame::Ack(ids.clone()), Frame::Ack(ids)]);
        world.run_for(secs(1));
        assert!(to_villain.iter().all(|mark| world.is_told_delivered(*mark)));
        stage.is_calm(world);
    });
}

fn id_of(frame: &Frame) -> Option<MessageId> {
    if let Frame::Message(envelope) = frame {
        Some(envelope.id)
    } else {
        None
    }
}

#[test]
fn whoever_never_reads_is_given_up() {
    explore("whoever_never_reads_is_given_up", 4, |world| {
        let stage = stage(world, true);
        let (node, villain) = (stage.node, stage.villain);
        let conn = world.puppet_meet(villain, node);
        world.run_for(ms(50));
        world.listen(villain, conn, false);
        for _ in 0..WINDOW_MESSAGES * 3 {
            world.say(node, villain);
        }
        world.run_for(secs(5));
        // It goes on talking, so that it is not merely silent.
        for _ in 0..PONG_WITHIN_BUSY.as_secs() + 20 {
            world.utter(villain, conn, &[Frame::Ping(1)]);
            world.run_for(secs(1));
        }
        world.listen(villain, conn, true);
        world.run_for(secs(1));
        assert!(!world.is_open(villain, conn));
        let heard = world.heard(villain, conn).iter().filter_map(id_of).count();
        assert!(heard <= WINDOW_MESSAGES, "{heard} messages were sent ahead");
        stage.is_calm(world);
    });
}

#[test]
fn whoever_holds_for_ever_gets_nothing_and_costs_nothing() {
    explore(
        "whoever_holds_for_ever_gets_nothing_and_costs_nothing",
        4,
        |world| {
            let stage = stage(world, true);
            let (node, villain) = (stage.node, stage.villain);
            let conn = world.puppet_meet(villain, node);
            world.utter(villain, conn, &[Frame::Hold(Hold::Other(9))]);
            world.run_for(ms(50));
            for _ in 0..100 {
                world.say(node, villain);
            }
            world.run_for(mins(5));
            assert_eq!(
                world.heard(villain, conn).iter().filter_map(id_of).count(),
                0
            );
            world.utter(villain, conn, &[Frame::Resume]);
            world.run_for(secs(1));
            assert_eq!(
                world.heard(villain, conn).iter().filter_map(id_of).count(),
                100
            );
            // Resuming all the time makes it send all the time, within what control frames may be.
            for _ in 0..20 {
                world.utter(villain, conn, &[Frame::Resume]);
                world.run_for(secs(1));
            }
            let heard = world.heard(villain, conn).iter().filter_map(id_of).count();
            assert_eq!(heard, 2_100);
            stage.is_calm(world);
        },
    );
}

#[test]
fn a_stranger_leaves_no_more_than_three_messages_however_it_tries() {
    explore(
        "a_stranger_leaves_no_more_than_three_messages_however_it_tries",
        10,
        |world| {
            let stage = stage(world, false);
            let (node, villain) = (stage.node, stage.villain);
            let mut stored = 0;
            for round in 0..5u8 {
                let conn = world.puppet_meet(villain, node);
                let mark = world.mark();
                let many: Vec<Frame> = (1..50)
                    .map(|n| message(mark, u64::from(n), n + round * 50))
                    .collect();
                world.utter(villain, conn, &many);
                world.run_for(secs(1));
                let heard = world.heard(villain, conn).iter();
                stored += heard
                    .map(|frame| {
                        if let Frame::Ack(ids) = frame {
                            ids.len()
                        } else {
                            0
                        }
                    })
                    .sum::<usize>();
                assert!(
                    world
                        .heard(villain, conn)
                        .contains(&Frame::Hold(Hold::Request))
                );
                world.puppet_close(villain, conn);
                world.run_for(secs(1));
            }
            assert_eq!(u32::try_from(stored), Ok(REQUEST_MESSAGES_MAX));
            stage.is_calm(world);
        },
    );
}

#[test]
fn what_was_dropped_is_not_overtaken_whatever_the_peer_answers() {
    // An answer to the ping that no node would give yet only harms who gives it.
    explore(
        "what_was_dropped_is_not_overtaken_whatever_the_peer_answers",
        10,
        |world| {
            let stage = stage(world, true);
            let (node, villain) = (stage.node, stage.villain);
            world.set_room(node, Some(0));
            let conn = world.puppet_meet(villain, node);
            let mark = world.mark();
            world.utter(villain, conn, &[message(mark, 1, 1), Frame::Pong(u64::MAX)]);
            world.run_for(secs(1));
            world.utter(
                villain,
                conn,
                &[message(mark, 2, 2), Frame::Resume, Frame::Pong(u64::MAX)],
            );
            world.run_for(secs(1));
            world.set_room(node, None);
            world.run_for(secs(15));
            world.utter(villain, conn, &[message(mark, 1, 1), message(mark, 2, 2)]);
            world.run_for(secs(1));
            let acked = world
                .heard(villain, conn)
                .iter()
                .filter(|f| matches!(f, Frame::Ack(_)));
            assert_eq!(acked.count(), 1);
            stage.is_calm(world);
        },
    );
}

#[test]
fn one_name_after_the_other_is_not_written_down_a_thousand_times() {
    explore("one_name_after_the_other", 4, |world| {
        let stage = stage(world, true);
        let (node, villain) = (stage.node, stage.villain);
        let conn = world.puppet_meet(villain, node);
        world.run_for(ms(50));
        for n in 0..2_000 {
            let name = Name::new(&format!("Name {n}")).expect("a proper name");
            let profile = Profile::new(name, Status::Busy, WallTime(n), 1);
            world.utter(villain, conn, &[Frame::Profile(profile)]);
            world.run_for(ms(1));
        }
        assert!(!world.is_open(villain, conn));
        stage.is_calm(world);
    });
}
