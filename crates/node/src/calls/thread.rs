//! The voice thread: drives the media of every call of the node between the sockets and the
//! devices, and sleeps until one of them has something.

use super::room::{Devices, Room};
use super::socket::Own;
use super::{Order, Packets, Report, Sockets};
use crate::audio::wake::{Wake, Woken};
use crate::audio::{Sound, hurry};
use crate::clock::Clock;
use hallway_model::{CallId, CallQuality, CallStatsView, EventKind, Instant};
use hallway_proto::io::{Input, MediaPlan};
use hallway_voice::codec::{EncoderConfig, FrameLength, Mode};
use hallway_voice::media::{Counters, Media, MediaConfig, Statistics};
use hallway_voice::mix::Mixer;
use hallway_voice::sframe::Header;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

/// Datagrams taken from a socket before the devices are looked after again: a flood costs a call
/// a millisecond at a time.
const DATAGRAMS_AT_ONCE: usize = 256;
/// So long what strangers send waits, once there is more than was taken at once and every call has
/// a socket of its own: a flood then takes a share of one core, and a peer that comes from a new
/// address is still found at once.
const STRANGERS_EVERY: Duration = Duration::from_millis(5);
/// Sound is held back for so long at least: two blocks of a device, which come a block early or
/// late even where the network is as good as can be. Without, the speed would change each time.
const DELAY_MS_MIN: u32 = 5;
/// Levels are told this often, statistics this often.
const LEVELS_EVERY: Duration = Duration::from_millis(100);
const STATS_EVERY: Duration = Duration::from_secs(1);
/// A peer of whom nothing opens for so long is silent.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// One call.
struct Line {
    media: Media,
    receive_kid: u64,
    /// Where the peer was when [`Thread::own`] was last made to fit.
    at: Option<SocketAddr>,
    /// What the peer sends from there arrives elsewhere, because an address of ours has changed.
    astray: bool,
    heard: bool,
    told: Option<Devices>,
    /// Samples made up and decoded until the last statistics.
    concealed: u64,
    decoded: u64,
    /// Packets counted until then.
    counted: Counters,
}

impl Line {
    /// What became of packets since the last call.
    fn packets(&mut self, statistics: &Statistics) -> Packets {
        let before = std::mem::replace(&mut self.counted, statistics.counters);
        let now = &self.counted;
        [
            ("voice_packets_received", now.received - before.received),
            ("voice_packets_sent", now.sent - before.sent),
            ("voice_packets_refused", now.refused - before.refused),
            ("voice_packets_replayed", now.replayed - before.replayed),
            ("voice_packets_malformed", now.malformed - before.malformed),
            ("voice_packets_unknown", now.unknown - before.unknown),
        ]
    }

    /// The share of what was played since the last call that had to be made up.
    fn concealed(&mut self, statistics: &Statistics) -> f64 {
        let playout = &statistics.playout;
        let concealed = playout.concealed - self.concealed;
        let decoded = playout.decoded - self.decoded;
        (self.concealed, self.decoded) = (playout.concealed, playout.decoded);
        #[allow(clippy::cast_precision_loss, reason = "the samples of a second")]
        let share = concealed as f64 / (concealed + decoded).max(1) as f64;
        share
    }
}

/// Everything the thread drives.
pub(super) struct Thread {
    sockets: Sockets,
    sound: Sound,
    clock: Clock,
    reports: tokio::sync::mpsc::UnboundedSender<Report>,
    wake: Wake,
    woken: Woken,
    orders: Receiver<Order>,
    lines: BTreeMap<CallId, Line>,
    /// Where their peers' packets arrive.
    own: BTreeMap<CallId, Own>,
    /// When to look at what others send.
    strangers_at: Instant,
    mixer: Mixer,
    playing: Vec<f32>,
    levels_at: Instant,
    stats_at: Instant,
}

impl Thread {
    pub(super) fn new(
        sockets: Sockets,
        sound: Sound,
        clock: Clock,
        reports: tokio::sync::mpsc::UnboundedSender<Report>,
        (wake, woken): (Wake, Woken),
        orders: Receiver<Order>,
    ) -> Self {
        let now = clock.mono();
        Self {
            sockets,
            sound,
            clock,
            reports,
            wake,
            woken,
            orders,
            lines: BTreeMap::new(),
            own: BTreeMap::new(),
            strangers_at: now,
            mixer: Mixer::new(),
            playing: Vec::new(),
            levels_at: now + LEVELS_EVERY,
            stats_at: now + STATS_EVERY,
        }
    }

    /// Runs until nobody can give orders any more.
    pub(super) fn run(mut self) {
        hurry();
        let mut room = Room::open(&self.sound, &self.wake, self.clock.mono());
        // Datagrams from before belong to no call.
        self.sockets.receive(usize::from(u16::MAX), |_, _| {});
        loop {
            self.woken.clear();
            if !self.take_orders(&room) {
                return;
            }
            let now = self.clock.mono();
            room.handle_news(now);
            let more = self.take_datagrams(now);
            self.follow();
            self.send_heard(&mut room, now);
            self.play(&mut room, now);
            self.look_after(&room, now);
            self.transmit();
            let due = if more { now } else { self.due(&room) };
            self.sleep(due);
        }
    }

    /// Whether there may be more to come.
    fn take_orders(&mut self, room: &Room) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Start(call, plan)) => self.start(call, &plan),
                Ok(Order::Candidates(call, candidates)) => {
                    let now = self.clock.mono();
                    if let Some(line) = self.lines.get_mut(&call) {
                        line.media.handle_candidates(&candidates, now);
                    }
                }
                Ok(Order::Set { call, muted, held }) => {
                    if let Some(line) = self.lines.get_mut(&call) {
                        line.media.set_muted(muted);
                        line.media.set_held(held);
                    }
                }
                Ok(Order::Stop(call)) => {
                    if let Some(mut line) = self.lines.remove(&call) {
                        let statistics = line.media.stats(self.clock.mono());
                        self.tell_packets(line.packets(&statistics));
                    }
                    self.own.remove(&call);
                }
                Ok(Order::Choose(choices)) => room.choose(&choices),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn start(&mut self, call: CallId, plan: &MediaPlan) {
        let mut seed = [0; 32];
        let media = getrandom::fill(&mut seed)
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let (frame, encoder) = if self.sound.studio() {
                    (
                        FrameLength::Ms5,
                        EncoderConfig {
                            mode: Mode::Studio,
                            ..EncoderConfig::default()
                        },
                    )
                } else {
                    (FrameLength::Ms10, EncoderConfig::default())
                };
                let config = MediaConfig {
                    send_key: *plan.send_key.bytes(),
                    send_kid: plan.send_kid,
                    receive_key: *plan.receive_key.bytes(),
                    receive_kid: plan.receive_kid,
                    seed,
                    candidates: plan.candidates.clone(),
                    frame,
                    encoder,
                    playout: hallway_voice::playout::Config {
                        delay_ms_min: if self.sound.studio() { 0 } else { DELAY_MS_MIN },
                        ..hallway_voice::playout::Config::default()
                    },
                };
                Media::new(&config, self.clock.mono()).map_err(|error| error.to_string())
            });
        match media {
            Ok(media) => {
                let line = Line {
                    media,
                    receive_kid: plan.receive_kid,
                    at: None,
                    astray: false,
                    heard: false,
                    told: None,
                    concealed: 0,
                    decoded: 0,
                    counted: Counters::default(),
                };
                self.lines.insert(call, line);
            }
            Err(why) => self.report(Input::MediaFailed(call, why)),
        }
    }

    /// Hands datagrams to their calls; whether there may be more of them.
    fn take_datagrams(&mut self, now: Instant) -> bool {
        let Self { own, lines, .. } = self;
        let mut more = false;
        for own in own.values() {
            more |= own.receive(DATAGRAMS_AT_ONCE, |from, bytes| {
                hand_over(lines, from, bytes, now);
            });
        }
        if now < self.strangers_at {
            return more;
        }
        let others = self.sockets.receive(DATAGRAMS_AT_ONCE, |from, bytes| {
            if let Some(line) = hand_over(lines, from, bytes, now) {
                line.astray |= line.at == Some(from);
            }
        });
        if others && own.len() == lines.len() {
            self.strangers_at = now + STRANGERS_EVERY;
            return more;
        }
        more || others
    }

    /// Gives each call a socket for where its peer is.
    fn follow(&mut self) {
        for (call, line) in &mut self.lines {
            let remote = line.media.remote();
            if line.at == remote {
                continue;
            }
            line.at = remote;
            // What it does not hold any more is lost, as by any network when a peer moves.
            self.own.remove(call);
            match remote.map(|remote| self.sockets.own(remote)) {
                Some(Ok(own)) => {
                    self.own.insert(*call, own);
                }
                // The socket of all serves as well, except in a flood.
                Some(Err(error)) => tracing::debug!(%call, %error, "no socket of its own"),
                None => {}
            }
        }
    }

    fn send_heard(&mut self, room: &mut Room, now: Instant) {
        let heard = room.heard();
        if heard.is_empty() {
            return;
        }
        for line in self.lines.values_mut() {
            line.media.handle_capture(heard, now);
        }
    }

    fn play(&mut self, room: &mut Room, now: Instant) {
        let wanted = room.wanted(now);
        if wanted == 0 {
            return;
        }
        self.mixer.begin(wanted);
        for line in self.lines.values_mut() {
            self.playing.clear();
            self.playing.resize(wanted, 0.0);
            line.media.fill_playback(&mut self.playing, now);
            self.mixer.add(&self.playing);
        }
        room.play(self.mixer.finish());
    }

    /// Timers, and what the driver is to know.
    fn look_after(&mut self, room: &Room, now: Instant) {
        let devices = room.devices();
        let levels = now >= self.levels_at;
        let stats = now >= self.stats_at;
        let mut reports = Vec::new();
        let mut packets = Vec::new();
        for (call, line) in &mut self.lines {
            if now >= line.media.poll_timeout() {
                line.media.handle_timeout(now);
            }
            if let Some(now) = devices
                && line.told != devices
            {
                line.told = devices;
                reports.push(Input::MediaDevices {
                    call: *call,
                    microphone: now.microphone,
                    speaker: now.speaker,
                });
            }
            let last = line.media.last_heard();
            let heard = last.is_some_and(|last| now.since(last) < SILENT_AFTER);
            if heard != line.heard {
                line.heard = heard;
                reports.push(match heard {
                    true => Input::MediaHeard(*call),
                    false => Input::MediaSilent(*call),
                });
            }
            if line.media.is_exhausted() {
                let why = "the call has used up its key; call again";
                reports.push(Input::MediaFailed(*call, why.into()));
            }
            if !(levels || stats) {
                continue;
            }
            let statistics = line.media.stats(now);
            if levels {
                let event = EventKind::CallLevels {
                    id: *call,
                    microphone_dbfs: room.heard_dbfs().map(|_| statistics.sent_level.rms_dbfs),
                    speaker_dbfs: room
                        .has_speaker()
                        .then_some(statistics.heard_level.rms_dbfs),
                };
                // A driver that is gone needs no report.
                let _ = self.reports.send(Report::Event(event));
            }
            if stats {
                if std::mem::take(&mut line.astray) {
                    line.at = None;
                }
                tracing::debug!(%call, ?statistics, "voice");
                packets.push(line.packets(&statistics));
                let concealed = line.concealed(&statistics);
                let view = view_of(&statistics, concealed);
                reports.push(Input::MediaStats(*call, Box::new(view)));
            }
        }
        if levels {
            self.levels_at = now + LEVELS_EVERY;
        }
        if stats {
            self.stats_at = now + STATS_EVERY;
        }
        for report in reports {
            self.report(report);
        }
        for packets in packets {
            self.tell_packets(packets);
        }
    }

    fn transmit(&mut self) {
        for line in self.lines.values_mut() {
            while let Some(transmit) = line.media.poll_transmit() {
                self.sockets.send(transmit.to, &transmit.bytes);
            }
        }
    }

    fn due(&self, room: &Room) -> Instant {
        let calls = self.lines.values().map(|line| line.media.poll_timeout());
        let clocks = [self.levels_at, self.stats_at];
        let waiting = self.are_strangers_waiting().then_some(self.strangers_at);
        let all = calls.chain(clocks).chain(room.poll_timeout());
        all.chain(waiting).min().unwrap_or(self.levels_at)
    }

    /// Whether what strangers send is not to be looked at yet.
    fn are_strangers_waiting(&self) -> bool {
        self.clock.mono() < self.strangers_at
    }

    /// Until then, or until a device or a socket has something.
    fn sleep(&self, due: Instant) {
        let wait = due.since(self.clock.mono());
        let timeout = Timespec::try_from(wait).unwrap_or_default();
        let own = self.own.values().map(Own::fd);
        let strangers = self.sockets.fds();
        let strangers = strangers.filter(|_| !self.are_strangers_waiting());
        let mut fds: Vec<_> = own
            .chain(strangers)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        fds.push(PollFd::new(&self.woken, PollFlags::IN));
        // A signal wakes too early, which does no harm.
        let _ = poll(&mut fds, Some(&timeout));
    }

    fn tell_packets(&self, packets: Packets) {
        // A driver that is gone needs no report.
        let _ = self.reports.send(Report::Packets(packets));
    }

    fn report(&self, input: Input) {
        // A driver that is gone needs no report.
        let _ = self.reports.send(Report::Input(input));
    }
}

/// Gives a datagram to the call that it is for, and returns that if it took it.
fn hand_over<'a>(
    lines: &'a mut BTreeMap<CallId, Line>,
    from: SocketAddr,
    bytes: &[u8],
    now: Instant,
) -> Option<&'a mut Line> {
    let line = line_of(lines, bytes)?;
    match line.media.handle_datagram(from, bytes, now) {
        Ok(()) => Some(line),
        Err(error) => {
            tracing::trace!(%from, %error, "a datagram was not taken");
            None
        }
    }
}

/// The call whose packets are marked like this one: strangers are dropped for the price of a look.
fn line_of<'a>(lines: &'a mut BTreeMap<CallId, Line>, bytes: &[u8]) -> Option<&'a mut Line> {
    let (header, _) = Header::decode(bytes).ok()?;
    lines
        .values_mut()
        .find(|line| line.receive_kid == header.kid)
}

/// What faces show of it; `concealed` is the share of what was played that had to be made up.
fn view_of(statistics: &Statistics, concealed: f64) -> CallStatsView {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let mouth_to_ear_ms = statistics.mouth_to_ear.map(ms);
    CallStatsView {
        mouth_to_ear_ms,
        loss: statistics.receive_loss.into(),
        jitter_ms: ms(statistics.receive_jitter),
        rtt_ms: statistics.round_trip.map(ms),
        bitrate_in: statistics.receive_rate,
        bitrate_out: statistics.send_rate,
        playout_delay_ms: statistics.playout.delay_ms.into(),
        quality: quality(mouth_to_ear_ms, concealed),
    }
}

/// All of it in one word: by how much had to be made up, and by how late it is heard (ITU-T G.114:
/// beyond 150 ms a talk suffers, beyond 400 ms it is none).
fn quality(mouth_to_ear_ms: Option<f64>, concealed: f64) -> CallQuality {
    let late = mouth_to_ear_ms.unwrap_or(0.0);
    for (late_max, concealed_max, quality) in [
        (150.0, 0.01, CallQuality::Good),
        (250.0, 0.04, CallQuality::Fair),
        (400.0, 0.12, CallQuality::Poor),
    ] {
        if late <= late_max && concealed <= concealed_max {
            return quality;
        }
    }
    CallQuality::Bad
}
