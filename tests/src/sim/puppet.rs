//! A host that plays by no rules but those of the handshake: the test says every frame.

use super::network::End;
use super::secs;
use super::world::{Host, Mind, World};
use hallway_model::{PeerId, Status, WallTime};
use hallway_proto::frame::{Frame, Profile};
use hallway_proto::handshake::{Established, Transport};
use hallway_proto::io::{ConnId, DialId};
use std::collections::BTreeMap;

/// What a test holds the strings of.
#[derive(Default)]
pub(super) struct Puppet {
    conns: BTreeMap<ConnId, Line>,
    /// Gives its name on connections it did not ask for.
    greets: bool,
}

struct Line {
    end: End,
    peer: PeerId,
    transport: Transport,
    heard: Vec<Frame>,
    open: bool,
    /// Answers pings on its own.
    polite: bool,
}

impl Puppet {
    fn established(&mut self, conn: ConnId, end: End, established: Established) {
        let Established {
            peer,
            transport,
            leftover,
            ..
        } = established;
        let mut line = Line {
            end,
            peer,
            transport,
            heard: Vec::new(),
            open: true,
            polite: true,
        };
        line.transport.push(&leftover);
        self.conns.insert(conn, line);
    }

    pub(super) fn ended(&mut self, conn: ConnId) {
        if let Some(line) = self.conns.get_mut(&conn) {
            line.open = false;
        }
    }
}

impl World {
    /// Takes over a host that is off.
    pub fn possess(&mut self, host: Host) {
        let machine = self.machine_mut(host);
        machine.life += 1;
        machine.mind = Mind::Puppet(Puppet::default());
    }

    fn puppet(&self, host: Host) -> &Puppet {
        match &self.machine(host).mind {
            Mind::Puppet(puppet) => puppet,
            Mind::Off | Mind::Node(_) => panic!("{host:?} is no puppet"),
        }
    }

    fn line_mut(&mut self, host: Host, conn: ConnId) -> &mut Line {
        match &mut self.machine_mut(host).mind {
            Mind::Puppet(puppet) => puppet
                .conns
                .get_mut(&conn)
                .expect("a connection of its own"),
            Mind::Off | Mind::Node(_) => panic!("{host:?} is no puppet"),
        }
    }

    /// Has a puppet that is dialled give its name, as every session starts.
    pub fn let_greet(&mut self, host: Host) {
        if let Mind::Puppet(puppet) = &mut self.machine_mut(host).mind {
            puppet.greets = true;
        }
    }

    pub(super) fn puppet_established(
        &mut self,
        host: Host,
        conn: ConnId,
        end: End,
        established: Established,
    ) {
        if let Mind::Puppet(puppet) = &mut self.machine_mut(host).mind {
            puppet.established(conn, end, established);
            if puppet.greets {
                self.greet(host, conn);
            }
        }
    }

    fn greet(&mut self, host: Host, conn: ConnId) {
        let name = self.machine(host).name.clone();
        let profile = Profile::new(name, Status::Available, WallTime(0), 0);
        self.utter(host, conn, &[Frame::Profile(profile)]);
    }

    /// Dials, and waits until the handshake is done on this side.
    #[track_caller]
    pub fn puppet_dial(&mut self, host: Host, target: Host) -> ConnId {
        let before = self.puppet(host).conns.len();
        let (dial, address) = (DialId(self.number()), self.address(target));
        self.connect(host, dial, address);
        self.run_until(secs(10), |world| world.puppet(host).conns.len() > before);
        *self
            .puppet(host)
            .conns
            .last_key_value()
            .expect("it was just made")
            .0
    }

    /// The connections a puppet has or had, the oldest first.
    pub fn lines(&self, host: Host) -> Vec<ConnId> {
        self.puppet(host).conns.keys().copied().collect()
    }

    /// Dials and gives a name, as every session starts.
    #[track_caller]
    pub fn puppet_meet(&mut self, host: Host, target: Host) -> ConnId {
        let conn = self.puppet_dial(host, target);
        self.greet(host, conn);
        conn
    }

    /// Sends frames in one write.
    pub fn utter(&mut self, host: Host, conn: ConnId, frames: &[Frame]) {
        let mut plaintexts = Vec::new();
        for frame in frames {
            let mut plaintext = Vec::new();
            frame.encode(&mut plaintext);
            plaintexts.push(plaintext);
        }
        self.utter_records(host, conn, &plaintexts);
    }

    /// Sends records with any content in one write.
    pub fn utter_records(&mut self, host: Host, conn: ConnId, plaintexts: &[Vec<u8>]) {
        let line = self.line_mut(host, conn);
        let (end, mut bytes) = (line.end, Vec::new());
        for plaintext in plaintexts {
            line.transport
                .seal(plaintext, &mut bytes)
                .expect("a record of a test fits");
        }
        self.write(end, &bytes);
    }

    /// Sends bytes that are no records.
    pub fn utter_bytes(&mut self, host: Host, conn: ConnId, bytes: &[u8]) {
        let end = self.line_mut(host, conn).end;
        self.write(end, bytes);
    }

    /// The frames that have come in on a connection.
    pub fn heard(&self, host: Host, conn: ConnId) -> &[Frame] {
        &self.puppet(host).conns[&conn].heard
    }

    /// A connection is open at the puppet's end.
    pub fn is_open(&self, host: Host, conn: ConnId) -> bool {
        self.puppet(host).conns[&conn].open
    }

    /// Stops or goes on reading a connection.
    pub fn listen(&mut self, host: Host, conn: ConnId, reading: bool) {
        let end = self.line_mut(host, conn).end;
        self.set_reading(end, reading);
    }

    /// Stops or goes on answering pings.
    pub fn be_polite(&mut self, host: Host, conn: ConnId, polite: bool) {
        self.line_mut(host, conn).polite = polite;
    }

    /// Closes a connection.
    pub fn puppet_close(&mut self, host: Host, conn: ConnId) {
        let end = self.line_mut(host, conn).end;
        self.hang_up(end, false);
    }

    pub(super) fn puppet_received(&mut self, host: Host, conn: ConnId, bytes: &[u8]) {
        let me = self.id(host);
        let mut frames = Vec::new();
        let line = self.line_mut(host, conn);
        line.transport.push(bytes);
        let (mut plaintext, peer) = (Vec::new(), line.peer);
        while line
            .transport
            .open(&mut plaintext)
            .expect("a node seals what it sends")
        {
            let frame = Frame::decode(&plaintext).expect("a node speaks properly");
            if frame == Frame::Rekey {
                line.transport.rekey_incoming();
            }
            frames.push(frame);
        }
        for frame in frames {
            self.trace(|_| format!("{host:?} hears {frame:?} on {conn:?}"));
            if let Frame::Ack(ids) = &frame {
                for id in ids {
                    self.witness_ack(peer, me, *id);
                }
            }
            if let (Frame::Ping(number), true) = (&frame, self.line_mut(host, conn).polite) {
                self.utter(host, conn, &[Frame::Pong(*number)]);
            }
            self.line_mut(host, conn).heard.push(frame);
        }
    }
}
