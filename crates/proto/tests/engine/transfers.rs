//! Transfers of files: what both sides say, keep and ask of their shells.

use crate::party::{Manner, Party, secs};
use hallway_model::{
    Answer, Body, Command, ContentId, ConversationId, Offer, Problem, TransferAct, TransferFailure,
    TransferId, TransferPhase, TransferState, TransferView,
};
use hallway_proto::frame::Frame;
use hallway_proto::io::{CommandId, Input};
use hallway_proto::limits::TRANSFER_CHANGES_MAX;
use hallway_proto::transfer::{Order, Report, Says, Signal};

pub(crate) const ANN: usize = 0;
pub(crate) const BO: usize = 1;

pub(crate) fn offer(bytes: u64) -> Box<Offer> {
    Box::new(Offer {
        content: ContentId([7; 16]),
        name: "report.pdf".into(),
        bytes,
        files: 1,
        folder: false,
        media_type: None,
        thumbnail: None,
        left_out: 0,
        left_out_names: Vec::new(),
    })
}

/// Ann offers something to Bo.
pub(crate) fn offered(party: &mut Party, bytes: u64) -> TransferId {
    offered_by(party, ANN, bytes)
}

/// Somebody offers something to Bo.
fn offered_by(party: &mut Party, from: usize, bytes: u64) -> TransferId {
    let command = Command::Offer {
        to: party.id(BO),
        offer: offer(bytes),
        source: "/srv/report.pdf".into(),
        client_id: None,
    };
    let Ok(Answer::Sent { id, .. }) = party.ask(from, command) else {
        panic!("an offer is sent");
    };
    TransferId {
        author: party.id(from),
        message: id,
    }
}

fn view(party: &mut Party, at: usize) -> TransferView {
    let Ok(Answer::Transfers(mut all)) = party.ask(at, Command::Transfers) else {
        panic!("transfers are listed");
    };
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn states(party: &mut Party) -> (TransferState, TransferState) {
    (view(party, ANN).state, view(party, BO).state)
}

pub(crate) fn act(
    party: &mut Party,
    at: usize,
    id: TransferId,
    act: TransferAct,
) -> Result<(), Problem> {
    let id = id.message.to_string();
    let answer = party.ask(at, Command::Transfer { id, act });
    answer.map(drop).map_err(|refusal| refusal.problem)
}

pub(crate) fn report(party: &mut Party, at: usize, id: TransferId, report: Report) {
    party.tell(at, Input::Files(id, report));
}

/// The orders since the last look, by their first letter: Fetch, Serve, Reach, Introduce, stop (-),
/// Discard.
fn orders(party: &mut Party, at: usize) -> String {
    let taken = std::mem::take(&mut party.nodes[at].orders);
    taken
        .iter()
        .map(|order| match order {
            Order::Fetch(_) => 'F',
            Order::Serve(_) => 'S',
            Order::Reach(_) => 'R',
            Order::Introduce { .. } => 'I',
            Order::Stop(_) => '-',
            Order::Discard { .. } => 'D',
        })
        .collect()
}

#[test]
fn a_small_offer_of_a_contact_is_taken_and_a_large_one_waits() {
    let mut party = Party::of_friends(2);
    let small = offered(&mut party, 100);
    assert_eq!(
        states(&mut party),
        (TransferState::Running, TransferState::Running)
    );
    assert_eq!(
        (orders(&mut party, ANN), orders(&mut party, BO)),
        ("S".into(), "F".into())
    );
    report(&mut party, BO, small, Report::Done("/in/report.pdf".into()));
    assert_eq!(
        states(&mut party),
        (TransferState::Done, TransferState::Done)
    );
    assert_eq!(
        (orders(&mut party, ANN), orders(&mut party, BO)),
        ("-".into(), "-DD".into())
    );
    assert!(party.nodes.iter().all(|node| node.transfers[0].settled));

    let mut party = Party::of_friends(2);
    let large = offered(&mut party, 101);
    assert_eq!(
        states(&mut party),
        (TransferState::Offered, TransferState::Offered)
    );
    let take = || TransferAct::Accept {
        to: Some("/in".into()),
    };
    assert_eq!(
        act(&mut party, ANN, large, take()),
        Err(Problem::TransferState)
    );
    act(&mut party, BO, large, take()).unwrap();
    assert_eq!(
        states(&mut party),
        (TransferState::Running, TransferState::Running)
    );
    let [Order::Fetch(fetch)] = &party.nodes[BO].orders[..] else {
        panic!("Bo fetches");
    };
    assert_eq!(fetch.folder.as_deref(), Some("/in".as_ref()));
    assert!(!fetch.addresses.is_empty());
}

#[test]
fn nothing_of_a_stranger_is_taken_unasked() {
    let mut party = Party::new(&[
        Manner::default(),
        Manner {
            reserved: true,
            ..Manner::default()
        },
    ]);
    party.connect(ANN, BO);
    offered(&mut party, 1);
    assert_eq!(
        states(&mut party),
        (TransferState::Offered, TransferState::Offered)
    );
}

#[test]
fn what_was_decided_survives_whatever_restarts() {
    for victim in [ANN, BO] {
        let mut party = Party::of_friends(2);
        let id = offered(&mut party, 100);
        report(&mut party, BO, id, Report::Progress(40));
        party.kill(victim);
        let other = 1 - victim;
        assert_eq!(view(&mut party, other).state, TransferState::WaitingForPeer);
        assert!(orders(&mut party, other).ends_with('-'));
        party.nodes[victim].orders.clear();
        party.restart(victim);
        party.connect(ANN, BO);
        assert_eq!(
            states(&mut party),
            (TransferState::Running, TransferState::Running)
        );
        assert_eq!(
            (orders(&mut party, ANN), orders(&mut party, BO)),
            ("S".into(), "F".into())
        );
        let began = Report::Began {
            moved: 63,
            bytes: 100,
            folder: Some("/in".into()),
        };
        report(&mut party, BO, id, began);
        assert_eq!(view(&mut party, BO).resumed_at, Some(63));
        // The end is said until it is known, also by who was killed right after it.
        party.cut.insert(ANN);
        party.mute.insert((ANN, BO));
        report(&mut party, BO, id, Report::Done("/in/report.pdf".into()));
        party.kill(BO);
        party.restart(BO);
        party.cut.clear();
        party.mute.clear();
        party.connect(BO, ANN);
        assert_eq!(
            states(&mut party),
            (TransferState::Done, TransferState::Done)
        );
    }
}

#[test]
fn it_moves_while_neither_side_holds_it() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 100);
    act(&mut party, ANN, id, TransferAct::Pause).unwrap();
    let (ours, theirs) = (TransferState::PausedByUs, TransferState::PausedByThem);
    assert_eq!(states(&mut party), (ours, theirs));
    act(&mut party, BO, id, TransferAct::Pause).unwrap();
    act(&mut party, ANN, id, TransferAct::Resume).unwrap();
    assert_eq!(states(&mut party), (theirs, ours));
    party.kill(ANN);
    party.restart(ANN);
    party.connect(ANN, BO);
    assert_eq!(states(&mut party), (theirs, ours));
    orders(&mut party, ANN);
    orders(&mut party, BO);
    act(&mut party, BO, id, TransferAct::Resume).unwrap();
    assert_eq!(
        (orders(&mut party, ANN), orders(&mut party, BO)),
        ("S".into(), "F".into())
    );
}

#[test]
fn who_gives_it_up_is_told_apart_and_parts_are_removed() {
    use TransferState::{CancelledByThem, CancelledByUs};
    for (at, expected) in [
        (ANN, (CancelledByUs, CancelledByThem)),
        (BO, (CancelledByThem, CancelledByUs)),
    ] {
        let mut party = Party::of_friends(2);
        let id = offered(&mut party, 100);
        act(&mut party, at, id, TransferAct::Cancel).unwrap();
        assert_eq!(states(&mut party), expected);
        assert!(orders(&mut party, BO).starts_with("F-D"));
        assert_eq!(
            act(&mut party, at, id, TransferAct::Resume),
            Err(Problem::TransferState)
        );
        assert!(party.nodes.iter().all(|node| node.transfers[0].settled));
    }
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 101);
    act(&mut party, BO, id, TransferAct::Decline).unwrap();
    assert_eq!(
        states(&mut party),
        (TransferState::Declined, TransferState::Declined)
    );
}

#[test]
fn an_offer_taken_back_before_it_arrived_ends_when_it_is_taken() {
    let mut party = Party::of_friends(2);
    party.kill(BO);
    let id = offered(&mut party, 100);
    act(&mut party, ANN, id, TransferAct::Cancel).unwrap();
    party.restart(BO);
    party.connect(ANN, BO);
    let expected = (TransferState::CancelledByUs, TransferState::CancelledByThem);
    assert_eq!(states(&mut party), expected);
}

#[test]
fn an_interrupted_transfer_is_tried_again_later_and_later() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 100);
    orders(&mut party, BO);
    for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0] {
        report(&mut party, BO, id, Report::Lost("reset".into()));
        let wait = std::time::Duration::from_secs_f64(seconds);
        party.pass(wait - secs(1) / 10);
        assert_eq!(orders(&mut party, BO), "-", "{seconds}");
        party.pass(secs(1) / 5);
        assert_eq!(orders(&mut party, BO), "F", "{seconds}");
    }
    // No room is the same, and both sides see why.
    report(&mut party, BO, id, Report::NoRoom);
    let full = TransferState::WaitingForRoom;
    assert_eq!(states(&mut party), (full, full));
    report(&mut party, BO, id, Report::Progress(1));
    party.pass(secs(16));
    report(&mut party, BO, id, Report::Progress(1));
    assert_eq!(view(&mut party, BO).state, TransferState::Running);
    let failed = Report::Failed(TransferFailure::Destination);
    report(&mut party, BO, id, failed);
    assert_eq!(
        states(&mut party),
        (TransferState::Failed, TransferState::Failed)
    );
    assert_eq!(
        view(&mut party, ANN).failure,
        Some(TransferFailure::Destination)
    );
}

#[test]
fn a_change_is_told_and_one_too_many_ends_it() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 100);
    for number in 1..=TRANSFER_CHANGES_MAX {
        for at in [ANN, BO] {
            report(&mut party, at, id, Report::Changed);
            assert_eq!(view(&mut party, at).changed, number);
        }
    }
    let running = TransferState::Running;
    assert_eq!(states(&mut party), (running, running));
    report(&mut party, ANN, id, Report::Changed);
    assert_eq!(states(&mut party), (running, running), "the receiver says");
    report(&mut party, BO, id, Report::Changed);
    for at in [ANN, BO] {
        assert_eq!(view(&mut party, at).failure, Some(TransferFailure::Changed));
    }
}

#[test]
fn what_has_grown_is_shown_as_it_is_now() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 50);
    for at in [ANN, BO] {
        for bytes in [50, 80] {
            let began = Report::Began {
                moved: 40,
                bytes,
                folder: None,
            };
            report(&mut party, at, id, began);
            report(&mut party, at, id, Report::Progress(bytes));
            let shown = view(&mut party, at);
            assert_eq!((shown.moved, shown.file.bytes), (bytes, bytes));
        }
    }
    report(&mut party, BO, id, Report::Done("/in/report.pdf".into()));
    for at in [ANN, BO] {
        let shown = view(&mut party, at);
        assert_eq!((shown.moved, shown.file.bytes), (80, 80));
    }
    // And so it stays.
    party.kill(BO);
    party.restart(BO);
    assert_eq!(view(&mut party, BO).file.bytes, 80);
}

#[test]
fn both_sides_know_that_a_picture_has_a_small_one() {
    let mut party = Party::of_friends(2);
    let mut offer = offer(50);
    offer.thumbnail = Some(vec![0xff, 0xd8]);
    let command = Command::Offer {
        to: party.id(BO),
        offer,
        source: "/srv/picture.jpg".into(),
        client_id: None,
    };
    assert!(party.ask(ANN, command).is_ok());
    for at in [ANN, BO] {
        assert!(view(&mut party, at).file.thumbnail);
        let kept = &party.nodes[at].transfers[0].offer.thumbnail;
        assert_eq!(
            *kept,
            Some(Vec::new()),
            "the picture itself is in the message"
        );
    }
}

#[test]
fn what_would_be_taken_unasked_is_taken_when_it_has_grown() {
    let bytes_max = |party: &Party| match &party.nodes[BO].orders[..] {
        [Order::Fetch(fetch)] => fetch.bytes_max,
        orders => panic!("Bo fetches: {orders:?}"),
    };
    let mut party = Party::of_friends(2);
    offered(&mut party, 60);
    assert_eq!(bytes_max(&party), 100);
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 101);
    act(&mut party, BO, id, TransferAct::Accept { to: None }).unwrap();
    assert_eq!(bytes_max(&party), 101);
}

#[test]
fn a_full_disk_refuses_the_word_and_keeps_it_for_later() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 100);
    party.nodes[BO].disk_full = true;
    report(&mut party, BO, id, Report::Done("/in/report.pdf".into()));
    // Not on disk: the other side must not believe it yet.
    assert_eq!(view(&mut party, ANN).state, TransferState::Running);
    party.nodes[BO].disk_full = false;
    party.pass(secs(11));
    assert_eq!(
        states(&mut party),
        (TransferState::Done, TransferState::Done)
    );
    assert_eq!(party.nodes[BO].transfers[0].phase, TransferPhase::Done);
}

#[test]
fn words_on_what_is_not_there_or_not_theirs_do_no_harm() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 101);
    let mut bo = party.impersonate(BO, ANN);
    let say = |offering, says| {
        Frame::Transfer(Signal {
            message: id.message,
            offering,
            says,
        })
    };
    // Bo cannot speak for Ann's side of it.
    for says in [Says::Accept, Says::Cancel, Says::Done] {
        bo.say(&mut party, &[say(true, says)]);
        assert_eq!(
            view(&mut party, ANN).state,
            TransferState::Offered,
            "{says:?}"
        );
    }
    let unknown = Frame::Transfer(Signal {
        message: hallway_model::MessageId([9; 16]),
        offering: false,
        says: Says::Accept,
    });
    let heard = bo.say(&mut party, &[unknown]);
    let cancels =
        |frame: &Frame| matches!(frame, Frame::Transfer(s) if s.says == Says::Cancel && s.offering);
    assert!(heard.iter().any(cancels), "{heard:?}");
    bo.say(&mut party, &[say(false, Says::Other(99))]);
    assert_eq!(view(&mut party, ANN).state, TransferState::Offered);
}

#[test]
fn who_cannot_connect_to_the_sender_is_connected_to() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 100);
    assert_eq!(orders(&mut party, ANN), "S");
    assert_eq!(orders(&mut party, BO), "F");
    report(&mut party, BO, id, Report::Unreachable);
    let [Order::Reach(reach)] = &party.nodes[ANN].orders[..] else {
        panic!("Ann connects");
    };
    assert!(reach.id == id && !reach.addresses.is_empty());
    assert_eq!(view(&mut party, BO).state, TransferState::Running);
    assert_eq!(orders(&mut party, ANN), "R");
    // What did not work is not waited for again in this session.
    report(&mut party, BO, id, Report::Lost("nobody came".into()));
    party.pass(secs(1));
    assert_eq!(orders(&mut party, BO), "-F");
    assert_eq!(orders(&mut party, ANN), "R");
    // Of what is not served there is nothing to connect for, and only receivers may ask.
    act(&mut party, BO, id, TransferAct::Pause).unwrap();
    assert_eq!(orders(&mut party, ANN), "-");
    let mut bo = party.impersonate(BO, ANN);
    let dial = |offering| {
        Frame::Transfer(Signal {
            message: id.message,
            offering,
            says: Says::Dial,
        })
    };
    bo.say(&mut party, &[dial(false), dial(true)]);
    assert_eq!(orders(&mut party, ANN), "");
}

#[test]
fn an_offer_that_is_deleted_is_taken_back() {
    for running in [false, true] {
        let mut party = Party::of_friends(2);
        let id = offered(&mut party, if running { 100 } else { 101 });
        let delete = Command::Send {
            to: ConversationId::Peer(party.id(BO)),
            body: Body::Delete { target: id.message },
            client_id: None,
        };
        party.ask(ANN, delete.clone()).unwrap();
        let over = (TransferState::CancelledByUs, TransferState::CancelledByThem);
        assert_eq!(states(&mut party), over);
        assert!(party.nodes.iter().all(|node| node.transfers[0].settled));
        // What has arrived cannot be taken back.
        let done = offered(&mut party, 100);
        report(&mut party, BO, done, Report::Done("/in/report.pdf".into()));
        let delete = Command::Send {
            to: ConversationId::Peer(party.id(BO)),
            body: Body::Delete {
                target: done.message,
            },
            client_id: None,
        };
        party.ask(ANN, delete).unwrap();
        let kept = party.nodes[ANN].transfers.iter().find(|t| t.id == done);
        assert_eq!(kept.unwrap().phase, TransferPhase::Done);
    }
}

#[test]
fn what_is_asked_while_a_peer_is_being_forgotten_is_answered() {
    let mut party = Party::of_friends(2);
    let id = offered(&mut party, 101);
    let forget = Input::Command(CommandId(u64::MAX), Command::Forget(party.id(ANN)));
    let now = party.now;
    party.nodes[BO].engine.handle(forget, now);
    let declined = act(&mut party, BO, id, TransferAct::Decline);
    assert_eq!(declined, Err(Problem::NoSuchTransfer));
    let Ok(Answer::Transfers(left)) = party.ask(BO, Command::Transfers) else {
        panic!("transfers are listed");
    };
    assert_eq!(left, []);
}

#[test]
fn hundreds_of_open_transfers_are_no_flood() {
    let mut party = Party::of_friends(2);
    for _ in 0..450 {
        offered(&mut party, 101);
    }
    party.kill(BO);
    party.restart(BO);
    party.connect(ANN, BO);
    party.pass(secs(5));
    for at in [ANN, BO] {
        let Ok(Answer::Status(status)) = party.ask(at, Command::Status) else {
            panic!("a status");
        };
        assert_eq!(status.sessions, 1);
        assert!(
            status
                .counters
                .iter()
                .all(|counter| counter.name != "flood")
        );
    }
}

#[test]
fn too_many_open_offers_fail_and_the_message_stays() {
    let mut party = Party::of_friends(2);
    for _ in 0..1000 {
        offered(&mut party, 101);
    }
    let last = offered(&mut party, 101);
    let bo = party.nodes[BO]
        .transfers
        .iter()
        .find(|t| t.id == last)
        .unwrap();
    assert_eq!(bo.phase, TransferPhase::Failed(TransferFailure::TooMany));
    let others = party.nodes[BO].transfers.iter().filter(|t| t.id != last);
    assert!(others.clone().all(|t| t.phase == TransferPhase::Offered) && others.count() == 1000);
    assert!(
        party.nodes[BO]
            .disk
            .iter()
            .any(|message| message.id == last.message)
    );
    let ann = party.nodes[ANN]
        .transfers
        .iter()
        .find(|t| t.id == last)
        .unwrap();
    assert_eq!(ann.phase, TransferPhase::Failed(TransferFailure::TooMany));
}

#[test]
fn an_offer_over_its_limits_is_refused() {
    let mut party = Party::of_friends(2);
    let mut long = offer(1);
    long.name = "x".repeat(256);
    let to = ConversationId::Peer(party.id(BO));
    let body = Body::Offer(long);
    let client_id = None;
    let refused = party
        .ask(
            ANN,
            Command::Send {
                to,
                body,
                client_id,
            },
        )
        .unwrap_err();
    assert_eq!(refused.problem, Problem::TooLong);
}

/// What Bo has begun to fetch since the last look.
fn fetched(party: &mut Party) -> Vec<TransferId> {
    let orders = std::mem::take(&mut party.nodes[BO].orders).into_iter();
    orders
        .filter_map(|order| match order {
            Order::Fetch(fetch) => Some(fetch.id),
            Order::Serve(_)
            | Order::Reach(_)
            | Order::Introduce { .. }
            | Order::Stop(_)
            | Order::Discard { .. } => None,
        })
        .collect()
}

fn waiting(party: &mut Party, at: usize) -> usize {
    let Ok(Answer::Transfers(all)) = party.ask(at, Command::Transfers) else {
        panic!("transfers are listed");
    };
    let waits = |view: &&TransferView| view.state == TransferState::WaitingForTurn;
    all.iter().filter(waits).count()
}

#[test]
fn nobody_waits_behind_all_that_another_sends() {
    let others = [ANN, 2, 3, 4, 5];
    let mut party = Party::of_friends(6);
    // Four of each peer, and sixteen in all.
    let offers = others.map(|from| [0; 6].map(|_| offered_by(&mut party, from, 100)));
    let running = fetched(&mut party);
    let expected = offers[..4].iter().flat_map(|offers| &offers[..4]);
    assert!(expected.eq(&running), "{running:?}");
    assert_eq!(waiting(&mut party, BO), 14);
    // Who offers sees the same, also those who come again while it lasts.
    for (from, its) in others.into_iter().zip([2, 2, 2, 2, 6]) {
        assert_eq!(waiting(&mut party, from), its);
    }
    let [ann, .., last] = &offers;
    let end = |party: &mut Party, id| {
        report(party, BO, id, Report::Done("/in/report.pdf".into()));
        fetched(party)
    };
    // The last to come has nothing yet, and so is before what others offered earlier.
    assert_eq!(end(&mut party, ann[0]), [last[0]]);
    assert_eq!(end(&mut party, ann[1]), [last[1]]);
    // Now Ann and they have two each: hers are older.
    assert_eq!(end(&mut party, offers[1][0]), [ann[4]]);
    // What is held makes room, and comes back when there is some.
    act(&mut party, BO, ann[2], TransferAct::Pause).unwrap();
    assert_eq!(fetched(&mut party), [ann[5]]);
    act(&mut party, BO, ann[2], TransferAct::Resume).unwrap();
    assert_eq!(fetched(&mut party), []);
    // What waits to be tried again takes no turn, and what is interrupted gives its own back.
    report(&mut party, BO, last[0], Report::Lost("reset".into()));
    assert_eq!(fetched(&mut party), [last[2]]);
    party.pass(secs(1));
    assert_eq!(fetched(&mut party), []);
    // Whoever leaves takes nothing along but their own.
    party.kill(ANN);
    let running = fetched(&mut party);
    assert_eq!(running.len(), 3, "{running:?}");
    assert!(running.iter().all(|id| id.author != party.id(ANN)));
    party.restart(ANN);
    party.connect(ANN, BO);
    assert_eq!((waiting(&mut party, ANN), waiting(&mut party, BO)), (4, 11));
    let began = Report::Began {
        moved: 0,
        bytes: 100,
        folder: None,
    };
    report(&mut party, ANN, ann[4], began);
    assert_eq!(waiting(&mut party, ANN), 3, "bytes flow");
}
