//! Several nodes' files in one process: what receivers get from each other, and from liars.
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test, whose numbers are small and whose other cases are one"
)]

use super::link::{GROUP_BUFFER_BYTES, Link};
use super::*;
use crate::arithmetic::ConnectError;
use hallway_model::{ContentId, MessageId, Name, Offer, WallTime};
use hallway_proto::bulk::{Ask, GROUP_BYTES, Message, Open, Opened, Revision, Want};
use hallway_proto::handshake::{LocalKeys, Policy};
use hallway_proto::transfer::{Introduced, Serve};
use std::fs;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const CONTENT: ContentId = ContentId([7; 16]);
const GROUPS: u64 = 12;
const SUITE: Suite = Suite::ChaChaPoly;

fn handshaker(seed: u8) -> Handshaker {
    let name = Name::new("device").unwrap();
    let keys = LocalKeys::new([seed; 32], [seed + 100; 32], &name, WallTime(0));
    Handshaker::new(Arc::new(keys), Policy::default())
}

/// A node without anything but its files.
struct Node {
    handshaker: Handshaker,
    address: SocketAddr,
    files: Arc<Mutex<Files>>,
    inputs: UnboundedReceiver<Input>,
    home: tempfile::TempDir,
}

impl Node {
    async fn start(seed: u8) -> Self {
        let handshaker = handshaker(seed);
        let home = tempfile::tempdir().unwrap();
        let (reports, inputs) = unbounded_channel();
        let folder = home.path().join("downloads");
        let files = Files::new(handshaker.clone(), folder, None, reports);
        let files = Arc::new(Mutex::new(files));
        let taken = files.clone();
        let address = answer(&handshaker, move |stream, established| {
            lock(&taken).accept(stream, established);
        });
        Self {
            address: address.await,
            handshaker,
            files,
            inputs,
            home,
        }
    }

    fn id(&self) -> PeerId {
        self.handshaker.me()
    }

    fn order(&self, order: Order) {
        lock(&self.files).handle(order);
    }

    /// Offers its file to somebody.
    fn offer(&self, to: PeerId, offer: &Offer, number: u8) {
        self.order(Order::Serve(Box::new(Serve {
            id: transfer(self.id(), number),
            peer: to,
            offer: offer.clone(),
            source: self.home.path().join("disk.img"),
        })));
    }

    fn fetch(&self, from: &Self, offer: &Offer, number: u8) {
        self.order(Order::Fetch(Box::new(Fetch {
            id: transfer(from.id(), number),
            peer: from.id(),
            offer: offer.clone(),
            bytes_max: offer.bytes,
            folder: None,
            addresses: vec![from.address],
            suite: SUITE,
        })));
    }

    fn introduce(&self, sender: &Self, number: u8, others: &[(PeerId, SocketAddr)]) {
        let introduced = |(peer, address): &(PeerId, SocketAddr)| Introduced {
            peer: *peer,
            addresses: vec![*address],
            suite: SUITE,
        };
        self.order(Order::Introduce {
            id: transfer(sender.id(), number),
            content: CONTENT,
            others: others.iter().map(introduced).collect(),
        });
    }

    async fn until_done(&mut self) -> PathBuf {
        loop {
            match self.inputs.recv().await.unwrap() {
                Input::Files(_, Report::Done(place)) => return place,
                Input::Files(_, Report::Began { .. } | Report::Progress(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn transfer(author: PeerId, number: u8) -> TransferId {
    let message = MessageId([number; 16]);
    TransferId { author, message }
}

/// Answers handshakes, and hands the connections over.
async fn answer(
    handshaker: &Handshaker,
    take: impl Fn(TcpStream, Established) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handshaker = handshaker.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let established: Result<_, ConnectError> = handshaker.respond(&mut stream).await;
            if let Ok(established) = established {
                take(stream.into_std().unwrap(), *established);
            }
        }
    });
    address
}

/// A sender with a file.
async fn sender() -> (Node, Offer, Vec<u8>) {
    let node = Node::start(1).await;
    let bytes = usize::try_from(GROUPS * GROUP_BYTES - 5).unwrap();
    let contents: Vec<u8> = (0..bytes).map(|at| (at * at / 7 % 251) as u8).collect();
    let path = node.home.path().join("disk.img");
    fs::write(&path, &contents).unwrap();
    let offer = Offer {
        content: CONTENT,
        ..offer(&path).unwrap()
    };
    (node, offer, contents)
}

/// A connection to somebody's files, opened for the content.
async fn open(from: &Handshaker, to: &Node) -> (Link, Result<Message, LinkError>) {
    let addresses = vec![to.address];
    let dialled = dial_all(from, to.id(), addresses, SUITE, 0).await.unwrap();
    let (stream, established) = dialled.into_iter().next().unwrap();
    let opened = tokio::task::spawn_blocking(move || {
        let mut link = Link::new(stream, established).unwrap();
        let open = Open {
            content: CONTENT,
            serving: false,
            have: Some(0),
            revision: None,
        };
        link.send(&Message::Open(open)).unwrap();
        link.flush().unwrap();
        let answer = link.receive();
        (link, answer)
    });
    opened.await.unwrap()
}

/// Somebody takes all groups from the sender, and what others then hear is: it has them.
async fn take_all(eve: &Handshaker, ann: &Node) -> (Revision, Vec<Vec<u8>>) {
    let (mut link, opened) = open(eve, ann).await;
    let Ok(Message::Opened(Opened { revision, .. })) = opened else {
        panic!("it is offered: {opened:?}");
    };
    let taken = tokio::task::spawn_blocking(move || {
        let count = u32::try_from(GROUPS).unwrap();
        let want = Want { first: 0, count };
        link.send(&Message::Want(want, Ask::Anybody)).unwrap();
        link.flush().unwrap();
        let mut buffer = vec![0; GROUP_BUFFER_BYTES];
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            let answer = link.receive().unwrap();
            let Message::Group { group, bytes } = answer else {
                panic!("the first who asks is given them: {answer:?}");
            };
            assert_eq!(group, number);
            let all = bytes as usize + 32;
            link.receive_bytes(&mut buffer, all).unwrap();
            groups.push(buffer[..all].to_vec());
        }
        groups
    });
    (revision, taken.await.unwrap())
}

/// What is wrong with a receiver that says it has everything.
#[derive(Clone, Copy, Debug)]
enum Malice {
    /// Changes a byte of each group, and the hash with it.
    Lies,
    /// Sends what nobody asked for.
    Rambles,
    /// Says nothing more.
    Stalls,
    /// Has nothing after all.
    Boasts,
    /// Says that it has more than there is.
    Exaggerates,
    /// Says that it has another content.
    IsElsewhere,
}

fn misbehave(
    link: &mut Link,
    malice: Malice,
    revision: Revision,
    groups: &[Vec<u8>],
) -> Result<(), LinkError> {
    link.receive()?;
    let revision = match malice {
        Malice::IsElsewhere => Revision([9; 16]),
        _ => revision,
    };
    let entries = 1;
    link.send(&Message::Opened(Opened { revision, entries }))?;
    loop {
        link.flush()?;
        match (link.receive()?, malice) {
            (Message::Follow, _) => {
                let count = u32::try_from(GROUPS).unwrap();
                let runs = match malice {
                    Malice::Exaggerates => 2,
                    _ => 1,
                };
                link.send(&Message::Have(vec![Want { first: 0, count }; runs]))?;
            }
            (Message::Want(Want { first: group, .. }, _), Malice::Lies) => {
                let mut lie = groups[usize::try_from(group).unwrap()].clone();
                lie[0] ^= 1;
                let bytes = lie.len() - 32;
                let hash = *blake3_of(&lie[..bytes], group);
                lie[bytes..].copy_from_slice(&hash);
                let bytes = u32::try_from(bytes).unwrap();
                link.send(&Message::Group { group, bytes })?;
                link.send_bytes(&lie)?;
            }
            (Message::Want(..), Malice::Rambles) => link.send_bytes(&[0xff; 5000])?,
            (Message::Want(Want { first, .. }, _), Malice::Boasts) => {
                link.send(&Message::Gone(first))?;
            }
            (_, _) => {}
        }
    }
}

fn blake3_of(bytes: &[u8], group: u64) -> Box<[u8; 32]> {
    let whole = GROUPS * GROUP_BYTES - 5;
    Box::new(hallway_proto::bulk::chain(
        bytes,
        group * GROUP_BYTES,
        whole,
    ))
}

#[tokio::test]
async fn what_one_receiver_has_the_other_gets_from_it() {
    let (ann, offer, contents) = sender().await;
    let (mut bo, mut cy) = (Node::start(2).await, Node::start(3).await);
    ann.offer(bo.id(), &offer, 2);
    ann.offer(cy.id(), &offer, 3);
    bo.introduce(&ann, 2, &[(cy.id(), cy.address)]);
    bo.fetch(&ann, &offer, 2);
    let place = bo.until_done().await;
    assert!(fs::read(&place).unwrap() == contents);
    // The engine does so once it is on disk that all is there.
    bo.order(Order::Stop(transfer(ann.id(), 2)));
    bo.order(Order::Discard {
        id: transfer(ann.id(), 2),
        folder: None,
    });
    // Who was not introduced gets nothing, whatever they have heard.
    let (_, refused) = open(&handshaker(9), &bo).await;
    assert!(refused.is_err(), "{refused:?}");
    // From here on the sender has only hashes to give.
    fs::remove_file(ann.home.path().join("disk.img")).unwrap();
    cy.introduce(&ann, 3, &[(bo.id(), bo.address)]);
    cy.fetch(&ann, &offer, 3);
    let place = cy.until_done().await;
    assert!(fs::read(&place).unwrap() == contents);
    // And nobody who is no longer introduced.
    bo.introduce(&ann, 2, &[]);
    let (_, refused) = open(&cy.handshaker, &bo).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn who_had_all_before_anybody_else_came_helps_all_the_same() {
    let (ann, offer, _) = sender().await;
    let mut bo = Node::start(2).await;
    ann.offer(bo.id(), &offer, 2);
    bo.fetch(&ann, &offer, 2);
    bo.until_done().await;
    let id = transfer(ann.id(), 2);
    bo.order(Order::Stop(id));
    bo.order(Order::Discard { id, folder: None });
    let cy = handshaker(3);
    bo.introduce(&ann, 2, &[(cy.me(), bo.address)]);
    let (_, opened) = open(&cy, &bo).await;
    assert!(matches!(opened, Ok(Message::Opened(_))), "{opened:?}");
    // And the sender knows that somebody has it.
    ann.order(Order::Stop(id));
    ann.offer(cy.me(), &offer, 3);
    let (mut link, opened) = open(&cy, &ann).await;
    assert!(matches!(opened, Ok(Message::Opened(_))), "{opened:?}");
    let told = tokio::task::spawn_blocking(move || {
        let want = Want { first: 5, count: 1 };
        link.send(&Message::Want(want, Ask::Anybody)).unwrap();
        link.flush().unwrap();
        link.receive().unwrap()
    });
    let told = told.await.unwrap();
    assert!(
        matches!(told, Message::Elsewhere { group: 5, .. }),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_file_that_its_receiver_has_changed_is_not_passed_on() {
    let (ann, offer, contents) = sender().await;
    let (mut bo, mut cy) = (Node::start(2).await, Node::start(3).await);
    ann.offer(bo.id(), &offer, 2);
    ann.offer(cy.id(), &offer, 3);
    bo.introduce(&ann, 2, &[(cy.id(), cy.address)]);
    bo.fetch(&ann, &offer, 2);
    let place = bo.until_done().await;
    let mut other = contents.clone();
    other[5] ^= 1;
    fs::write(&place, &other).unwrap();
    cy.introduce(&ann, 3, &[(bo.id(), bo.address)]);
    cy.fetch(&ann, &offer, 3);
    let place = cy.until_done().await;
    assert!(fs::read(&place).unwrap() == contents);
}

#[tokio::test]
async fn a_receiver_that_misbehaves_costs_only_itself() {
    let all = [
        Malice::Lies,
        Malice::Rambles,
        Malice::Stalls,
        Malice::Boasts,
        Malice::Exaggerates,
        Malice::IsElsewhere,
    ];
    for malice in all {
        let (ann, offer, contents) = sender().await;
        let eve = handshaker(9);
        ann.offer(eve.me(), &offer, 9);
        let (revision, groups) = take_all(&eve, &ann).await;
        let asked = Arc::new(AtomicBool::new(false));
        let (groups, was_asked) = (Arc::new(groups), asked.clone());
        let address = answer(&eve, move |stream, established| {
            let (groups, was_asked) = (groups.clone(), was_asked.clone());
            thread::spawn(move || {
                let mut link = Link::new(stream, established).unwrap();
                was_asked.store(true, Ordering::Relaxed);
                // The other side hangs up.
                let _ = misbehave(&mut link, malice, revision, &groups);
            });
        });
        let address = address.await;
        let mut bo = Node::start(2).await;
        ann.offer(bo.id(), &offer, 2);
        bo.introduce(&ann, 2, &[(eve.me(), address)]);
        bo.fetch(&ann, &offer, 2);
        let place = bo.until_done().await;
        assert!(fs::read(&place).unwrap() == contents, "{malice:?}");
        assert!(asked.load(Ordering::Relaxed), "{malice:?}");
    }
}

#[tokio::test]
async fn only_so_many_receivers_are_helped_at_once() {
    let (ann, offer, _) = sender().await;
    let mut bo = Node::start(2).await;
    ann.offer(bo.id(), &offer, 2);
    let others: Vec<Handshaker> = (10..20).map(handshaker).collect();
    let introduced: Vec<_> = others
        .iter()
        .map(|other| (other.me(), "127.0.0.1:1".parse().unwrap()))
        .collect();
    bo.introduce(&ann, 2, &introduced);
    bo.fetch(&ann, &offer, 2);
    bo.until_done().await;
    let (mut links, mut taken) = (Vec::new(), 0);
    for other in &others {
        let (link, answer) = open(other, &bo).await;
        match answer {
            Ok(Message::Opened(_)) => taken += 1,
            Ok(Message::Refused(_)) => {}
            other => panic!("{other:?}"),
        }
        links.push(link);
    }
    assert_eq!(taken, 8);
}
