//! The sound of calls: one thread that runs only while a call does.

mod ringer;
mod room;
mod socket;
mod thread;
mod trial;

pub(crate) use ringer::Ringer;
pub(crate) use socket::{Sockets, bind};
pub use trial::Trial;

use crate::audio::wake::{self, Wake};
use crate::audio::{Choices, Sound};
use crate::clock::Clock;
use hallway_model::{CallId, EventKind};
use hallway_proto::io::{Input, MediaPlan};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};

/// What the thread tells the driver.
#[derive(Debug)]
pub(crate) enum Report {
    /// For the engine.
    Input(Input),
    /// For the faces.
    Event(EventKind),
    /// For the counters.
    Packets(Packets),
}

/// What became of packets of sound, by the names of the counters.
pub(crate) type Packets = [(&'static str, u64); 6];

/// What the driver tells the thread.
enum Order {
    Start(CallId, Box<MediaPlan>),
    Candidates(CallId, Vec<SocketAddr>),
    Set {
        call: CallId,
        muted: bool,
        held: bool,
    },
    Stop(CallId),
    Choose(Choices),
}

/// The calls of a node, as the driver sees them.
pub(crate) struct Calls {
    sockets: Sockets,
    sound: Sound,
    clock: Clock,
    reports: tokio::sync::mpsc::UnboundedSender<Report>,
    calls: HashSet<CallId>,
    thread: Option<Running>,
}

struct Running {
    orders: Sender<Order>,
    wake: Wake,
}

impl Calls {
    /// No call yet, and no thread.
    pub(crate) fn new(
        sockets: Sockets,
        sound: Sound,
        clock: Clock,
        reports: tokio::sync::mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self {
            sockets,
            sound,
            clock,
            reports,
            calls: HashSet::new(),
            thread: None,
        }
    }

    /// Carries the sound of a call from now on.
    pub(crate) fn start(&mut self, call: CallId, plan: Box<MediaPlan>) {
        if self.thread.is_none() {
            match self.run() {
                Ok(running) => self.thread = Some(running),
                Err(error) => {
                    let why = format!("no thread for the sound of the call: {error}");
                    // A driver that is gone needs no report.
                    let _ = self
                        .reports
                        .send(Report::Input(Input::MediaFailed(call, why)));
                    return;
                }
            }
        }
        self.calls.insert(call);
        self.order(Order::Start(call, plan));
    }

    /// The peer may be reached there now.
    pub(crate) fn candidates(&self, call: CallId, candidates: Vec<SocketAddr>) {
        self.order(Order::Candidates(call, candidates));
    }

    /// What is to pass from now on.
    pub(crate) fn set(&self, call: CallId, muted: bool, held: bool) {
        self.order(Order::Set { call, muted, held });
    }

    /// Other devices may have been chosen.
    pub(crate) fn devices_chosen(&self) {
        self.order(Order::Choose(self.sound.choices()));
    }

    /// The call is over; with the last one the thread ends.
    pub(crate) fn stop(&mut self, call: CallId) {
        self.order(Order::Stop(call));
        self.calls.remove(&call);
        if self.calls.is_empty()
            && let Some(Running { orders, wake }) = self.thread.take()
        {
            drop(orders);
            wake.wake();
        }
    }

    fn order(&self, order: Order) {
        if let Some(Running { orders, wake }) = &self.thread {
            // A thread that has died has said so in the log.
            let _ = orders.send(order);
            wake.wake();
        }
    }

    fn run(&self) -> std::io::Result<Running> {
        let (wake, woken) = wake::pair()?;
        let (orders, received) = channel();
        let thread = thread::Thread::new(
            self.sockets.clone(),
            self.sound.clone(),
            self.clock,
            self.reports.clone(),
            (wake.clone(), woken),
            received,
        );
        std::thread::Builder::new()
            .name("voice".into())
            .spawn(move || thread.run())?;
        Ok(Running { orders, wake })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ring::{CaptureEnd, PlaybackEnd};
    use crate::audio::{AudioError, Failed, Host, Opened};
    use hallway_model::{
        CallDirection, CallState, CallView, DeviceView, PeerId, SoundDirection, WallTime,
    };
    use hallway_proto::call::MediaKey;
    use std::f32::consts::TAU;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::mpsc::Receiver;
    use std::time::Duration;
    use tokio::sync::mpsc::UnboundedReceiver;

    /// Blocks of 5 ms, as sound servers have them.
    const BLOCK: usize = 240;
    const BLOCK_TIME: Duration = Duration::from_millis(5);

    /// Somebody who hums one tone and listens; without devices, nobody.
    #[derive(Clone)]
    struct Hummer {
        hertz: f32,
        deaf_and_mute: bool,
        heard: Sender<Vec<f32>>,
    }

    struct Stop(Arc<AtomicBool>);

    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }

    fn ticking(mut block: impl FnMut() + Send + 'static) -> Opened {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        std::thread::spawn(move || {
            let mut due = std::time::Instant::now();
            while !stop.load(Relaxed) {
                block();
                due += BLOCK_TIME;
                std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
            }
        });
        Opened {
            rate: 48_000,
            stream: Box::new(Stop(stopping)),
            asking: None,
        }
    }

    impl Host for Hummer {
        fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError> {
            if self.deaf_and_mute {
                return Err(AudioError::NoCard);
            }
            let device = |direction| DeviceView {
                id: "hummer".into(),
                name: "Hummer".into(),
                direction,
                default: true,
                chosen: false,
                headphones: true,
            };
            Ok([SoundDirection::Input, SoundDirection::Output]
                .map(device)
                .into())
        }

        fn open_input(
            &mut self,
            _: &str,
            mut end: CaptureEnd,
            _: Failed,
        ) -> Result<Opened, AudioError> {
            let (step, mut phase) = (TAU * self.hertz / 48_000.0, 0.0_f32);
            Ok(ticking(move || {
                let tone = [(); BLOCK].map(|()| {
                    phase = (phase + step) % TAU;
                    0.5 * phase.sin()
                });
                end.write(tone.into_iter());
            }))
        }

        fn open_output(
            &mut self,
            _: &str,
            mut end: PlaybackEnd,
            _: Failed,
        ) -> Result<Opened, AudioError> {
            let heard = self.heard.clone();
            Ok(ticking(move || {
                let mut block = Vec::with_capacity(BLOCK);
                end.read(BLOCK, |sample| block.push(sample));
                // The test may be over.
                let _ = heard.send(block);
            }))
        }
    }

    /// The power of one tone in the sound, of all of it.
    fn share(sound: &[f32], hertz: f32) -> f32 {
        let step = TAU * hertz / 48_000.0;
        let (mut sine, mut cosine, mut all, mut phase) = (0.0, 0.0, 1e-9, 0.0_f32);
        for sample in sound {
            sine += sample * phase.sin();
            cosine += sample * phase.cos();
            all += sample * sample;
            phase = (phase + step) % TAU;
        }
        let length = f32::from(u16::try_from(sound.len()).unwrap());
        2.0 * (sine * sine + cosine * cosine) / length / all
    }

    struct Side {
        calls: Calls,
        reports: UnboundedReceiver<Report>,
        heard: Receiver<Vec<f32>>,
        address: SocketAddr,
    }

    impl Side {
        fn new(hertz: f32, deaf_and_mute: bool) -> Self {
            let (tell, heard) = channel();
            let hummer = Hummer {
                hertz,
                deaf_and_mute,
                heard: tell,
            };
            let sound = Sound::of(Arc::new(move || Box::new(hummer.clone())));
            let socket = bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
            let address = socket.local_addr().unwrap();
            let (tell, reports) = tokio::sync::mpsc::unbounded_channel();
            let sockets = Sockets::new(vec![socket]);
            Self {
                calls: Calls::new(sockets, sound, Clock::start(), tell),
                reports,
                heard,
                address,
            }
        }

        fn report(&mut self, is_it: impl Fn(&Input) -> bool) {
            self.reports_all(&[&is_it]);
        }

        /// Waits until each of these was told, in whatever order.
        fn reports_all(&mut self, awaited: &[&dyn Fn(&Input) -> bool]) {
            let mut awaited = awaited.to_vec();
            while !awaited.is_empty() {
                match self.reports.blocking_recv().unwrap() {
                    Report::Input(input) => awaited.retain(|is_it| !is_it(&input)),
                    Report::Event(_) | Report::Packets(_) => {}
                }
            }
        }

        fn hears(&self, hertz: Option<f32>) {
            hears(&self.heard, hertz);
        }
    }

    /// Waits until a fifth of a second is nearly nothing but this tone, or nothing at all.
    fn hears(heard: &Receiver<Vec<f32>>, hertz: Option<f32>) {
        let mut sound = Vec::new();
        loop {
            sound.extend(heard.recv().unwrap());
            if sound.len() < 9_600 {
                continue;
            }
            let is_it = match hertz {
                Some(hertz) => share(&sound, hertz) > 0.9,
                None => sound.iter().all(|sample| sample.abs() < 0.001),
            };
            if is_it {
                return;
            }
            sound.clear();
        }
    }

    fn connect(ann: &mut Side, bo: &mut Side, call: CallId) {
        let key = |byte| MediaKey::new([byte; 32]);
        let (at_ann, at_bo) = (ann.address, bo.address);
        for (side, other, own) in [(ann, at_bo, 1), (bo, at_ann, 2)] {
            side.calls.start(
                call,
                Box::new(MediaPlan {
                    send_key: key(own),
                    send_kid: u64::from(own) << 40,
                    receive_key: key(3 - own),
                    receive_kid: u64::from(3 - own) << 40,
                    candidates: vec![other],
                }),
            );
        }
    }

    const CALL: CallId = CallId([7; 16]);

    #[test]
    fn a_call_carries_sound_both_ways_until_it_ends() {
        let (mut ann, mut bo) = (Side::new(400.0, false), Side::new(700.0, false));
        connect(&mut ann, &mut bo, CALL);
        for side in [&mut ann, &mut bo] {
            let both = |input: &Input| {
                matches!(
                    input,
                    Input::MediaDevices {
                        microphone: true,
                        speaker: true,
                        ..
                    }
                )
            };
            let heard = |input: &Input| matches!(input, Input::MediaHeard(CALL));
            side.reports_all(&[&both, &heard]);
        }
        ann.hears(Some(700.0));
        bo.hears(Some(400.0));
        ann.calls.set(CALL, true, false);
        bo.hears(None);
        ann.hears(Some(700.0));
        ann.calls.set(CALL, false, false);
        bo.hears(Some(400.0));
        ann.calls.stop(CALL);
        bo.report(|input| matches!(input, Input::MediaSilent(CALL)));
        assert!(ann.calls.thread.is_none());
        // The same sockets serve the next call.
        bo.calls.stop(CALL);
        let next = CallId([8; 16]);
        connect(&mut ann, &mut bo, next);
        ann.hears(Some(700.0));
    }

    #[test]
    fn who_has_no_device_is_called_all_the_same() {
        let (mut ann, mut bo) = (Side::new(400.0, false), Side::new(700.0, true));
        connect(&mut ann, &mut bo, CALL);
        let neither = |input: &Input| {
            matches!(
                input,
                Input::MediaDevices {
                    microphone: false,
                    speaker: false,
                    ..
                }
            )
        };
        let heard = |input: &Input| matches!(input, Input::MediaHeard(CALL));
        let measured = |input: &Input| matches!(input, Input::MediaStats(CALL, _));
        bo.reports_all(&[&neither, &heard, &measured]);
        ann.reports_all(&[&heard, &measured]);
    }

    fn seen(state: CallState, direction: CallDirection) -> CallView {
        CallView {
            id: CALL,
            peer: PeerId([7; 32]),
            direction,
            state,
            waiting: false,
            at: WallTime(0),
            duration_ms: 0,
            muted: false,
            held: false,
            muted_by_them: false,
            held_by_them: false,
            can_speak: true,
            can_hear: true,
            they_can_speak: true,
            they_can_hear: true,
            connected: false,
            stats: None,
            end: None,
            detail: None,
        }
    }

    #[test]
    fn a_call_is_heard_until_it_is_answered() {
        use CallDirection::{Incoming, Outgoing};
        let (tell, heard) = channel();
        let hummer = Hummer {
            hertz: 400.0,
            deaf_and_mute: false,
            heard: tell,
        };
        let sound = Sound::of(Arc::new(move || Box::new(hummer.clone())));
        let mut ringer = Ringer::new(sound);
        ringer.handle_call(&seen(CallState::Dialling, Outgoing), true);
        ringer.handle_call(&seen(CallState::Ringing, Incoming), false);
        assert!(heard.try_recv().is_err(), "nobody is to be heard");
        ringer.handle_call(&seen(CallState::Ringing, Outgoing), true);
        hears(&heard, Some(425.0));
        ringer.handle_call(&seen(CallState::Active, Outgoing), true);
        // The device is given back.
        while heard.recv_timeout(Duration::from_secs(1)).is_ok() {}
        ringer.handle_call(&seen(CallState::Ended, Outgoing), true);
        ringer.handle_call(&seen(CallState::Ringing, Incoming), true);
        while !heard
            .recv()
            .unwrap()
            .iter()
            .any(|sample| sample.abs() > 0.1)
        {}
        drop(ringer);
        while heard.recv_timeout(Duration::from_secs(1)).is_ok() {}
    }

    #[test]
    fn strangers_do_not_disturb() {
        let (mut ann, mut bo) = (Side::new(400.0, false), Side::new(700.0, false));
        connect(&mut ann, &mut bo, CALL);
        ann.hears(Some(700.0));
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, target) = (Stop(stop.clone()), ann.address);
        std::thread::spawn(move || {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut junk = [0xff; 1_400];
            for number in 0_u64.. {
                if stop.load(Relaxed) {
                    return;
                }
                junk[1..9].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
                let length = usize::try_from(number % 1_400).unwrap();
                // What does not fit into its buffer is lost.
                let _ = socket.send_to(&junk[..length], target);
            }
        });
        for _ in 0..5 {
            ann.hears(Some(700.0));
            bo.hears(Some(400.0));
        }
        drop(stopping);
    }
}
