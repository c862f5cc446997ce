//! The sound devices of a PulseAudio server, or of PipeWire's in its place. A stream is a
//! connection and a thread of its own. What the microphone hears goes through a ring; for the
//! speaker the voice thread writes to the server itself, as soon as the server asks: nothing is
//! copied twice or allocated for a block.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the protocol has a hundred commands, of which a stream needs three"
)]

use crate::audio::ring::{CaptureEnd, PlaybackEnd, Spare};
use crate::audio::{Asking, AudioError, Failed, Opened, hurry, is_headphones};
use hallway_model::{DeviceView, SoundDirection};
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    AuthParams, AuthReply, ChannelMap, Command, CommandReply, CreatePlaybackStreamReply,
    CreateRecordStreamReply, DESCRIPTOR_SIZE, Descriptor, DescriptorFlags, MAX_VERSION,
    PlaybackStreamParams, Prop, Props, ProtocolError, PulseError, RecordStreamParams, SampleFormat,
    SampleSpec, ServerInfo, SetClientNameReply, SetPlaybackStreamBufferAttrParams,
    SetPlaybackStreamBufferAttrReply, SinkInfoList, SourceInfoList, TagStructReader,
    encode_command_message, encode_descriptor, read_descriptor,
};
use rustix::net::SendFlags;
use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Before the name of a device, in its id.
const PREFIX: &str = "pulseaudio:";
/// What the voice pipeline works in. The server converts.
const RATE: u32 = 48_000;
const SAMPLE_BYTES: u32 = 4;
/// A block: 2.5 ms, of which four are on the way through the devices of a call. Twice as much is
/// a quarter cheaper and 9 ms later; less is more than PipeWire grants.
const BLOCK_BYTES: u32 = 120 * SAMPLE_BYTES;
/// What the server holds for the speaker beside what the device has, and beside what is to spare:
/// a block to take, and one on its way. PulseAudio grants three at least.
const BUFFER_BYTES: u32 = 2 * BLOCK_BYTES;
/// Where more than this was missed, half a second, the stream is opened anew.
const MISSED_MAX: u32 = RATE / 2;
/// A server that has not answered by then hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// More than the list of all devices of any computer.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// A server takes a cookie of this length only, also where none is needed.
const COOKIE_BYTES: usize = 256;
/// The channel of messages that are no sound.
const CONTROL: u32 = u32::MAX;

/// The server that the environment names, whether it runs or not.
#[derive(Debug)]
pub(super) struct Pulse {
    socket: PathBuf,
    cookie: PathBuf,
    /// For questions; streams have their own.
    connection: Option<Connection>,
}

impl Pulse {
    /// As libpulse finds it; none where it is on another computer.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let path = |name: &str| variable(name).map(PathBuf::from);
        let socket = match variable("PULSE_SERVER") {
            Some(server) => {
                let server = server.into_string().ok()?;
                let path = PathBuf::from(server.strip_prefix("unix:").unwrap_or(&server));
                path.is_absolute().then_some(path)?
            }
            None => path("PULSE_RUNTIME_PATH")
                .map(|folder| folder.join("native"))
                .or_else(|| Some(path("XDG_RUNTIME_DIR")?.join("pulse/native")))?,
        };
        let home = path("HOME").unwrap_or_default();
        let cookie = path("PULSE_COOKIE").unwrap_or_else(|| {
            let folder = path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
            folder.join("pulse/cookie")
        });
        Some(Self {
            socket,
            cookie,
            connection: None,
        })
    }

    /// Whether a device is one of PulseAudio's.
    pub(super) fn has(id: &str) -> bool {
        id.starts_with(PREFIX)
    }

    /// Everything that is plugged in now.
    pub(super) fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().map_err(system)?,
        };
        let devices = connection.devices().map_err(system)?;
        // One that failed is not asked again.
        self.connection = Some(connection);
        Ok(devices)
    }

    pub(super) fn open_input(
        &self,
        id: &str,
        end: CaptureEnd,
        failed: Failed,
    ) -> Result<Opened, AudioError> {
        let direction = SoundDirection::Input;
        let source_name = Some(name_of(id, direction)?);
        let mut connection = self.connect().map_err(system)?;
        let asked = Command::CreateRecordStream(RecordStreamParams {
            sample_spec: spec(),
            channel_map: ChannelMap::mono(),
            source_name,
            buffer_attr: BufferAttr {
                fragment_size: BLOCK_BYTES,
                ..BufferAttr::default()
            },
            flags: StreamFlags {
                // The device itself is to have no larger blocks either.
                adjust_latency: true,
                ..StreamFlags::default()
            },
            props: called("microphone"),
            ..RecordStreamParams::default()
        });
        let opened: CreateRecordStreamReply = connection
            .ask(&asked)
            .map_err(|error| refused(error, direction, id))?;
        tracing::debug!(attributes = ?opened.buffer_attr, latency_us = opened.stream_latency, "a microphone");
        let stream = Stream {
            connection,
            channel: opened.channel,
            failed,
        };
        start(direction, stream, move |stream| stream.hear(end))
    }

    pub(super) fn open_output(
        &self,
        id: &str,
        end: PlaybackEnd,
        failed: Failed,
    ) -> Result<Opened, AudioError> {
        let direction = SoundDirection::Output;
        let sink_name = Some(name_of(id, direction)?);
        let mut connection = self.connect().map_err(system)?;
        let asked = Command::CreatePlaybackStream(PlaybackStreamParams {
            sample_spec: spec(),
            channel_map: ChannelMap::mono(),
            sink_name,
            buffer_attr: buffer_for(&end.spare()),
            flags: StreamFlags {
                // The device is to ask for each block by itself, however much the server holds.
                early_requests: true,
                ..StreamFlags::default()
            },
            props: called("speaker"),
            ..PlaybackStreamParams::default()
        });
        let opened: CreatePlaybackStreamReply = connection
            .ask(&asked)
            .map_err(|error| refused(error, direction, id))?;
        tracing::debug!(attributes = ?opened.buffer_attr, latency_us = opened.stream_latency, "a speaker");
        let socket = connection.socket.get_ref().try_clone();
        let mouth = Mouth(Arc::new(Mutex::new(Buffer {
            socket: socket.map_err(|error| system(error.into()))?,
            channel: opened.channel,
            target: opened.buffer_attr.target_length / SAMPLE_BYTES,
            wanted: opened.requested_bytes / SAMPLE_BYTES,
            missed: 0,
            begun: false,
            sending: Vec::new(),
        })));
        let stream = Stream {
            connection,
            channel: opened.channel,
            failed,
        };
        let asking = mouth.clone();
        end.ask(0);
        let opened = start(direction, stream, move |stream| stream.play(&end, &asking))?;
        Ok(Opened {
            asking: Some(Box::new(mouth)),
            ..opened
        })
    }

    fn connect(&self) -> Result<Connection, ProtocolError> {
        let socket = UnixStream::connect(&self.socket)?;
        socket.set_read_timeout(Some(ANSWER_WITHIN))?;
        socket.set_write_timeout(Some(ANSWER_WITHIN))?;
        let mut connection = Connection {
            socket: BufReader::new(socket),
            version: MAX_VERSION,
            asked: 0,
            message: Vec::new(),
            sending: Vec::new(),
        };
        // Without one, the server may know this user by the socket.
        let mut cookie = fs::read(&self.cookie).unwrap_or_default();
        cookie.resize(COOKIE_BYTES, 0);
        let reply: AuthReply = connection.ask(&Command::Auth(AuthParams {
            version: MAX_VERSION,
            supports_shm: false,
            supports_memfd: false,
            cookie,
        }))?;
        connection.version = reply.version.min(MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"Hallway");
        let _: SetClientNameReply = connection.ask(&Command::SetClientName(props))?;
        Ok(connection)
    }
}

/// A connection to the server.
#[derive(Debug)]
struct Connection {
    socket: BufReader<UnixStream>,
    version: u16,
    /// Questions so far.
    asked: u32,
    /// The message that came last, without its header.
    message: Vec<u8>,
    /// Room for what is sent.
    sending: Vec<u8>,
}

impl Connection {
    fn devices(&mut self) -> Result<Vec<DeviceView>, ProtocolError> {
        use SoundDirection::{Input, Output};
        let server: ServerInfo = self.ask(&Command::GetServerInfo)?;
        let sinks: SinkInfoList = self.ask(&Command::GetSinkInfoList)?;
        let sources: SourceInfoList = self.ask(&Command::GetSourceInfoList)?;
        let sinks = sinks.iter().map(|sink| {
            let default = server.default_sink_name.as_deref();
            view(&sink.name, sink.description.as_deref(), Output, default)
        });
        let heard = |source: &&_| !is_loop(source);
        let sources = sources.iter().filter(heard).map(|source| {
            let default = server.default_source_name.as_deref();
            view(&source.name, source.description.as_deref(), Input, default)
        });
        // A stand-in for a missing card is none.
        let there = |device: &DeviceView| !device.id.starts_with("pulseaudio:auto_null");
        Ok(sinks.chain(sources).filter(there).collect())
    }

    /// Asks, and waits for the answer.
    fn ask<R: CommandReply>(&mut self, question: &Command) -> Result<R, ProtocolError> {
        self.asked += 1;
        self.sending.clear();
        encode_command_message(&mut self.sending, self.asked, question, self.version)?;
        self.socket.get_mut().write_all(&self.sending)?;
        loop {
            if self.receive()? != CONTROL {
                continue;
            }
            let mut message = self.message.as_slice();
            match Command::read_tag_prefixed(&mut message, self.version) {
                Ok((number, Command::Reply)) if number == self.asked => {
                    return TagStructReader::new(&mut message, self.version).read();
                }
                Ok((number, Command::Error(error))) if number == self.asked => {
                    return Err(ProtocolError::ServerError(error));
                }
                // News that nobody asked for.
                _ => {}
            }
        }
    }

    /// Waits for the next message; its channel.
    fn receive(&mut self) -> Result<u32, ProtocolError> {
        let header = read_descriptor(&mut self.socket)?;
        if header.length > MESSAGE_BYTES_MAX {
            let why = format!("a message of {} bytes", header.length);
            return Err(ProtocolError::Invalid(why));
        }
        let bytes = usize::try_from(header.length).unwrap_or(usize::MAX);
        self.message.resize(bytes, 0);
        self.socket.read_exact(&mut self.message)?;
        Ok(header.channel)
    }

    /// The command of the message that came last, if it is one that is known, and what follows it.
    fn command(&self) -> Option<(Command, &[u8])> {
        let mut rest = self.message.as_slice();
        let read = Command::read_tag_prefixed(&mut rest, self.version);
        read.ok().map(|(_, command)| (command, rest))
    }
}

/// An open stream, as its thread has it.
struct Stream {
    connection: Connection,
    channel: u32,
    failed: Failed,
}

impl Stream {
    fn hear(&mut self, mut end: CaptureEnd) -> Result<(), ProtocolError> {
        loop {
            let channel = self.connection.receive()?;
            if channel == self.channel {
                let (samples, _) = self.connection.message.as_chunks();
                end.write(samples.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            } else if channel == CONTROL
                && let Some((Command::RecordStreamKilled(_), _)) = self.connection.command()
            {
                return Err(ProtocolError::ServerError(PulseError::Killed));
            }
        }
    }

    /// Passes on what the server asks for, and has it hold more where that came too late.
    fn play(&mut self, end: &PlaybackEnd, mouth: &Mouth) -> Result<(), ProtocolError> {
        let (mut spare, mut blocks) = (end.spare(), 0_u32);
        loop {
            if self.connection.receive()? != CONTROL {
                continue;
            }
            match self.connection.command() {
                Some((Command::Request(request), _)) => {
                    let samples = request.length.min(MESSAGE_BYTES_MAX) / SAMPLE_BYTES;
                    let gap = mouth.lock().ask(samples);
                    end.ask(samples as usize);
                    blocks = blocks.wrapping_add(1);
                    let before = spare.ms();
                    spare.handle(blocks, gap);
                    if spare.ms() != before {
                        self.resize(&spare, mouth)?;
                    }
                }
                Some((Command::Reply, mut rest)) => {
                    let mut reply = TagStructReader::new(&mut rest, self.connection.version);
                    let resized: SetPlaybackStreamBufferAttrReply = reply.read()?;
                    mouth.lock().target = resized.buffer_attr.target_length / SAMPLE_BYTES;
                }
                Some((Command::PlaybackStreamKilled(_), _)) => {
                    return Err(ProtocolError::ServerError(PulseError::Killed));
                }
                _ => {}
            }
        }
    }

    /// Asks the server to hold so much from now on.
    fn resize(&mut self, spare: &Spare, mouth: &Mouth) -> Result<(), ProtocolError> {
        tracing::debug!(ms = spare.ms(), "sound to spare before the speaker");
        let asked = Command::SetPlaybackStreamBufferAttr(SetPlaybackStreamBufferAttrParams {
            index: self.channel,
            buffer_attr: buffer_for(spare),
            adjust_latency: false,
            early_requests: true,
        });
        let connection = &mut self.connection;
        connection.asked += 1;
        connection.sending.clear();
        encode_command_message(
            &mut connection.sending,
            connection.asked,
            &asked,
            connection.version,
        )?;
        // Not in the middle of a block that the voice thread sends.
        let _sending = mouth.lock();
        Ok(connection.socket.get_mut().write_all(&connection.sending)?)
    }
}

/// The voice thread's end of a speaker: what it makes goes to the server at once.
#[derive(Clone, Debug)]
struct Mouth(Arc<Mutex<Buffer>>);

/// What a server holds for a speaker.
#[derive(Debug)]
struct Buffer {
    socket: UnixStream,
    channel: u32,
    /// Samples that it holds when it has all it wants.
    target: u32,
    /// Samples that it wants now.
    wanted: u32,
    /// Samples that it wanted before and that should have been played already.
    missed: u32,
    /// Something was sent.
    begun: bool,
    /// Room for what is sent.
    sending: Vec<u8>,
}

impl Mouth {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking for Mouth {
    fn wanted(&self) -> usize {
        self.lock().wanted as usize
    }

    fn play(&mut self, sound: &[f32]) {
        self.lock().send(sound);
    }
}

impl Buffer {
    /// Takes in that the server wants more; whether what it had before was not enough.
    fn ask(&mut self, samples: u32) -> bool {
        let wanted = self.wanted.saturating_add(samples);
        self.wanted = wanted.min(self.target);
        let missed = wanted - self.wanted;
        self.missed = self.missed.saturating_add(missed);
        missed > 0 && self.begun
    }

    /// Sends sound. Before it goes silence for what was missed, which the server throws away.
    fn send(&mut self, sound: &[f32]) {
        // A message without any is an error to a server.
        if sound.is_empty() {
            return;
        }
        let missed = std::mem::take(&mut self.missed);
        if missed > MISSED_MAX {
            self.end();
            return;
        }
        let samples = u32::try_from(sound.len()).unwrap_or(0);
        self.wanted = self.wanted.saturating_sub(samples);
        self.begun = true;
        let header = Descriptor {
            length: missed.saturating_add(samples) * SAMPLE_BYTES,
            channel: self.channel,
            offset: 0,
            flags: DescriptorFlags::empty(),
        };
        let mut encoded = [0; DESCRIPTOR_SIZE];
        encode_descriptor(&mut encoded, &header);
        let sending = &mut self.sending;
        sending.clear();
        sending.extend_from_slice(&encoded);
        sending.resize(sending.len() + (missed * SAMPLE_BYTES) as usize, 0);
        sending.extend(sound.iter().flat_map(|sample| sample.to_le_bytes()));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if rustix::net::send(&self.socket, sending, flags) != Ok(sending.len()) {
            // A server that takes no more has died or hangs.
            self.end();
        }
    }

    /// Ends the connection, which the stream's thread hears of.
    fn end(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Ends the thread of a stream by ending its connection.
struct Closing(UnixStream);

impl Drop for Closing {
    fn drop(&mut self) {
        // One that the server has ended is closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn start(
    direction: SoundDirection,
    mut stream: Stream,
    run: impl FnOnce(&mut Stream) -> Result<(), ProtocolError> + Send + 'static,
) -> Result<Opened, AudioError> {
    let socket = stream.connection.socket.get_ref();
    // Silence is no fault of a stream: its keeper looks after it.
    let closing = socket
        .set_read_timeout(None)
        .and_then(|()| socket.try_clone());
    let closing = closing.map_err(|error| system(error.into()))?;
    thread::Builder::new()
        .name(format!("{direction} stream"))
        .spawn(move || {
            hurry();
            if let Err(error) = run(&mut stream) {
                stream.failed.tell(system(error));
            }
        })
        .map_err(|error| system(error.into()))?;
    Ok(Opened {
        rate: RATE,
        stream: Box::new(Closing(closing)),
        asking: None,
    })
}

/// What is played, to be heard again: nobody means it when they say microphone.
fn is_loop(source: &pulseaudio::protocol::SourceInfo) -> bool {
    source.monitor_of_sink_index.is_some() || source.name.to_bytes().ends_with(b".monitor")
}

fn view(
    name: &CStr,
    description: Option<&CStr>,
    direction: SoundDirection,
    default: Option<&CStr>,
) -> DeviceView {
    let id = format!("{PREFIX}{}", name.to_string_lossy());
    let words = description.unwrap_or(name).to_string_lossy();
    let words = words.lines().next().unwrap_or_default();
    DeviceView {
        headphones: is_headphones(&id, words),
        id,
        name: words.to_owned(),
        direction,
        default: default == Some(name),
        chosen: false,
    }
}

fn name_of(id: &str, direction: SoundDirection) -> Result<CString, AudioError> {
    let name = id
        .strip_prefix(PREFIX)
        .and_then(|name| CString::new(name).ok());
    name.ok_or_else(|| AudioError::NotPlugged(direction, id.to_owned()))
}

fn spec() -> SampleSpec {
    SampleSpec {
        format: SampleFormat::Float32Le,
        channels: 1,
        sample_rate: RATE,
    }
}

/// What a server is asked to hold.
fn buffer_for(spare: &Spare) -> BufferAttr {
    BufferAttr {
        target_length: BUFFER_BYTES + spare.ms() * (RATE / 1000) * SAMPLE_BYTES,
        // It never waits: what comes too late is not played later.
        pre_buffering: 0,
        minimum_request_length: BLOCK_BYTES,
        ..BufferAttr::default()
    }
}

/// What programs that show streams call it.
fn called(name: &str) -> Props {
    let mut props = Props::new();
    if let Ok(name) = CString::new(name) {
        props.set(Prop::MediaName, name.as_c_str());
    }
    props
}

fn refused(error: ProtocolError, direction: SoundDirection, id: &str) -> AudioError {
    match error {
        ProtocolError::ServerError(PulseError::NoEntity) => {
            AudioError::NotPlugged(direction, id.to_owned())
        }
        error => system(error),
    }
}

fn system(error: ProtocolError) -> AudioError {
    match error {
        ProtocolError::ServerError(PulseError::Busy) => AudioError::Busy,
        ProtocolError::ServerError(PulseError::Killed) => AudioError::Stalled,
        ProtocolError::ServerError(why) => AudioError::System(format!("the sound server: {why}")),
        ProtocolError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            AudioError::System("the sound server has ended".into())
        }
        error => AudioError::System(format!("the sound server: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::keeper::Order;
    use crate::audio::{ring, wake};
    use rustix::event::{PollFd, PollFlags, poll};
    use std::path::Path;
    use std::process::{Child, Command as Program, Stdio};
    use std::sync::mpsc::{self, Receiver};
    use tempfile::TempDir;

    fn telling() -> (Failed, Receiver<Order>) {
        let (to, told) = mpsc::channel();
        (Failed { to, stream: 1 }, told)
    }

    fn why(told: &Receiver<Order>) -> AudioError {
        match told.recv().unwrap() {
            Order::Failed(1, why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_server_is_found_as_other_programs_find_it() {
        let found = |variables: &[(&str, &str)]| {
            let value = |name: &str| {
                let of = variables.iter().find(|(known, _)| *known == name);
                of.map(|(_, value)| OsString::from(value))
            };
            let found = Pulse::find(value)?;
            let path = |path: &Path| path.to_str().unwrap().to_owned();
            Some((path(&found.socket), path(&found.cookie)))
        };
        let are = |socket: &str, cookie: &str| Some((socket.to_owned(), cookie.to_owned()));
        let run = ("XDG_RUNTIME_DIR", "/run/user/1");
        let home = ("HOME", "/home/ann");
        let kept = "/home/ann/.config/pulse/cookie";
        assert_eq!(found(&[run, home]), are("/run/user/1/pulse/native", kept));
        let other = ("PULSE_RUNTIME_PATH", "/run/other");
        assert_eq!(found(&[run, home, other]), are("/run/other/native", kept));
        for server in ["unix:/run/here", "/run/here"] {
            let named = [run, home, ("PULSE_SERVER", server)];
            assert_eq!(found(&named), are("/run/here", kept));
        }
        for server in ["tcp:10.0.0.1", "10.0.0.1", "unix:", ""] {
            assert_eq!(found(&[run, home, ("PULSE_SERVER", server)]), None);
        }
        assert_eq!(found(&[home]), None);
        let cookies = [run, home, ("XDG_CONFIG_HOME", "/etc/ann")];
        let socket = "/run/user/1/pulse/native";
        assert_eq!(found(&cookies), are(socket, "/etc/ann/pulse/cookie"));
        let cookies = [run, ("PULSE_COOKIE", "/etc/cookie")];
        assert_eq!(found(&cookies), are(socket, "/etc/cookie"));
    }

    /// A connection, and the server's end of it.
    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection {
            socket: BufReader::new(ours),
            version: MAX_VERSION,
            asked: 0,
            message: Vec::new(),
            sending: Vec::new(),
        };
        (connection, theirs)
    }

    fn header(length: u32, channel: u32) -> [u8; DESCRIPTOR_SIZE] {
        let mut bytes = [0; DESCRIPTOR_SIZE];
        let header = Descriptor {
            length,
            channel,
            offset: 0,
            flags: DescriptorFlags::empty(),
        };
        encode_descriptor(&mut bytes, &header);
        bytes
    }

    #[test]
    fn a_message_is_as_long_as_it_may_be_and_no_longer() {
        let (mut connection, mut server) = pair();
        let writing = thread::spawn(move || {
            server.write_all(&header(MESSAGE_BYTES_MAX, 7)).unwrap();
            server
                .write_all(&vec![1; usize::try_from(MESSAGE_BYTES_MAX).unwrap()])
                .unwrap();
            server.write_all(&header(MESSAGE_BYTES_MAX + 1, 7)).unwrap();
            server
        });
        assert_eq!(connection.receive().unwrap(), 7);
        assert!(connection.message.iter().all(|byte| *byte == 1));
        let error = connection.receive().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid IPC message: a message of 1048577 bytes"
        );
        writing.join().unwrap();
    }

    #[test]
    fn a_killed_stream_and_a_dead_server_are_told() {
        for (killed, why_it_is) in [
            (true, "the device has stopped"),
            (false, "the sound server has ended"),
        ] {
            let (connection, mut server) = pair();
            let (failed, told) = telling();
            let (wake, _woken) = wake::pair().unwrap();
            let (end, _, _) = ring::capture(wake);
            let stream = Stream {
                connection,
                channel: 3,
                failed,
            };
            let hear = move |stream: &mut Stream| stream.hear(end);
            let _open = start(SoundDirection::Input, stream, hear).unwrap();
            // What is not understood is passed over.
            server.write_all(&header(3, CONTROL)).unwrap();
            server.write_all(&[0xff; 3]).unwrap();
            if killed {
                let mut bytes = Vec::new();
                let news = Command::RecordStreamKilled(3);
                encode_command_message(&mut bytes, 0, &news, MAX_VERSION).unwrap();
                server.write_all(&bytes).unwrap();
            } else {
                drop(server);
            }
            assert_eq!(why(&told).to_string(), why_it_is);
        }
    }

    /// What was sent: its samples.
    fn received(server: &mut UnixStream) -> Vec<f32> {
        let header = read_descriptor(server).unwrap();
        let mut bytes = vec![0; usize::try_from(header.length).unwrap()];
        server.read_exact(&mut bytes).unwrap();
        let (samples, _) = bytes.as_chunks();
        samples.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn mouth(target: u32) -> (Mouth, UnixStream) {
        let (socket, server) = UnixStream::pair().unwrap();
        let mouth = Mouth(Arc::new(Mutex::new(Buffer {
            socket,
            channel: 3,
            target,
            wanted: target,
            missed: 0,
            begun: false,
            sending: Vec::new(),
        })));
        (mouth, server)
    }

    #[test]
    fn sound_is_not_sent_for_what_should_have_been_played_already() {
        let (mut mouth, mut server) = mouth(4);
        assert!(!mouth.lock().ask(1), "nothing has begun");
        mouth.lock().missed = 0;
        assert_eq!(mouth.wanted(), 4);
        mouth.play(&[0.5; 4]);
        assert_eq!(received(&mut server), [0.5; 4]);
        assert!(!mouth.lock().ask(3));
        assert_eq!(mouth.wanted(), 3);
        assert!(mouth.lock().ask(3), "more than it can hold");
        assert_eq!(mouth.wanted(), 4);
        mouth.play(&[0.5; 4]);
        assert_eq!(received(&mut server), [0.0, 0.0, 0.5, 0.5, 0.5, 0.5]);
        assert_eq!(mouth.wanted(), 0);
    }

    #[test]
    fn a_server_that_takes_no_more_and_a_long_stall_end_the_stream() {
        let (mut full, _server) = mouth(4);
        let (mut stalled, _server) = mouth(4);
        for _ in 0..1_000 {
            full.play(&[0.5; 4_800]);
        }
        stalled.lock().ask(MISSED_MAX + 1);
        stalled.play(&[0.5; 4]);
        for mouth in [full, stalled] {
            let mut nothing = [0];
            assert_eq!(mouth.lock().socket.read(&mut nothing).unwrap(), 0);
        }
    }

    #[test]
    fn where_sound_came_too_late_the_server_holds_more() {
        let (connection, mut server) = pair();
        let (failed, _told) = telling();
        let (wake, _woken) = wake::pair().unwrap();
        let (end, _, _) = ring::playback(wake, Spare::new(false));
        let socket = connection.socket.get_ref().try_clone().unwrap();
        let (mut mouth, _) = mouth(4);
        mouth.lock().socket = socket;
        let stream = Stream {
            connection,
            channel: 3,
            failed,
        };
        let asking = mouth.clone();
        let play = move |stream: &mut Stream| stream.play(&end, &asking);
        let _open = start(SoundDirection::Output, stream, play).unwrap();
        mouth.play(&[0.5; 4]);
        assert_eq!(received(&mut server), [0.5; 4]);
        let mut bytes = Vec::new();
        let request = Command::Request(pulseaudio::protocol::Request {
            channel: 3,
            length: 6 * SAMPLE_BYTES,
        });
        encode_command_message(&mut bytes, 0, &request, MAX_VERSION).unwrap();
        server.write_all(&bytes).unwrap();
        let header = read_descriptor(&mut server).unwrap();
        let mut bytes = vec![0; usize::try_from(header.length).unwrap()];
        server.read_exact(&mut bytes).unwrap();
        let asked = Command::read_tag_prefixed(&mut bytes.as_slice(), MAX_VERSION);
        let (number, asked) = asked.unwrap();
        let Command::SetPlaybackStreamBufferAttr(asked) = asked else {
            panic!("{asked:?}");
        };
        let first = buffer_for(&Spare::new(false));
        assert!(asked.buffer_attr.target_length > first.target_length);
        let reply = SetPlaybackStreamBufferAttrReply {
            buffer_attr: BufferAttr {
                target_length: 9 * SAMPLE_BYTES,
                ..asked.buffer_attr
            },
            configured_sink_latency: 0,
        };
        let mut bytes = Vec::new();
        pulseaudio::protocol::encode_reply_message(&mut bytes, number, &reply, MAX_VERSION)
            .unwrap();
        server.write_all(&bytes).unwrap();
        while mouth.lock().target != 9 {
            thread::yield_now();
        }
    }

    /// A PulseAudio of one speaker, and a microphone that hears it.
    struct Server(Child, TempDir);

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl Server {
        /// None where the program is not installed.
        fn start() -> Option<(Self, Pulse)> {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("socket");
            let child = Program::new("pulseaudio")
                .args(["-n", "--daemonize=no", "--use-pid-file=no"])
                .args(["--exit-idle-time=-1", "--disable-shm=yes"])
                .args([
                    "-L",
                    "module-null-sink sink_name=loud rate=48000 channels=1",
                ])
                .args([
                    "-L",
                    "module-remap-source source_name=ear master=loud.monitor",
                ])
                .arg("-L")
                .arg(format!(
                    "module-native-protocol-unix auth-anonymous=1 socket={}",
                    socket.display()
                ))
                .env("HOME", folder.path())
                .env("XDG_RUNTIME_DIR", folder.path())
                .env("PULSE_RUNTIME_PATH", folder.path())
                .env("PULSE_STATE_PATH", folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let server = match child {
                Ok(child) => Self(child, folder),
                Err(error) => {
                    eprintln!("left out: pulseaudio: {error}: apt-get install pulseaudio");
                    return None;
                }
            };
            let cookie = server.1.path().join("no cookie");
            let pulse = Pulse {
                socket,
                cookie,
                connection: None,
            };
            let until = std::time::Instant::now() + Duration::from_secs(30);
            while let Err(error) = pulse.connect() {
                assert!(std::time::Instant::now() < until, "pulseaudio: {error}");
                thread::sleep(Duration::from_millis(10));
            }
            Some((server, pulse))
        }
    }

    #[test]
    fn what_a_speaker_plays_is_heard_until_the_server_ends() {
        let Some((server, mut pulse)) = Server::start() else {
            return;
        };
        let devices = pulse.devices().unwrap();
        let listed = |device: &DeviceView| (device.id.clone(), device.direction, device.default);
        let (speaker, microphone) = ("pulseaudio:loud", "pulseaudio:ear");
        assert_eq!(
            devices.iter().map(listed).collect::<Vec<_>>(),
            [
                (speaker.into(), SoundDirection::Output, true),
                (microphone.into(), SoundDirection::Input, true),
            ]
        );

        let (wake, woken) = wake::pair().unwrap();
        let (end, mouth, _) = ring::playback(wake.clone(), Spare::new(false));
        let (failed, speaker_told) = telling();
        let playing = pulse.open_output(speaker, end, failed).unwrap();
        let mut mouth = mouth.at(playing.rate, playing.asking);
        let (end, ear, _) = ring::capture(wake.clone());
        let (failed, told) = telling();
        let hearing = pulse.open_input(microphone, end, failed).unwrap();
        let mut ear = ear.at(hearing.rate);
        let mut heard = Vec::new();
        while !heard.iter().any(|sample: &f32| (sample - 0.5).abs() < 1e-4) {
            let wanted = mouth.wanted();
            mouth.write(&vec![0.5; wanted]);
            heard.clear();
            ear.read(&mut heard);
            poll(&mut [PollFd::new(&woken, PollFlags::IN)], None).unwrap();
            woken.clear();
        }

        let (end, _, _) = ring::capture(wake);
        let (failed, _) = telling();
        let nobody = pulse.open_input("pulseaudio:nobody", end, failed);
        let gone = AudioError::NotPlugged(SoundDirection::Input, "pulseaudio:nobody".into());
        assert_eq!(nobody.err(), Some(gone));

        drop(server);
        for told in [told, speaker_told] {
            assert!(matches!(why(&told), AudioError::System(_)));
        }
        assert!(pulse.devices().is_err());
    }
}
