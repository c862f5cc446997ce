//! The sound devices of this computer: by a sound server where one runs (PulseAudio, or PipeWire
//! in its place), else from the cards through ALSA and cpal.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "cpal's enums may grow without being told"
)]

use crate::audio::pulse::Pulse;
use crate::audio::ring::{CaptureEnd, PlaybackEnd};
use crate::audio::{AudioError, Failed, Host, Opened, is_headphones};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Data, DeviceDirection, DeviceId, ErrorKind, FromSample, HostId, I24, Sample,
    SampleFormat, SizedSample, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange, U24,
};
use hallway_model::{DeviceView, SoundDirection};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the voice pipeline works in; other rates are converted.
const RATE: u32 = 48_000;
/// Samples of a block: 5 ms. Smaller ones cost more work than they save time; what a server takes
/// on its own accord may be two seconds.
const BLOCK: u32 = 240;
/// A device that has not opened by then hangs.
const OPEN_WITHIN: Duration = Duration::from_secs(3);
/// More channels than any microphone or speaker has; a surround card is opened as stereo.
const CHANNELS_LIKED: u16 = 2;

/// Where Linux has the nodes of sound cards.
const CARDS: &str = "/dev/snd";
/// What ALSA calls the device that its configuration says to use.
const ALSA_DEFAULT: &str = "default";

/// The one connection of this process to each sound server: another would cost a thread that
/// never ends.
static SERVERS: Mutex<Vec<(HostId, Arc<cpal::Host>)>> = Mutex::new(Vec::new());

/// The devices of this computer.
#[derive(Debug)]
pub(crate) struct System {
    pulse: Option<Pulse>,
}

impl System {
    /// As the environment says.
    pub(crate) fn find() -> Self {
        Self {
            pulse: Pulse::find(|name| std::env::var_os(name)),
        }
    }

    /// What has this device, if it is not for cpal.
    fn pulse(&self, id: &str) -> Option<&Pulse> {
        self.pulse.as_ref().filter(|_| Pulse::has(id))
    }
}

impl Host for System {
    fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError> {
        // With that feature, PipeWire is asked without this detour.
        if let Some(pulse) = &mut self.pulse
            && !cfg!(feature = "pipewire")
        {
            match pulse.devices() {
                Ok(devices) => return Ok(devices),
                Err(why) => tracing::debug!(%why, "no PulseAudio"),
            }
        }
        let host = best_host()?;
        let ways = [SoundDirection::Input, SoundDirection::Output];
        let defaults = ways.map(|way| default_device(&host, way).and_then(|d| d.id().ok()));
        let is_default =
            |id: &DeviceId, way| defaults[usize::from(way == ways[1])].as_ref() == Some(id);
        let mut found = Vec::new();
        for device in host.devices().map_err(|error| lost(host.id(), error))? {
            let (Ok(id), Ok(description)) = (device.id(), device.description()) else {
                continue;
            };
            let its_ways: &[SoundDirection] = match description.direction() {
                DeviceDirection::Input => &ways[..1],
                DeviceDirection::Output => &ways[1..],
                _ => &ways,
            };
            for way in its_ways.iter().filter(|way| is_for_people(&id, **way)) {
                let default = is_default(&id, *way);
                if id.id() == ALSA_DEFAULT && !default {
                    continue;
                }
                let name = description.name().lines().next().unwrap_or_default();
                found.push(DeviceView {
                    id: id.to_string(),
                    name: name.to_owned(),
                    direction: *way,
                    default,
                    chosen: false,
                    headphones: is_headphones(id.id(), name),
                });
            }
        }
        // What ALSA's configuration calls the default need not be in its list.
        for (way, default) in ways.iter().zip(&defaults) {
            let listed = found.iter().any(|d| d.direction == *way && d.default);
            if host.id() == HostId::Alsa
                && !listed
                && let Some(id) = default
            {
                found.push(DeviceView {
                    id: id.to_string(),
                    name: "what ALSA is configured to use".into(),
                    direction: *way,
                    default: true,
                    chosen: false,
                    headphones: false,
                });
            }
        }
        if host.id() == HostId::Alsa && found.is_empty() {
            return Err(why_none(Path::new(CARDS)));
        }
        Ok(found)
    }

    fn open_input(
        &mut self,
        id: &str,
        mut end: CaptureEnd,
        failed: Failed,
    ) -> Result<Opened, AudioError> {
        if let Some(pulse) = self.pulse(id) {
            return pulse.open_input(id, end, failed);
        }
        let device = device(id, SoundDirection::Input)?;
        let ranges = device.supported_input_configs().map_err(system)?.collect();
        let default = device.default_input_config().map_err(system)?;
        let (config, format) = config(ranges, &default);
        let channels = usize::from(config.channels);
        let stream = device
            .build_input_stream_raw(
                config,
                format,
                move |data, _| hear(data, channels, &mut end),
                move |error| report(error, &failed),
                Some(OPEN_WITHIN),
            )
            .map_err(system)?;
        opened(stream, config)
    }

    fn open_output(
        &mut self,
        id: &str,
        mut end: PlaybackEnd,
        failed: Failed,
    ) -> Result<Opened, AudioError> {
        if let Some(pulse) = self.pulse(id) {
            return pulse.open_output(id, end, failed);
        }
        let device = device(id, SoundDirection::Output)?;
        let ranges = device.supported_output_configs().map_err(system)?.collect();
        let default = device.default_output_config().map_err(system)?;
        let (config, format) = config(ranges, &default);
        let channels = usize::from(config.channels);
        let stream = device
            .build_output_stream_raw(
                config,
                format,
                move |data, _| play(data, channels, &mut end),
                move |error| report(error, &failed),
                Some(OPEN_WITHIN),
            )
            .map_err(system)?;
        opened(stream, config)
    }
}

fn opened(stream: cpal::Stream, config: StreamConfig) -> Result<Opened, AudioError> {
    stream.play().map_err(system)?;
    Ok(Opened {
        rate: config.sample_rate,
        stream: Box::new(stream),
        asking: None,
    })
}

/// The best way to the devices that there is.
fn best_host() -> Result<Arc<cpal::Host>, AudioError> {
    for id in cpal::available_hosts() {
        // A server that is not there now may be soon: ALSA is asked only where a card is.
        if id == HostId::Alsa && !has_alsa() {
            continue;
        }
        if let Ok(host) = server(id) {
            return Ok(host);
        }
    }
    Err(why_none(Path::new(CARDS)))
}

fn server(id: HostId) -> Result<Arc<cpal::Host>, AudioError> {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, host)) = servers.iter().find(|(known, _)| *known == id) {
        return Ok(host.clone());
    }
    let host = Arc::new(cpal::host_from_id(id).map_err(system)?);
    servers.push((id, host.clone()));
    Ok(host)
}

/// A server that no longer answers is asked anew the next time.
fn lost(id: HostId, error: cpal::Error) -> AudioError {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    servers.retain(|(known, _)| *known != id);
    system(error)
}

fn device(id: &str, direction: SoundDirection) -> Result<cpal::Device, AudioError> {
    let id = DeviceId::from_str(id).map_err(system)?;
    let host = server(id.host())?;
    let default = match direction {
        SoundDirection::Input => host.default_input_device(),
        SoundDirection::Output => host.default_output_device(),
    };
    // The default of ALSA stands for whatever its configuration says, and is in no list.
    let is_meant = |device: &cpal::Device| device.id().as_ref() == Ok(&id);
    default
        .filter(is_meant)
        .or_else(|| host.device_by_id(&id))
        .ok_or_else(|| AudioError::NotPlugged(direction, id.to_string()))
}

/// The device that is used when no other was chosen, if there is any.
fn default_device(host: &cpal::Host, direction: SoundDirection) -> Option<cpal::Device> {
    let default = match direction {
        SoundDirection::Input => host.default_input_device(),
        SoundDirection::Output => host.default_output_device(),
    };
    // ALSA has that name also where nothing stands behind it.
    default.filter(|device| host.id() != HostId::Alsa || opens(device, direction))
}

/// Whether a device can be opened, or could be if nobody else had it.
fn opens(device: &cpal::Device, direction: SoundDirection) -> bool {
    let configs = match direction {
        SoundDirection::Input => device.supported_input_configs().map(|_| ()),
        SoundDirection::Output => device.supported_output_configs().map(|_| ()),
    };
    configs.map_or_else(|error| error.kind() == ErrorKind::DeviceBusy, |()| true)
}

/// ALSA has a card, or somebody has told it what to use in place of one.
fn has_alsa() -> bool {
    std::env::var_os("ALSA_CONFIG_PATH").is_some() || pcm_nodes(Path::new(CARDS)).next().is_some()
}

fn pcm_nodes(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("pcm"))
        .map(|entry| entry.path())
}

/// Why there is no way to any device.
fn why_none(folder: &Path) -> AudioError {
    use rustix::fs::{Access, access};
    let mut nodes = pcm_nodes(folder).peekable();
    if nodes.peek().is_none() {
        return AudioError::NoCard;
    }
    if nodes.all(|node| access(&node, Access::READ_OK | Access::WRITE_OK).is_err()) {
        return AudioError::NotAllowed;
    }
    AudioError::NoCard
}

/// Devices that a person would choose from: no loops of what is played, no stand-in for a missing
/// card, and of ALSA's many names for a card the one that converts whatever is needed.
fn is_for_people(id: &DeviceId, way: SoundDirection) -> bool {
    let name = id.id();
    match id.host() {
        HostId::Alsa => name == ALSA_DEFAULT || name.starts_with("plughw:"),
        _ if way == SoundDirection::Input && name.ends_with(".monitor") => false,
        _ => !name.starts_with("auto_null"),
    }
}

/// What to ask a device for: what the pipeline works in where it can, else what comes nearest.
fn config(
    ranges: Vec<SupportedStreamConfigRange>,
    default: &cpal::SupportedStreamConfig,
) -> (StreamConfig, SampleFormat) {
    let usable = |range: &&SupportedStreamConfigRange| is_convertible(range.sample_format());
    let badness = |range: &&SupportedStreamConfigRange| {
        let rates = range.min_sample_rate()..=range.max_sample_rate();
        let format = match range.sample_format() {
            SampleFormat::F32 => 0,
            SampleFormat::I16 => 2,
            _ => 1,
        };
        let channels = range.channels();
        (
            !rates.contains(&RATE),
            channels > CHANNELS_LIKED,
            channels,
            format,
        )
    };
    let best = ranges.iter().filter(usable).min_by_key(badness);
    let Some(best) = best else {
        let config = StreamConfig {
            buffer_size: BufferSize::Default,
            ..default.config()
        };
        return (config, default.sample_format());
    };
    let sample_rate = RATE.clamp(best.min_sample_rate(), best.max_sample_rate());
    let block = BLOCK * sample_rate / RATE;
    let buffer_size = match *best.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => {
            BufferSize::Fixed(block.clamp(min, max))
        }
        _ => BufferSize::Fixed(block),
    };
    let config = StreamConfig {
        channels: best.channels(),
        sample_rate,
        buffer_size,
    };
    (config, best.sample_format())
}

fn is_convertible(format: SampleFormat) -> bool {
    !matches!(
        format,
        SampleFormat::DsdU8 | SampleFormat::DsdU16 | SampleFormat::DsdU32
    )
}

/// Gives a block of the device, in whatever format, to the ring.
fn hear(data: &Data, channels: usize, end: &mut CaptureEnd) {
    match data.sample_format() {
        SampleFormat::F32 => hear_as::<f32>(data, channels, end),
        SampleFormat::F64 => hear_as::<f64>(data, channels, end),
        SampleFormat::I8 => hear_as::<i8>(data, channels, end),
        SampleFormat::I16 => hear_as::<i16>(data, channels, end),
        SampleFormat::I24 => hear_as::<I24>(data, channels, end),
        SampleFormat::I32 => hear_as::<i32>(data, channels, end),
        SampleFormat::I64 => hear_as::<i64>(data, channels, end),
        SampleFormat::U8 => hear_as::<u8>(data, channels, end),
        SampleFormat::U16 => hear_as::<u16>(data, channels, end),
        SampleFormat::U24 => hear_as::<U24>(data, channels, end),
        SampleFormat::U32 => hear_as::<u32>(data, channels, end),
        SampleFormat::U64 => hear_as::<u64>(data, channels, end),
        _ => {}
    }
}

fn hear_as<T: SizedSample>(data: &Data, channels: usize, end: &mut CaptureEnd)
where
    f32: FromSample<T>,
{
    mix::<T>(data.as_slice().unwrap_or_default(), channels, end);
}

/// The mean of the channels: what one ear would hear.
fn mix<T: SizedSample>(samples: &[T], channels: usize, end: &mut CaptureEnd)
where
    f32: FromSample<T>,
{
    let share = 1.0 / f32::from(u16::try_from(channels).unwrap_or(u16::MAX));
    let mono = samples.chunks_exact(channels).map(|frame| {
        let all = frame.iter().map(|sample| f32::from_sample(*sample));
        all.sum::<f32>() * share
    });
    end.write(mono);
}

/// Fills a block of the device, in whatever format, from the ring.
fn play(data: &mut Data, channels: usize, end: &mut PlaybackEnd) {
    match data.sample_format() {
        SampleFormat::F32 => play_as::<f32>(data, channels, end),
        SampleFormat::F64 => play_as::<f64>(data, channels, end),
        SampleFormat::I8 => play_as::<i8>(data, channels, end),
        SampleFormat::I16 => play_as::<i16>(data, channels, end),
        SampleFormat::I24 => play_as::<I24>(data, channels, end),
        SampleFormat::I32 => play_as::<i32>(data, channels, end),
        SampleFormat::I64 => play_as::<i64>(data, channels, end),
        SampleFormat::U8 => play_as::<u8>(data, channels, end),
        SampleFormat::U16 => play_as::<u16>(data, channels, end),
        SampleFormat::U24 => play_as::<U24>(data, channels, end),
        SampleFormat::U32 => play_as::<u32>(data, channels, end),
        SampleFormat::U64 => play_as::<u64>(data, channels, end),
        _ => {}
    }
}

fn play_as<T>(data: &mut Data, channels: usize, end: &mut PlaybackEnd)
where
    T: SizedSample + FromSample<f32>,
{
    spread::<T>(data.as_slice_mut().unwrap_or_default(), channels, end);
}

/// The same on all channels.
fn spread<T>(samples: &mut [T], channels: usize, end: &mut PlaybackEnd)
where
    T: SizedSample + FromSample<f32>,
{
    let mut frames = samples.chunks_exact_mut(channels);
    end.read(frames.len(), |sample| {
        if let Some(frame) = frames.next() {
            frame.fill(T::from_sample(sample));
        }
    });
}

fn report(error: cpal::Error, failed: &Failed) {
    match error.kind() {
        // The stream goes on.
        ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {
            tracing::debug!(%error, "a sound device");
        }
        _ => failed.tell(system(error)),
    }
}

fn system(error: cpal::Error) -> AudioError {
    match error.kind() {
        ErrorKind::DeviceBusy => AudioError::Busy,
        ErrorKind::PermissionDenied => AudioError::NotAllowed,
        _ => AudioError::System(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ring, wake};

    fn range(
        channels: u16,
        rates: (u32, u32),
        block: SupportedBufferSize,
        format: SampleFormat,
    ) -> SupportedStreamConfigRange {
        SupportedStreamConfigRange::new(channels, rates.0, rates.1, block, format)
    }

    #[test]
    fn a_device_is_asked_for_what_the_pipeline_works_in_or_what_comes_nearest() {
        let any = SupportedBufferSize::Unknown;
        let server = [
            range(2, (1, 384_000), any, SampleFormat::F32),
            range(1, (1, 384_000), any, SampleFormat::I16),
            range(1, (1, 384_000), any, SampleFormat::F32),
        ];
        let default = server[0].with_sample_rate(44_100);
        let chosen = |ranges: &[SupportedStreamConfigRange]| {
            let (config, format) = config(ranges.to_vec(), &default);
            (
                config.channels,
                config.sample_rate,
                config.buffer_size,
                format,
            )
        };
        let best = (1, 48_000, BufferSize::Fixed(BLOCK), SampleFormat::F32);
        assert_eq!(chosen(&server), best);
        // A telephone headset, a surround card of one rate, a card of large blocks.
        let headset = [range(1, (8_000, 16_000), any, SampleFormat::I16)];
        let expected = (1, 16_000, BufferSize::Fixed(BLOCK / 3), SampleFormat::I16);
        assert_eq!(chosen(&headset), expected);
        let surround = [
            range(8, (48_000, 48_000), any, SampleFormat::F32),
            range(2, (44_100, 44_100), any, SampleFormat::I32),
            range(6, (48_000, 48_000), any, SampleFormat::I32),
        ];
        let expected = (6, 48_000, BufferSize::Fixed(BLOCK), SampleFormat::I32);
        assert_eq!(chosen(&surround), expected);
        let large = SupportedBufferSize::Range {
            min: 1024,
            max: 4096,
        };
        let slow = [range(2, (48_000, 48_000), large, SampleFormat::I16)];
        let expected = (2, 48_000, BufferSize::Fixed(1024), SampleFormat::I16);
        assert_eq!(chosen(&slow), expected);
        let expected = (2, 44_100, BufferSize::Default, SampleFormat::F32);
        assert_eq!(chosen(&[]), expected);
    }

    #[test]
    fn only_devices_for_people_are_shown() {
        use SoundDirection::{Input, Output};
        let shown = |host, name: &str, way| is_for_people(&DeviceId::new(host, name), way);
        assert!(shown(HostId::PulseAudio, "alsa_input.usb", Input));
        assert!(!shown(HostId::PulseAudio, "alsa_output.pci.monitor", Input));
        assert!(!shown(HostId::PulseAudio, "auto_null", Output));
        assert!(shown(HostId::Alsa, "plughw:CARD=0,DEV=0", Output));
        assert!(shown(HostId::Alsa, "default", Input));
        assert!(!shown(HostId::Alsa, "surround51:CARD=PCH,DEV=0", Output));
    }

    #[test]
    fn a_machine_without_sound_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(why_none(&folder.path().join("snd")), AudioError::NoCard);
        std::fs::write(folder.path().join("seq"), "").unwrap();
        assert_eq!(why_none(folder.path()), AudioError::NoCard);
        // A node that leads nowhere cannot be opened, by nobody, not even by root.
        std::os::unix::fs::symlink("nowhere", folder.path().join("pcmC0D0p")).unwrap();
        assert_eq!(why_none(folder.path()), AudioError::NotAllowed);
    }

    /// Every format gives back what it was given, in both directions and with several channels.
    #[test]
    fn every_format_is_converted() {
        fn there_and_back<T: SizedSample + FromSample<f32>>(precision: f32)
        where
            f32: FromSample<T>,
        {
            let (wake, _woken) = wake::pair().unwrap();
            let (mut playing, speaker, _) = ring::playback(wake.clone(), ring::Spare::new(false));
            let (mut hearing, microphone, _) = ring::capture(wake);
            let sound = [0.0, 0.5, -0.5, 0.99, -1.0];
            speaker.at(RATE, None).write(&sound);
            // Half a frame too many, as of a driver with a fault.
            let mut block = vec![T::EQUILIBRIUM; 3 * sound.len() + 1];
            spread(&mut block, 3, &mut playing);
            assert!(block[3..6].iter().all(|sample| *sample == block[3]));
            mix(&block, 3, &mut hearing);
            let mut heard = Vec::new();
            microphone.at(RATE).read(&mut heard);
            assert_eq!(heard.len(), sound.len());
            for (heard, sound) in heard.iter().zip(sound) {
                let name = std::any::type_name::<T>();
                assert!(
                    (heard - sound).abs() <= precision,
                    "{name}: {sound} became {heard}"
                );
            }
        }
        there_and_back::<f32>(1e-6);
        there_and_back::<f64>(1e-6);
        there_and_back::<i8>(0.01);
        there_and_back::<i16>(1e-4);
        there_and_back::<I24>(1e-6);
        there_and_back::<i32>(1e-6);
        there_and_back::<i64>(1e-6);
        there_and_back::<u8>(0.01);
        there_and_back::<u16>(1e-4);
        there_and_back::<U24>(1e-6);
        there_and_back::<u32>(1e-6);
        there_and_back::<u64>(1e-6);
    }
}
