//! The way of samples between a device's callback and the voice thread: rings without locks, one
//! each way, mono at the device's rate.
//!
//! The device's ends run inside the system's audio callback: they never allocate, lock or wait.

use crate::audio::Asking;
use crate::audio::wake::Wake;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Room of a ring: more than any sane device moves in one block, 170 ms at 192 kHz.
const RING_SAMPLES: usize = 32_768;
/// Captured sound that may wait: more than any block of a device, less than a person notices.
const WAITING_MS_MAX: u32 = 60;
/// After a stall so much of the newest is kept.
const KEPT_MS: u32 = 20;
/// The least sound that waits for the speaker beside the block that it takes next: a scheduler's
/// usual lateness. With 2 ms less there is a gap in some calls, which costs more than it gains.
const SPARE_MS_MIN: u32 = 5;
/// The same for those who want the least delay.
const SPARE_MS_STUDIO: u32 = 2;
/// The most: a bad scheduler's lateness.
const SPARE_MS_MAX: u32 = 40;
/// After a gap so much more waits; after so many blocks without one, a millisecond less. Each gap
/// doubles how long the calm must last, so that gaps sought out in this way become rare.
const SPARE_MS_STEP: u32 = 2;
const CALM_BLOCKS_MIN: u32 = 2_000;
const CALM_BLOCKS_MAX: u32 = 256_000;
/// The largest block of this many is the size that counts. The first ones fill a device's own
/// buffer and are larger, so the first windows are short; the later ones are long, as a device that
/// was late will be late again, and a level that goes up and down is heard.
const WINDOW_BLOCKS_MIN: u32 = 64;
const WINDOW_BLOCKS_MAX: u32 = 4_096;
/// In a gap the last sample fades by this factor a sample: no click, and silence within 2 ms.
const FADE: f32 = 0.95;

/// What the callback of a device has done, for the thread that watches it.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Blocks so far.
    blocks: AtomicU32,
    /// Largest block since the other end looked.
    block_max: AtomicU32,
    /// Samples that were not there when the speaker wanted them.
    missing: AtomicU32,
}

impl Pulse {
    /// Blocks so far, wrapping.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks.load(Relaxed)
    }

    fn beat(&self, samples: usize) {
        self.block_max
            .fetch_max(u32::try_from(samples).unwrap_or(u32::MAX), Relaxed);
        self.blocks.fetch_add(1, Relaxed);
    }
}

/// The microphone's end.
#[derive(Debug)]
pub(crate) struct CaptureEnd {
    ring: Producer<f32>,
    pulse: Arc<Pulse>,
    wake: Wake,
}

/// The voice thread's end of a microphone.
#[derive(Debug)]
pub(crate) struct Microphone {
    ring: Consumer<f32>,
    rate: u32,
}

/// The speaker's end.
#[derive(Debug)]
pub(crate) struct PlaybackEnd {
    ring: Consumer<f32>,
    pulse: Arc<Pulse>,
    wake: Wake,
    last: f32,
    spare: Spare,
}

/// The voice thread's end of a speaker.
#[derive(Debug)]
pub(crate) struct Speaker {
    ring: Producer<f32>,
    pulse: Arc<Pulse>,
    rate: u32,
    level: Level,
    /// Where the sound goes instead of the ring.
    asking: Option<Box<dyn Asking>>,
}

/// A ring from a microphone; the rate is set once it is open.
pub(crate) fn capture(wake: Wake) -> (CaptureEnd, Microphone, Arc<Pulse>) {
    let (producer, consumer) = RingBuffer::new(RING_SAMPLES);
    let pulse = Arc::<Pulse>::default();
    let end = CaptureEnd {
        ring: producer,
        pulse: pulse.clone(),
        wake,
    };
    (
        end,
        Microphone {
            ring: consumer,
            rate: 0,
        },
        pulse,
    )
}

/// A ring to a speaker; the rate is set once it is open.
pub(crate) fn playback(wake: Wake, spare: Spare) -> (PlaybackEnd, Speaker, Arc<Pulse>) {
    let (producer, consumer) = RingBuffer::new(RING_SAMPLES);
    let pulse = Arc::<Pulse>::default();
    let end = PlaybackEnd {
        ring: consumer,
        pulse: pulse.clone(),
        wake,
        last: 0.0,
        spare,
    };
    let speaker = Speaker {
        ring: producer,
        pulse: pulse.clone(),
        rate: 0,
        level: Level::new(spare),
        asking: None,
    };
    (end, speaker, pulse)
}

impl CaptureEnd {
    /// Takes a block. What has no room is lost: the voice thread has stalled, and will want only
    /// the newest anyway.
    pub(crate) fn write(&mut self, block: impl ExactSizeIterator<Item = f32>) {
        let samples = block.len();
        let room = self.ring.slots().min(samples);
        if let Ok(chunk) = self.ring.write_chunk_uninit(room) {
            chunk.fill_from_iter(block.map(sane));
        }
        self.pulse.beat(samples);
        self.wake.wake();
    }
}

impl PlaybackEnd {
    /// Gives the next block, one call for each sample. Where there is none, the sound fades.
    pub(crate) fn read(&mut self, samples: usize, mut play: impl FnMut(f32)) {
        let there = self.ring.slots().min(samples);
        if let Ok(chunk) = self.ring.read_chunk(there) {
            for sample in chunk {
                self.last = sample;
                play(sample);
            }
        }
        for _ in there..samples {
            self.last *= FADE;
            play(self.last);
        }
        let missing = u32::try_from(samples - there).unwrap_or(u32::MAX);
        self.pulse.missing.fetch_add(missing, Relaxed);
        self.pulse.beat(samples);
        self.wake.wake();
    }
}

impl PlaybackEnd {
    /// What is to wait for the speaker at first.
    pub(crate) fn spare(&self) -> Spare {
        self.spare
    }

    /// Tells that the device has asked for a block, and takes it another way.
    pub(crate) fn ask(&self, samples: usize) {
        self.pulse.beat(samples);
        self.wake.wake();
    }
}

/// A number that a codec can take, whatever a driver says.
fn sane(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

impl Microphone {
    /// At this many samples a second.
    pub(crate) fn at(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// Samples a second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends what was heard since the last call and returns how much before it was thrown away:
    /// after a stall sound is lost, never late.
    pub(crate) fn read(&mut self, into: &mut Vec<f32>) -> usize {
        let waiting = self.ring.slots();
        let skip = if waiting > samples(WAITING_MS_MAX, self.rate) {
            waiting - samples(KEPT_MS, self.rate)
        } else {
            0
        };
        if let Ok(chunk) = self.ring.read_chunk(waiting) {
            into.extend(chunk.into_iter().skip(skip));
        }
        skip
    }
}

impl Speaker {
    /// At this many samples a second, by this way where the device asks.
    pub(crate) fn at(self, rate: u32, asking: Option<Box<dyn Asking>>) -> Self {
        Self {
            rate,
            asking,
            ..self
        }
    }

    /// Samples a second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// How many samples are wanted now, so that the next block is there and little more.
    pub(crate) fn wanted(&mut self) -> usize {
        if let Some(asking) = &self.asking {
            return asking.wanted();
        }
        let blocks = self.pulse.blocks();
        let block_max = self.pulse.block_max.load(Relaxed);
        let missing = self.pulse.missing.load(Relaxed);
        if self.level.handle(blocks, block_max, missing) {
            self.pulse.block_max.store(0, Relaxed);
        }
        self.level.target(self.rate).saturating_sub(self.waiting())
    }

    /// Sends these to the speaker; what has no room is lost.
    pub(crate) fn write(&mut self, sound: &[f32]) {
        if let Some(asking) = &mut self.asking {
            asking.play(sound);
            return;
        }
        let _ = self.ring.push_partial_slice(sound);
    }

    /// Samples that wait in the ring.
    fn waiting(&self) -> usize {
        RING_SAMPLES - self.ring.slots()
    }
}

/// How full the ring to a speaker is to be: as empty as its device allows, learnt from its blocks
/// and its gaps.
#[derive(Debug)]
struct Level {
    /// Blocks and missing samples when last looked.
    blocks: u32,
    missing: u32,
    /// The largest block of the last window and of this one.
    block_before: u32,
    block_now: u32,
    window_from: u32,
    window_blocks: u32,
    spare: Spare,
}

/// How much more sound waits than a device needs when nobody is late: learnt from its gaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    ms: u32,
    ms_min: u32,
    calm_from: u32,
    calm_blocks: u32,
}

impl Spare {
    /// For people who talk, or for a studio.
    pub(crate) fn new(studio: bool) -> Self {
        let ms_min = if studio {
            SPARE_MS_STUDIO
        } else {
            SPARE_MS_MIN
        };
        Self {
            ms: ms_min,
            ms_min,
            calm_from: 0,
            calm_blocks: CALM_BLOCKS_MIN,
        }
    }

    /// Milliseconds.
    pub(crate) fn ms(&self) -> u32 {
        self.ms
    }

    /// Learns from the blocks so far, wrapping, and whether there was a gap in the last of them.
    pub(crate) fn handle(&mut self, blocks: u32, gap: bool) {
        if gap {
            self.ms = (self.ms + SPARE_MS_STEP).min(SPARE_MS_MAX);
            self.calm_from = blocks;
            self.calm_blocks = (self.calm_blocks * 2).min(CALM_BLOCKS_MAX);
        } else if blocks.wrapping_sub(self.calm_from) >= self.calm_blocks {
            self.ms = (self.ms - 1).max(self.ms_min);
            self.calm_from = blocks;
        }
    }
}

impl Level {
    fn new(spare: Spare) -> Self {
        Self {
            blocks: 0,
            missing: 0,
            block_before: 0,
            block_now: 0,
            window_from: 0,
            window_blocks: WINDOW_BLOCKS_MIN,
            spare,
        }
    }

    /// Learns from the counters of the callback; whether the largest block is to start anew.
    fn handle(&mut self, blocks: u32, block_max: u32, missing: u32) -> bool {
        self.block_now = self.block_now.max(block_max);
        // The first block of a stream finds an empty ring: that is no gap.
        let gap = missing != self.missing && self.blocks > 0;
        self.missing = missing;
        self.spare.handle(blocks, gap);
        self.blocks = blocks;
        let full = blocks.wrapping_sub(self.window_from) >= self.window_blocks;
        if full {
            self.window_from = blocks;
            self.window_blocks = (self.window_blocks * 2).min(WINDOW_BLOCKS_MAX);
            self.block_before = self.block_now;
            self.block_now = 0;
        }
        full
    }

    fn target(&self, rate: u32) -> usize {
        let block = self.block_before.max(self.block_now);
        let block = usize::try_from(block).unwrap_or(RING_SAMPLES);
        (block + samples(self.spare.ms, rate)).min(RING_SAMPLES)
    }
}

fn samples(ms: u32, rate: u32) -> usize {
    let samples = u64::from(ms) * u64::from(rate) / 1000;
    usize::try_from(samples).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wake;

    const RATE: u32 = 48_000;

    fn microphone() -> (CaptureEnd, Microphone) {
        let (wake, _) = wake::pair().unwrap();
        let (end, microphone, _) = capture(wake);
        (end, microphone.at(RATE))
    }

    fn speaker() -> (PlaybackEnd, Speaker) {
        let (wake, _) = wake::pair().unwrap();
        let (end, speaker, _) = playback(wake, Spare::new(false));
        (end, speaker.at(RATE, None))
    }

    fn heard(microphone: &mut Microphone) -> Vec<f32> {
        let mut samples = Vec::new();
        microphone.read(&mut samples);
        samples
    }

    fn played(end: &mut PlaybackEnd, samples: usize) -> Vec<f32> {
        let mut block = Vec::new();
        end.read(samples, |sample| block.push(sample));
        block
    }

    #[test]
    fn what_is_heard_arrives_in_order_and_sane() {
        let (mut end, mut microphone) = microphone();
        end.write([0.5, f32::NAN, f32::INFINITY, -7.0, 2.0].into_iter());
        end.write([].into_iter());
        end.write([0.25].into_iter());
        assert_eq!(heard(&mut microphone), [0.5, 0.0, 0.0, -1.0, 1.0, 0.25]);
        assert_eq!(heard(&mut microphone), [0.0; 0]);
    }

    #[test]
    fn after_a_stall_only_the_newest_is_heard() {
        let (mut end, mut microphone) = microphone();
        let count = |from: u16, to: u16| (from..to).map(|n| f32::from(n) / 65_536.0);
        let bearable = u16::try_from(samples(WAITING_MS_MAX, RATE)).unwrap();
        end.write(count(0, bearable).collect::<Vec<_>>().into_iter());
        assert_eq!(heard(&mut microphone).len(), usize::from(bearable));
        end.write(count(0, bearable + 1).collect::<Vec<_>>().into_iter());
        let kept = samples(KEPT_MS, RATE);
        let mut newest = vec![9.0];
        let thrown_away = microphone.read(&mut newest);
        assert_eq!(thrown_away, usize::from(bearable) + 1 - kept);
        assert_eq!(newest.len(), kept + 1);
        assert_eq!(newest.last().copied(), count(bearable, bearable + 1).next());
    }

    #[test]
    fn a_stall_longer_than_the_ring_loses_sound_and_nothing_else() {
        let (mut end, mut microphone) = microphone();
        for _ in 0..3 {
            end.write(vec![0.5; RING_SAMPLES / 2].into_iter());
        }
        assert_eq!(heard(&mut microphone).len(), samples(KEPT_MS, RATE));
        end.write([0.125].into_iter());
        assert_eq!(heard(&mut microphone), [0.125]);
    }

    #[test]
    fn a_gap_fades_without_a_click() {
        let (mut end, mut speaker) = speaker();
        speaker.write(&[0.8; 10]);
        let block = played(&mut end, 200);
        assert_eq!(block[..10], [0.8; 10]);
        let steps = block.windows(2).map(|pair| (pair[0] - pair[1]).abs());
        assert!(steps.fold(0.0, f32::max) < 0.05);
        assert!(block[199].abs() < 0.001);
    }

    /// Runs a device that takes blocks of this size, with the voice thread up to `late` samples
    /// late every so often, and returns what waited in the end and the gaps of the last quarter.
    fn run(block: usize, late: usize, rounds: usize) -> (usize, u32) {
        let (mut end, mut speaker) = speaker();
        let mut gaps_before = 0;
        let mut waiting = 0;
        for round in 0..rounds {
            if round == rounds * 3 / 4 {
                gaps_before = end.pulse.missing.load(Relaxed);
            }
            let wanted = speaker.wanted();
            let on_time = if round % 16 == 7 {
                wanted.saturating_sub(late)
            } else {
                wanted
            };
            speaker.write(&vec![0.5; on_time]);
            waiting = speaker.waiting();
            played(&mut end, block);
        }
        (waiting, end.pulse.missing.load(Relaxed) - gaps_before)
    }

    #[test]
    fn as_little_waits_as_the_blocks_allow() {
        for block in [1, 64, 120, 240, 480, 1024, 4800] {
            let (waiting, gaps) = run(block, 0, 10_000);
            assert_eq!(gaps, 0, "{block}");
            let most = block + samples(SPARE_MS_MIN, RATE);
            assert!((block..=most).contains(&waiting), "{block}: {waiting}");
        }
    }

    #[test]
    fn gaps_make_more_wait_and_calm_makes_less() {
        let mut level = Level::new(Spare::new(false));
        let first = level.target(RATE);
        level.handle(1, 240, 240);
        assert_eq!(level.target(RATE), first + 240, "the first block is no gap");
        level.handle(2, 240, 300);
        let more = first + 240 + samples(SPARE_MS_STEP, RATE);
        assert_eq!(level.target(RATE), more);
        for gap in 0..100 {
            level.handle(3 + gap, 240, 301 + gap);
        }
        assert_eq!(level.target(RATE), 240 + samples(SPARE_MS_MAX, RATE));
        let mut blocks = 103;
        for _ in 0..SPARE_MS_MAX + 5 {
            blocks += CALM_BLOCKS_MAX;
            level.handle(blocks, 240, 400);
        }
        assert_eq!(level.target(RATE), 240 + samples(SPARE_MS_MIN, RATE));
    }

    #[test]
    fn a_late_voice_thread_makes_gaps_only_at_first() {
        let (waiting, gaps) = run(240, 500, 10_000);
        assert_eq!(gaps, 0);
        assert!(waiting <= 240 + samples(SPARE_MS_MAX, RATE));
    }

    #[test]
    fn the_first_large_blocks_are_forgotten() {
        let (mut end, mut speaker) = speaker();
        played(&mut end, 4800);
        for _ in 0..4 * WINDOW_BLOCKS_MIN {
            let wanted = speaker.wanted();
            speaker.write(&vec![0.0; wanted]);
            played(&mut end, 120);
        }
        assert!(speaker.wanted() <= 240 + samples(SPARE_MS_MIN, RATE));
    }
}
