//! What the node tells: its events, and what came of what was asked.

use crate::app::{App, Overlay};
use crate::editor::Editor;
use crate::io::{Effect, Reply, Request};
use crate::safe;
use crate::settings::DEFAULT_DEVICE;
use crate::talk::Purpose;
use hallway_model::{
    DevicesView, EventKind, MessageView, Outcome, PeerView, Report, SoundDirection, Status,
};

/// The notice of a node whose listener was too slow to be told everything.
const LAGGED: &str = "lagged";
/// The check of microphones and speakers.
const SOUND: &str = "audio";

impl App {
    pub(crate) fn handle_event(&mut self, event: EventKind) {
        match event {
            EventKind::Message { message, new } => self.handle_message(&message, new),
            EventKind::State { id, peer, state } => {
                if let (Some(me), Some(talk)) = (self.my_id(), self.talks.get_mut(&peer)) {
                    talk.advance(&me, &id, state);
                }
            }
            EventKind::ReadUpTo { author, peer, seq } => {
                let Some(me) = self.my_id() else { return };
                if author != me {
                    // Another face of ours has shown them, or this one.
                    self.effects.push(Effect::LookUp(peer));
                } else if let Some(talk) = self.talks.get_mut(&peer) {
                    talk.read_up_to(&me, seq);
                }
            }
            EventKind::Peer { peer } => {
                // Events do not count what is unread.
                let unread = self.peers.get(&peer.id).map_or(0, |known| known.unread);
                self.put_peer(PeerView { unread, ..*peer });
            }
            EventKind::Request { peer } => {
                let id = peer.id;
                self.put_peer(*peer);
                self.effects.push(Effect::LookUp(id));
                self.effects.push(Effect::Newest(vec![id]));
                self.tell((self.words.request)(&self.name_of(&id)));
                self.ring_bell();
            }
            EventKind::NameCollision { contact, newcomer } => {
                let name = safe::one_line(&contact.name);
                self.put_peer(PeerView {
                    unread: 0,
                    ..*newcomer
                });
                self.effects.push(Effect::LookUp(contact.id));
                self.complain((self.words.impostor)(&name));
            }
            EventKind::PeerGone { id } => {
                self.peers.remove(&id);
                self.find_twins();
                if self.selected == Some(id) {
                    self.selected = None;
                }
                self.talks.remove(&id);
            }
            EventKind::Typing { id, typing } => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.typing = typing;
                }
            }
            EventKind::Transfer { transfer } => {
                self.transfers.insert(transfer.id.clone(), *transfer);
            }
            EventKind::Call { call } => self.put_call(*call),
            EventKind::CallLevels {
                id,
                microphone_dbfs,
                speaker_dbfs,
            } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.view.id == id) {
                    call.microphone_dbfs = microphone_dbfs;
                    call.speaker_dbfs = speaker_dbfs;
                }
            }
            // The shell begins anew.
            EventKind::Notice { code, .. } if code == LAGGED => {}
            EventKind::Notice { detail, .. } => self.complain(detail),
        }
    }

    fn handle_message(&mut self, message: &MessageView, new: bool) {
        let Some(peer) = self.other_side(message) else {
            return;
        };
        self.talks.entry(peer).or_default().put(message, new);
        if !new || self.is_own(message) {
            return;
        }
        let on_screen = self.selected == Some(peer) && self.focused;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.unread += 1;
            known.typing = false;
        }
        let quiet = self.me.as_ref().is_some_and(|me| me.muted.contains(&peer));
        if !on_screen && !quiet {
            self.tell((self.words.wrote)(&self.name_of(&peer)));
            self.ring_bell();
        }
    }

    /// Calls for the person, unless they said that they are busy.
    fn ring_bell(&mut self) {
        let busy = self.me.as_ref().is_some_and(|me| me.status == Status::Busy);
        if !busy && !self.effects.contains(&Effect::Bell) {
            self.effects.push(Effect::Bell);
        }
    }

    pub(crate) fn handle_done(&mut self, request: Request, reply: Result<Reply, String>) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(why) => return self.handle_refused(request, &why),
        };
        match (request, reply) {
            (Request::Send { peer, number, .. }, _) => self.forget_sending(&peer, number),
            (Request::Name(_) | Request::Status(_), _) => self.tell(self.words.done),
            (Request::Connect(_), Reply::Person(peer)) => {
                let name = safe::one_line(&peer.name);
                self.put_peer(*peer);
                self.tell((self.words.connected)(&name));
            }
            (Request::Verify(..), Reply::Safety(safety)) => {
                if let Some(peer) = self.peers.get_mut(&safety.id) {
                    peer.verified = safety.verified;
                }
                self.overlay = None;
                self.tell((self.words.is_verified)(&self.name_of(&safety.id)));
            }
            (_, Reply::Safety(safety)) => {
                if let Some(Overlay::Safety { peer, number }) = &mut self.overlay
                    && *peer == safety.id
                {
                    *number = Some(safety);
                }
            }
            (Request::Offer(..), Reply::Transfer(transfer)) => {
                let name = safe::one_line(&transfer.file.name);
                self.transfers.insert(transfer.id.clone(), *transfer);
                self.tell((self.words.offered)(&name));
            }
            (_, Reply::Transfer(transfer)) => {
                self.transfers.insert(transfer.id.clone(), *transfer);
            }
            (_, Reply::Person(peer)) => {
                if self.peers.contains_key(&peer.id) {
                    self.put_peer(*peer);
                }
            }
            (_, Reply::Call(call)) => self.put_call(*call),
            (request, Reply::Devices(devices)) => match &mut self.overlay {
                Some(Overlay::Settings(list)) => list.devices = Some(devices),
                _ if matches!(request, Request::Choose(..)) => self.show_devices(devices),
                Some(Overlay::Lines { title, .. }) if title == self.words.devices => {
                    self.show_devices(devices);
                }
                // Nobody waits for them any more.
                _ => {}
            },
            (_, Reply::Report(report)) => self.show_report(&report),
            (_, Reply::Status(status)) => {
                self.me = Some(*status);
                self.tell(self.words.done);
            }
            (_, Reply::Done | Reply::Sent(_)) => {}
        }
    }

    fn handle_refused(&mut self, request: Request, why: &str) {
        match request {
            Request::Send {
                peer,
                request,
                number,
            } => {
                self.forget_sending(&peer, number);
                self.complain((self.words.not_sent)(why));
                let talk = self.talks.entry(peer).or_default();
                // What was written is not lost, and what was written since neither.
                if let Some(text) = request.text {
                    let since = talk.draft.take();
                    let gap = if since.is_empty() { "" } else { "\n" };
                    talk.draft = Editor::new(format!("{text}{gap}{since}"));
                    if request.edit.is_some() {
                        talk.purpose = Purpose::Say;
                    }
                }
            }
            // Nobody waits for these.
            Request::Seen(..) | Request::Typing(_) => {}
            Request::Offer(..)
            | Request::Transfer(..)
            | Request::Person(..)
            | Request::SafetyNumber(_)
            | Request::Verify(..)
            | Request::Ring(_)
            | Request::Call(..)
            | Request::Name(_)
            | Request::Status(_)
            | Request::Settings(_)
            | Request::Quiet(..)
            | Request::Connect(_)
            | Request::Devices
            | Request::Choose(..)
            | Request::Doctor(_) => self.complain((self.words.failed)(why)),
        }
    }

    fn forget_sending(&mut self, peer: &hallway_model::PeerId, number: u64) {
        if let Some(talk) = self.talks.get_mut(peer) {
            talk.sending.retain(|sending| sending.number != number);
        }
    }

    fn show_devices(&mut self, devices: DevicesView) {
        let words = self.words;
        let mut lines = Vec::new();
        for direction in [SoundDirection::Input, SoundDirection::Output] {
            let (label, chosen) = match direction {
                SoundDirection::Input => (words.microphone, &devices.input),
                SoundDirection::Output => (words.speaker, &devices.output),
            };
            let mark = |on: bool| if on { "●" } else { "○" };
            let follows = chosen == DEFAULT_DEVICE;
            lines.push((
                label.to_owned(),
                format!(
                    "{} {DEFAULT_DEVICE}: {}",
                    mark(follows),
                    words.default_device
                ),
            ));
            let here = devices.devices.iter();
            for device in here.filter(|device| device.direction == direction) {
                let used = mark(device.chosen && !follows);
                let name = safe::one_line(&device.name);
                lines.push((String::new(), format!("{used} {name}")));
            }
        }
        let problem = devices.problem.map(|problem| safe::one_line(&problem));
        lines.extend(problem.map(|problem| (String::new(), problem)));
        lines.push((String::new(), words.devices_hint.to_owned()));
        self.overlay = Some(Overlay::Lines {
            title: words.devices.to_owned(),
            lines,
            scroll: 0,
        });
    }

    fn show_report(&mut self, report: &Report) {
        if !matches!(&self.overlay, Some(Overlay::Lines { title, .. }) if title == self.words.doctor)
        {
            // Nobody waits for it any more.
            return;
        }
        // Sound is no reason not to see somebody. What is in the way comes first.
        let checks = report.checks.iter().filter(|check| check.name != SOUND);
        let mut checks: Vec<_> = checks.collect();
        checks.sort_by_key(|check| match check.outcome {
            Outcome::Fail => 0,
            Outcome::Warn => 1,
            Outcome::Ok => 2,
        });
        let fine = checks.iter().all(|check| check.outcome == Outcome::Ok);
        let words = self.words;
        let about = match fine {
            true => words.doctor_fine,
            false => words.doctor_found,
        };
        let mut lines = vec![(String::new(), about.to_owned()), Default::default()];
        for check in checks {
            let outcome = (words.outcome)(check.outcome).to_owned();
            let detail = safe::one_line(&check.detail);
            match (words.check)(&check.name) {
                Some((title, advice)) => {
                    lines.push((outcome, format!("{title}{}{detail}", words.colon)));
                    if check.outcome != Outcome::Ok {
                        lines.push((String::new(), advice.to_owned()));
                    }
                }
                None => {
                    lines.push((outcome, detail));
                    let advice = check.advice.as_ref().map(|advice| safe::one_line(advice));
                    lines.extend(advice.map(|advice| (String::new(), advice)));
                }
            }
        }
        lines.extend([
            Default::default(),
            (String::new(), words.doctor_side.to_owned()),
        ]);
        self.overlay = Some(Overlay::Lines {
            title: words.doctor.to_owned(),
            lines,
            scroll: 0,
        });
    }
}
