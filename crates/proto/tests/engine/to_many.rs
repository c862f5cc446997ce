//! One content for several peers, who hear of each other.

use crate::party::Party;
use crate::transfers::{ANN, BO, act, offer, offered, report};
use hallway_model::{Answer, Command, TransferAct, TransferId};
use hallway_proto::frame::Frame;
use hallway_proto::transfer::{Address, Introduction, Order, Other, Report};

const CY: usize = 2;
const DI: usize = 3;

/// Ann offers the same large content to these.
fn offered_to(party: &mut Party, to: &[usize]) -> Vec<TransferId> {
    let mut ids = Vec::new();
    for at in to {
        let command = Command::Offer {
            to: party.id(*at),
            offer: offer(8 << 20),
            source: "/srv/report.pdf".into(),
            client_id: None,
        };
        let Ok(Answer::Sent { id, .. }) = party.ask(ANN, command) else {
            panic!("an offer is sent");
        };
        ids.push(TransferId {
            author: party.id(ANN),
            message: id,
        });
        act(
            party,
            *at,
            ids[ids.len() - 1],
            TransferAct::Accept { to: None },
        )
        .unwrap();
    }
    ids
}

/// Whom a node may fetch from and serve, as it was told last; `None` without any news.
fn introduced(party: &mut Party, at: usize) -> Option<Vec<usize>> {
    let orders = std::mem::take(&mut party.nodes[at].orders);
    let last = orders.into_iter().rev().find_map(|order| match order {
        Order::Introduce { others, .. } => Some(others),
        Order::Fetch(_)
        | Order::Serve(_)
        | Order::Reach(_)
        | Order::Stop(_)
        | Order::Discard { .. } => None,
    })?;
    let place = |peer| (0..party.nodes.len()).find(|at| party.id(*at) == peer);
    let mut places: Vec<_> = last
        .iter()
        .map(|other| {
            assert!(!other.addresses.is_empty() && other.addresses.len() <= 4);
            place(other.peer).unwrap()
        })
        .collect();
    places.sort_unstable();
    Some(places)
}

#[test]
fn receivers_of_one_content_hear_of_each_other_until_all_have_it() {
    let mut party = Party::of_friends(4);
    let ids = offered_to(&mut party, &[BO, CY, DI]);
    assert_eq!(introduced(&mut party, BO), Some(vec![CY, DI]));
    assert_eq!(introduced(&mut party, CY), Some(vec![BO, DI]));
    assert_eq!(introduced(&mut party, DI), Some(vec![BO, CY]));
    // Who has all of it still helps the others; who holds it does not.
    report(
        &mut party,
        BO,
        ids[0],
        Report::Done("/in/report.pdf".into()),
    );
    assert_eq!(introduced(&mut party, BO), None);
    act(&mut party, CY, ids[1], TransferAct::Pause).unwrap();
    assert_eq!(introduced(&mut party, BO), Some(vec![DI]));
    assert_eq!(introduced(&mut party, CY), Some(vec![]));
    act(&mut party, CY, ids[1], TransferAct::Resume).unwrap();
    assert_eq!(introduced(&mut party, BO), Some(vec![CY, DI]));
    assert_eq!(introduced(&mut party, CY), Some(vec![BO, DI]));
    // Who is blocked, or away, is nobody's help; nor is anybody without the sender.
    let block = Command::Block(party.id(BO));
    party.ask(DI, block).unwrap();
    assert_eq!(introduced(&mut party, DI), Some(vec![CY]));
    party.kill(CY);
    assert_eq!(introduced(&mut party, DI), Some(vec![]));
    assert_eq!(introduced(&mut party, BO), Some(vec![DI]));
    party.restart(CY);
    party.connect(ANN, CY);
    assert_eq!(introduced(&mut party, CY), Some(vec![BO, DI]));
    party.kill(ANN);
    assert_eq!(introduced(&mut party, BO), Some(vec![]));
    party.restart(ANN);
    for at in [BO, CY, DI] {
        party.connect(ANN, at);
    }
    // What was over before the restart is not remembered as having been one of several.
    assert_eq!(introduced(&mut party, CY), Some(vec![DI]));
    report(
        &mut party,
        CY,
        ids[1],
        Report::Done("/in/report.pdf".into()),
    );
    assert_eq!(introduced(&mut party, CY), None);
    report(
        &mut party,
        DI,
        ids[2],
        Report::Done("/in/report.pdf".into()),
    );
    assert_eq!(introduced(&mut party, CY), Some(vec![]));
    assert_eq!(introduced(&mut party, DI), Some(vec![]));
    for (at, id) in [(CY, ids[1]), (DI, ids[2])] {
        let settled = party.nodes[at].transfers.iter().find(|t| t.id == id);
        assert!(settled.unwrap().settled);
    }
}

#[test]
fn an_introduction_is_believed_of_the_sender_only_and_of_nobody_blocked() {
    let mut party = Party::of_friends(3);
    let small = offered(&mut party, 100);
    let ids = offered_to(&mut party, &[BO]);
    party.nodes[BO].orders.clear();
    let eve = hallway_model::PeerId([0xee; 32]);
    let cy = party.id(CY);
    let (ann_id, bo_id) = (party.id(ANN), party.id(BO));
    let block = Command::Block(cy);
    party.ask(BO, block).unwrap();
    let introduction = |id: TransferId, peers: &[hallway_model::PeerId]| {
        let other = |peer: &hallway_model::PeerId| Other {
            peer: *peer,
            addresses: vec![
                Address("127.0.0.1:22".parse().unwrap()),
                Address("10.9.9.9:22".parse().unwrap()),
            ],
            fast_aes: false,
        };
        Frame::Introduction(Introduction {
            message: id.message,
            others: peers.iter().map(other).collect(),
        })
    };
    let mut ann = party.impersonate(ANN, BO);
    party.nodes[BO].orders.clear();
    let unknown = TransferId {
        message: hallway_model::MessageId([9; 16]),
        ..ids[0]
    };
    ann.say(
        &mut party,
        &[
            introduction(small, &[eve]),
            introduction(unknown, &[eve]),
            introduction(ids[0], &[ann_id, bo_id, cy]),
        ],
    );
    assert_eq!(party.nodes[BO].orders, []);
    // The same word twice is one order, and no address of our own is dialled.
    let most = vec![eve; 32];
    ann.say(&mut party, &vec![introduction(ids[0], &[eve]); 2]);
    let [Order::Introduce { others, .. }] = &party.nodes[BO].orders[..] else {
        panic!("Bo hears of Eve: {:?}", party.nodes[BO].orders);
    };
    assert_eq!(others[0].addresses, ["10.9.9.9:22".parse().unwrap()]);
    ann.say(&mut party, &[introduction(ids[0], &most)]);
    // More are a breach of the protocol.
    ann.say(&mut party, &[introduction(ids[0], &[eve; 33])]);
    let Ok(Answer::Status(status)) = party.ask(BO, Command::Status) else {
        panic!("a status");
    };
    assert_eq!(status.sessions, 0);
}
