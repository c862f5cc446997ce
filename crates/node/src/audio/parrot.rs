//! A sound device without any hardware that plays back what was said to it a moment before: with
//! it a test contact answers calls.

use crate::audio::ring::{CaptureEnd, PlaybackEnd};
use crate::audio::{AudioError, Failed, Host, Opened};
use hallway_model::{DeviceView, SoundDirection};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const RATE: u32 = 48_000;
/// Samples of a block: 10 ms, as real devices have.
const BLOCK: usize = 480;
const BLOCK_TIME: Duration = Duration::from_millis(10);
/// It answers so much later: one hears that it is one's own voice, and may have finished a word.
const DELAY_BLOCKS: usize = 150;
/// After a pause longer than this, as of a suspended computer, it does not catch up.
const LATE_MAX: Duration = Duration::from_millis(200);
const ID: &str = "parrot";

/// The device: its speaker says to its microphone what it is to repeat. Clones are one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parrot(Arc<Mutex<VecDeque<f32>>>);

impl Host for Parrot {
    fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError> {
        let device = |direction| DeviceView {
            id: ID.into(),
            name: "Parrot".into(),
            direction,
            default: true,
            chosen: false,
            // What it hears is to be sent, not to be cancelled as an echo.
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
        let said = self.0.clone();
        ticking("parrot-in", move || {
            let mut said = lock(&said);
            let repeats = said.len() > BLOCK * DELAY_BLOCKS;
            let block = (0..BLOCK).map(|_| match repeats {
                true => said.pop_front().unwrap_or(0.0),
                false => 0.0,
            });
            end.write(block.collect::<Vec<_>>().into_iter());
        })
    }

    fn open_output(
        &mut self,
        _: &str,
        mut end: PlaybackEnd,
        _: Failed,
    ) -> Result<Opened, AudioError> {
        let said = self.0.clone();
        // What one caller said is not for the next.
        lock(&said).clear();
        ticking("parrot-out", move || {
            let mut said = lock(&said);
            // Nobody listens: the oldest is forgotten.
            let excess = said.len().saturating_sub(BLOCK * DELAY_BLOCKS * 2);
            said.drain(..excess);
            end.read(BLOCK, |sample| said.push_back(sample));
        })
    }
}

/// Runs this for each block, as a device's clock does, until what is returned is dropped.
fn ticking(name: &str, mut block: impl FnMut() + Send + 'static) -> Result<Opened, AudioError> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Stop(stop.clone());
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        let mut due = Instant::now();
        while !stop.load(Relaxed) {
            let now = Instant::now();
            if now.saturating_duration_since(due) > LATE_MAX {
                due = now;
            }
            thread::sleep(due.saturating_duration_since(now));
            due += BLOCK_TIME;
            block();
        }
    });
    thread.map_err(|error| AudioError::System(error.to_string()))?;
    Ok(Opened {
        rate: RATE,
        stream: Box::new(stopping),
        asking: None,
    })
}

struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn lock(said: &Mutex<VecDeque<f32>>) -> std::sync::MutexGuard<'_, VecDeque<f32>> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}
