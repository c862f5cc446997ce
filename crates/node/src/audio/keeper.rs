//! Keeps one direction of sound open while a call runs: follows the default device or waits for the
//! chosen one, and starts again whatever fails, unplugged or stopped, by itself.

use crate::audio::ring::{self, Microphone, Pulse, Spare, Speaker};
use crate::audio::wake::Wake;
use crate::audio::{AudioError, Choice, Failed, Host};
use hallway_model::{DeviceView, SoundDirection};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How often is looked whether another device is to be used now: plugging in is then heard before
/// a person wonders.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Wait before a device that failed is tried again, doubled up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A device without a block for so long has stopped: ten of the longest blocks there are.
const STALLED_AFTER: Duration = Duration::from_secs(3);

/// What the keeper is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Use this device from now on.
    Use(Choice),
    /// This stream has ended.
    Failed(u64, AudioError),
    /// Close and end.
    Close,
}

/// What the keeper tells.
#[derive(Debug)]
pub(crate) enum News {
    /// A microphone is open.
    Microphone(Microphone),
    /// A speaker is open.
    Speaker(Speaker),
    /// There is none now, and why.
    None(SoundDirection, AudioError),
}

/// The thread of a keeper. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeping(Sender<Order>);

impl Keeping {
    /// Use another device.
    pub(crate) fn choose(&self, choice: Choice) {
        // The thread lives as long as this.
        let _ = self.0.send(Order::Use(choice));
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        // A driver of the system may hang: nobody waits for the thread.
        let _ = self.0.send(Order::Close);
    }
}

/// Starts a keeper on a thread of its own, since to open a device may take long. `wake` is woken
/// by each block and after each piece of news.
pub(crate) fn keep(
    direction: SoundDirection,
    host: impl FnOnce() -> Box<dyn Host> + Send + 'static,
    choice: Choice,
    spare: Spare,
    wake: Wake,
    news: Sender<News>,
) -> io::Result<Keeping> {
    let (orders, received) = mpsc::channel();
    let to_itself = orders.clone();
    thread::Builder::new()
        .name(format!("{direction}"))
        .spawn(move || {
            let mut keeper = Keeper::new(direction, host(), choice, spare, wake.clone(), to_itself);
            loop {
                let now = Instant::now();
                if let Some(piece) = keeper.poll(now) {
                    if news.send(piece).is_err() {
                        return;
                    }
                    wake.wake();
                }
                match received.recv_timeout(keeper.due().saturating_duration_since(now)) {
                    Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return,
                    Ok(order) => keeper.handle(order, Instant::now()),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        })?;
    Ok(Keeping(orders))
}

/// One direction of sound.
struct Keeper {
    direction: SoundDirection,
    host: Box<dyn Host>,
    choice: Choice,
    spare: Spare,
    wake: Wake,
    orders: Sender<Order>,
    streams: u64,
    state: State,
    due: Instant,
    /// Why there is none, as it was told last.
    told: Option<AudioError>,
}

enum State {
    Closed {
        wait: Duration,
    },
    Open {
        number: u64,
        id: String,
        pulse: Arc<Pulse>,
        blocks: u32,
        beat_at: Instant,
        _stream: Box<dyn Send>,
    },
}

impl Keeper {
    fn new(
        direction: SoundDirection,
        host: Box<dyn Host>,
        choice: Choice,
        spare: Spare,
        wake: Wake,
        orders: Sender<Order>,
    ) -> Self {
        Self {
            direction,
            host,
            choice,
            spare,
            wake,
            orders,
            streams: 0,
            state: State::Closed { wait: RETRY_FIRST },
            due: Instant::now(),
            told: None,
        }
    }

    /// When to poll next, at the latest.
    fn due(&self) -> Instant {
        self.due
    }

    fn handle(&mut self, order: Order, now: Instant) {
        match order {
            Order::Use(choice) => {
                self.choice = choice;
                self.due = now;
            }
            Order::Failed(number, why) => {
                if matches!(&self.state, State::Open { number: open, .. } if *open == number) {
                    tracing::info!(direction = %self.direction, %why, "a sound device failed");
                    // The system needs a moment to know that it is gone.
                    self.state = State::Closed { wait: RETRY_FIRST };
                    self.due = now + RETRY_FIRST;
                    self.told = None;
                }
            }
            Order::Close => self.state = State::Closed { wait: RETRY_FIRST },
        }
    }

    /// Looks after the stream, and tells what has changed.
    fn poll(&mut self, now: Instant) -> Option<News> {
        // What a failed stream leaves is told at once, not only when the next attempt fails, too.
        if now < self.due {
            let gone = matches!(self.state, State::Closed { .. }) && self.told.is_none();
            return gone.then(|| self.tell(AudioError::Stalled));
        }
        self.due = now + LOOK_EVERY;
        let device = self
            .host
            .devices()
            .and_then(|devices| self.choice.find(self.direction, &devices).cloned());
        let device = match device {
            Ok(device) => device,
            Err(why) => return self.close(now, why),
        };
        if let State::Open {
            id,
            pulse,
            blocks,
            beat_at,
            ..
        } = &mut self.state
        {
            if *id == device.id {
                let beats = pulse.blocks();
                if beats != *blocks {
                    (*blocks, *beat_at) = (beats, now);
                }
                if now.saturating_duration_since(*beat_at) < STALLED_AFTER {
                    return None;
                }
                return self.close(now, AudioError::Stalled);
            }
            // Closed before the other one is opened: some cards have only one stream.
            self.state = State::Closed { wait: RETRY_FIRST };
        }
        match self.open(&device, now) {
            Ok(news) => {
                tracing::info!(direction = %self.direction, device = %device.name, "sound device in use");
                self.told = None;
                Some(news)
            }
            Err(why) => self.close(now, why),
        }
    }

    fn open(&mut self, device: &DeviceView, now: Instant) -> Result<News, AudioError> {
        self.streams += 1;
        let failed = Failed {
            to: self.orders.clone(),
            stream: self.streams,
        };
        let wake = self.wake.clone();
        let (stream, pulse, news) = match self.direction {
            SoundDirection::Input => {
                let (end, microphone, pulse) = ring::capture(wake);
                let opened = self.host.open_input(&device.id, end, failed)?;
                let news = News::Microphone(microphone.at(opened.rate));
                (opened.stream, pulse, news)
            }
            SoundDirection::Output => {
                let (end, speaker, pulse) = ring::playback(wake, self.spare);
                let opened = self.host.open_output(&device.id, end, failed)?;
                let news = News::Speaker(speaker.at(opened.rate, opened.asking));
                (opened.stream, pulse, news)
            }
        };
        self.state = State::Open {
            number: self.streams,
            id: device.id.clone(),
            pulse,
            blocks: 0,
            beat_at: now,
            _stream: stream,
        };
        Ok(news)
    }

    fn close(&mut self, now: Instant, why: AudioError) -> Option<News> {
        let wait = match self.state {
            State::Closed { wait } => wait,
            State::Open { .. } => RETRY_FIRST,
        };
        self.due = now + wait;
        self.state = State::Closed {
            wait: (wait * 2).min(RETRY_MAX),
        };
        (self.told.as_ref() != Some(&why)).then(|| self.tell(why))
    }

    fn tell(&mut self, why: AudioError) -> News {
        self.told = Some(why.clone());
        News::None(self.direction, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ring::{CaptureEnd, PlaybackEnd};
    use crate::audio::{Opened, wake};
    use std::sync::Mutex;
    use std::sync::mpsc::Receiver;

    /// Devices that a test plugs in and out.
    #[derive(Clone, Default)]
    struct Desk(Arc<Mutex<Plugged>>);

    #[derive(Default)]
    struct Plugged {
        ids: Vec<&'static str>,
        default: &'static str,
        refuses: bool,
        open: Vec<(String, Option<CaptureEnd>, Failed)>,
    }

    struct Closing(Desk, String);

    impl Drop for Closing {
        fn drop(&mut self) {
            let mut desk = self.0.0.lock().unwrap();
            desk.open.retain(|(id, ..)| *id != self.1);
        }
    }

    impl Desk {
        fn open(
            &self,
            id: &str,
            end: Option<CaptureEnd>,
            failed: Failed,
        ) -> Result<Opened, AudioError> {
            let mut desk = self.0.lock().unwrap();
            if desk.refuses {
                return Err(AudioError::Busy);
            }
            desk.open.push((id.to_owned(), end, failed));
            Ok(Opened {
                rate: 48_000,
                stream: Box::new(Closing(self.clone(), id.to_owned())),
                asking: None,
            })
        }

        fn plug(&self, ids: &[&'static str]) {
            let mut desk = self.0.lock().unwrap();
            desk.ids = ids.to_vec();
            desk.default = ids.first().copied().unwrap_or_default();
        }

        fn in_use(&self) -> Vec<String> {
            let desk = self.0.lock().unwrap();
            desk.open.iter().map(|(id, ..)| id.clone()).collect()
        }

        fn beat(&self) {
            for (_, end, _) in &mut self.0.lock().unwrap().open {
                end.as_mut().unwrap().write([0.5].into_iter());
            }
        }
    }

    impl Host for Desk {
        fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError> {
            let desk = self.0.lock().unwrap();
            let device = |id: &&str| DeviceView {
                id: (*id).to_owned(),
                name: (*id).to_owned(),
                direction: SoundDirection::Input,
                default: **id == *desk.default,
                chosen: false,
                headphones: false,
            };
            Ok(desk.ids.iter().map(device).collect())
        }

        fn open_input(
            &mut self,
            id: &str,
            end: CaptureEnd,
            failed: Failed,
        ) -> Result<Opened, AudioError> {
            self.open(id, Some(end), failed)
        }

        fn open_output(
            &mut self,
            id: &str,
            _: PlaybackEnd,
            failed: Failed,
        ) -> Result<Opened, AudioError> {
            self.open(id, None, failed)
        }
    }

    struct Bench {
        keeper: Keeper,
        desk: Desk,
        now: Instant,
        orders: Receiver<Order>,
    }

    impl Bench {
        fn new(choice: Choice, ids: &[&'static str]) -> Self {
            let desk = Desk::default();
            desk.plug(ids);
            let (to_itself, orders) = mpsc::channel();
            let (wake, _) = wake::pair().unwrap();
            let host = Box::new(desk.clone());
            Self {
                keeper: Keeper::new(
                    SoundDirection::Input,
                    host,
                    choice,
                    Spare::new(false),
                    wake,
                    to_itself,
                ),
                desk,
                now: Instant::now(),
                orders,
            }
        }

        /// Lets this pass, with a sounding device, and returns the news in words.
        fn pass(&mut self, time: Duration, sounding: bool) -> Vec<String> {
            let mut news = Vec::new();
            let end = self.now + time;
            loop {
                while let Ok(order) = self.orders.try_recv() {
                    self.keeper.handle(order, self.now);
                }
                if sounding {
                    self.desk.beat();
                }
                match self.keeper.poll(self.now) {
                    Some(News::Microphone(_)) => news.extend(self.desk.in_use()),
                    Some(News::Speaker(_)) => unreachable!(),
                    Some(News::None(_, why)) => news.push(why.to_string()),
                    None => {}
                }
                let next = self.keeper.due().max(self.now + Duration::from_millis(1));
                if next > end {
                    self.now = end;
                    return news;
                }
                self.now = next;
            }
        }

        fn second(&mut self) -> Vec<String> {
            self.pass(LOOK_EVERY, true)
        }
    }

    #[test]
    fn the_default_is_followed() {
        let mut bench = Bench::new(Choice::Default, &["laptop"]);
        assert_eq!(bench.second(), ["laptop"]);
        assert_eq!(bench.pass(LOOK_EVERY * 60, true), [""; 0]);
        bench.desk.plug(&["headset", "laptop"]);
        assert_eq!(bench.second(), ["headset"]);
        assert_eq!(bench.desk.in_use(), ["headset"]);
        bench.desk.plug(&["laptop"]);
        assert_eq!(bench.second(), ["laptop"]);
        assert_eq!(bench.desk.in_use(), ["laptop"]);
    }

    #[test]
    fn the_chosen_one_is_waited_for_and_no_other_used() {
        let chosen = Choice::Device("headset".into());
        let mut bench = Bench::new(chosen, &["laptop", "headset"]);
        assert_eq!(bench.second(), ["headset"]);
        bench.desk.plug(&["laptop"]);
        let gone =
            "no microphone called \"headset\" is plugged in; `hallway devices` lists what is";
        assert_eq!(bench.second(), [gone]);
        assert_eq!(bench.desk.in_use(), [""; 0]);
        assert_eq!(bench.pass(LOOK_EVERY * 600, true), [""; 0], "told once");
        bench.desk.plug(&["laptop", "headset"]);
        assert_eq!(bench.pass(RETRY_MAX, true), ["headset"]);
        bench.keeper.handle(Order::Use(Choice::Default), bench.now);
        assert_eq!(bench.pass(Duration::ZERO, true), ["laptop"]);
    }

    #[test]
    fn a_failed_stream_is_told_of_and_started_again() {
        let mut bench = Bench::new(Choice::Default, &["laptop"]);
        bench.second();
        let (_, _, failed) = bench.desk.0.lock().unwrap().open.pop().unwrap();
        failed.tell(AudioError::System("unplugged".into()));
        assert_eq!(bench.pass(Duration::ZERO, true), ["the device has stopped"]);
        assert_eq!(bench.pass(RETRY_FIRST, true), ["laptop"]);
        // The old stream's last words mean nothing to the new one.
        failed.tell(AudioError::Stalled);
        assert_eq!(bench.second(), [""; 0]);
        assert_eq!(bench.desk.in_use(), ["laptop"]);
    }

    #[test]
    fn a_device_that_falls_silent_is_started_again() {
        let mut bench = Bench::new(Choice::Default, &["laptop"]);
        bench.second();
        let news = bench.pass(STALLED_AFTER + RETRY_FIRST + LOOK_EVERY, false);
        assert_eq!(news, ["the device has stopped", "laptop"]);
    }

    #[test]
    fn a_busy_device_is_tried_ever_less_often_and_for_ever() {
        let mut bench = Bench::new(Choice::Default, &["laptop"]);
        bench.desk.0.lock().unwrap().refuses = true;
        assert_eq!(bench.second(), ["another program uses the device"]);
        assert_eq!(bench.pass(RETRY_MAX * 100, true), [""; 0]);
        let attempts = bench.keeper.streams;
        assert!((100..=105).contains(&attempts), "{attempts}");
        bench.desk.0.lock().unwrap().refuses = false;
        assert_eq!(bench.pass(RETRY_MAX, true), ["laptop"]);
    }

    #[test]
    fn its_thread_opens_tells_and_closes() {
        let desk = Desk::default();
        desk.plug(&["laptop"]);
        let (wake, _woken) = wake::pair().unwrap();
        let (tell, news) = mpsc::channel();
        let host = desk.clone();
        let make = move || Box::new(host) as Box<dyn Host>;
        let keeping = keep(
            SoundDirection::Input,
            make,
            Choice::Default,
            Spare::new(false),
            wake,
            tell,
        )
        .unwrap();
        let Ok(News::Microphone(_)) = news.recv() else {
            panic!("it should open");
        };
        drop(keeping);
        assert!(news.recv().is_err(), "the thread has ended");
        assert_eq!(desk.in_use(), [""; 0]);
    }
}
