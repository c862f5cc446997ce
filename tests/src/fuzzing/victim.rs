//! An engine in the hands of a hostile peer.

use super::session;
use hallway_model::{
    Added, Body, Command, ConversationId, Instant, MessageId, Name, Now, PeerId, Snapshot, Status,
    StorageFault, WallTime, Write,
};
use hallway_proto::frame::Frame;
use hallway_proto::handshake::Transport;
use hallway_proto::io::{CommandId, ConnId, Input, Output};
use hallway_proto::{Config, Engine};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Handshakes in one script: they take most of its time.
const SESSIONS_MAX: u64 = 4;

/// The engine, its disk, its user, and the peer's end of the latest session.
pub(super) struct Victim<'a> {
    script: &'a [u8],
    engine: Engine,
    peer: PeerId,
    transport: Option<Transport>,
    sessions: u64,
    commands: u64,
    now: Now,
    disk_full: bool,
    on_disk: BTreeSet<MessageId>,
    /// Messages that came out and are not acknowledged.
    heard: Vec<MessageId>,
}

impl<'a> Victim<'a> {
    /// A node that nobody has spoken to. Bit 0 of the first byte makes it take everybody as a
    /// contact.
    pub(super) fn new(data: &'a [u8]) -> Self {
        let (flags, script) = data.split_first().unwrap_or((&0, &[]));
        let now = Now {
            mono: Instant(1),
            wall: WallTime(1_750_000_000_000),
        };
        let config = Config {
            id: PeerId([0x55; 32]),
            name: Name::new("Victim").expect("a valid name"),
            port: 42550,
            fast_aes: false,
            read_receipts: true,
            accept_all: flags & 1 == 1,
            accept_files_bytes: 0,
            auto_answer: flags & 2 == 2,
        };
        Self {
            script,
            engine: Engine::new(config, Snapshot::default(), [7; 32], now),
            peer: super::initiator(),
            transport: None,
            sessions: 0,
            commands: 0,
            now,
            disk_full: false,
            on_disk: BTreeSet::new(),
            heard: Vec::new(),
        }
    }

    /// Runs a script of numbers of two bytes, most significant first: below 0xfc00 the length of
    /// a frame that follows; 0xfc.. a new session (even) or an honest acknowledgement (odd);
    /// 0xfd.. something that the user wants; 0xfe.. fills the disk (even) or makes room again
    /// (odd); 0xff.. so many seconds pass.
    pub(super) fn run(mut self) {
        self.connect();
        while let Some((number, rest)) = self.script.split_first_chunk() {
            self.script = rest;
            let [high, low] = *number;
            match high {
                0xff => self.wait(Duration::from_secs(low.into())),
                0xfe => self.disk_full = low & 1 == 0,
                0xfd => self.command(low),
                0xfc if low & 1 == 0 => self.connect(),
                0xfc => self.acknowledge(),
                _ => {
                    let length = usize::from(u16::from_be_bytes(*number));
                    let (frame, rest) = self.script.split_at(length.min(self.script.len()));
                    self.script = rest;
                    self.receive(frame);
                }
            }
        }
    }

    fn connect(&mut self) {
        if self.sessions == SESSIONS_MAX {
            return;
        }
        self.sessions += 1;
        let (initiator, established) = session();
        self.transport = Some(initiator.transport);
        self.handle(Input::Established {
            conn: ConnId(self.sessions),
            dial: None,
            remote: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 5),
            local: IpAddr::V4(Ipv4Addr::LOCALHOST),
            established,
        });
    }

    fn acknowledge(&mut self) {
        let mut frame = Vec::new();
        Frame::Ack(std::mem::take(&mut self.heard)).encode(&mut frame);
        self.receive(&frame);
    }

    fn receive(&mut self, frame: &[u8]) {
        let Some(transport) = &mut self.transport else {
            return;
        };
        let mut record = Vec::new();
        transport
            .seal(frame, &mut record)
            .expect("a script is too short to wear out a key");
        if Frame::decode(frame) == Ok(Frame::Rekey) {
            transport.rekey_outgoing();
        }
        self.handle(Input::Received(ConnId(self.sessions), record));
    }

    fn command(&mut self, number: u8) {
        let peer = self.peer;
        let command = match number % 9 {
            0 => Command::Send {
                to: ConversationId::Peer(peer),
                body: Body::Text {
                    text: "hi".into(),
                    reply_to: None,
                },
                client_id: None,
            },
            1 => Command::Accept(peer),
            2 => Command::Block(peer),
            3 => Command::Unblock(peer),
            4 => Command::Forget(peer),
            5 => Command::Typing(peer),
            6 => Command::MarkRead(peer, number.into()),
            7 => Command::SetStatus(Status::Away),
            _ => Command::Peers,
        };
        self.commands += 1;
        self.handle(Input::Command(CommandId(self.commands), command));
    }

    fn wait(&mut self, for_so_long: Duration) {
        let until = self.now.mono + for_so_long;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= until) {
            self.now.mono = self.now.mono.max(at);
            self.handle(Input::Timeout);
        }
        self.now.mono = until;
    }

    /// Hands the engine an input and carries out what it wants, until it wants nothing more.
    fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.now);
        while let Some(output) = self.engine.poll_output(self.now) {
            if let Output::Store { token, writes, .. } = output {
                let input = match self.store(&writes) {
                    Ok(added) => Input::Stored(token, added),
                    Err(fault) => Input::StoreFailed(token, fault),
                };
                self.engine.handle(input, self.now);
            } else if let Output::LoadOutbox { peer, .. } = output {
                let nothing = Input::OutboxLoaded(peer, Vec::new());
                self.engine.handle(nothing, self.now);
            } else if let Output::Transmit(conn, bytes) = output {
                self.hear(conn, &bytes);
            } else if let Output::Close(conn) = output
                && conn.0 == self.sessions
            {
                self.transport = None;
            }
        }
    }

    fn store(&mut self, writes: &[Write]) -> Result<Vec<Added>, StorageFault> {
        if self.disk_full {
            return Err(StorageFault::Full);
        }
        let mut added = Vec::new();
        for write in writes {
            if let Write::Message(message) = write {
                let change = u64::try_from(self.on_disk.len()).unwrap_or(u64::MAX);
                let new = self.on_disk.insert(message.id);
                added.push(if new {
                    Added::New { change }
                } else {
                    Added::Duplicate
                });
            } else if let Write::ForgetPeer(_) = write {
                self.on_disk.clear();
            }
        }
        Ok(added)
    }

    /// What the engine says is well formed, and nothing is acknowledged that is not on disk.
    fn hear(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(transport) = self.transport.as_mut().filter(|_| conn.0 == self.sessions) else {
            return;
        };
        transport.push(bytes);
        let mut plaintext = Vec::new();
        while transport
            .open(&mut plaintext)
            .expect("what the engine seals opens")
        {
            let frame = Frame::decode(&plaintext).expect("what the engine sends decodes");
            if frame == Frame::Rekey {
                transport.rekey_incoming();
            } else if let Frame::Ack(ids) = frame {
                assert!(ids.iter().all(|id| self.on_disk.contains(id)));
            } else if let Frame::Message(envelope) = frame {
                self.heard.push(envelope.id);
            }
        }
    }
}
