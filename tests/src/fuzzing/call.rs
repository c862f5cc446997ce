//! One end of a call, for a fuzzer that plays the other and holds its keys.

use hallway_model::Instant;
use hallway_voice::codec::{EncoderConfig, FrameLength};
use hallway_voice::media::{Media, MediaConfig};
use hallway_voice::playout;
use hallway_voice::sframe::Sealer;
use std::net::SocketAddr;
use std::time::Duration;

/// Packets of one run: enough for every state, few enough to be quick.
const STEPS_MAX: usize = 64;

/// Three bytes say how long to wait (in steps of 200 µs), what else to do (the lowest two bits: from
/// which address the packet comes; the next: whether the microphone gives something) and how long
/// the packet is that follows, before it is sealed.
pub(super) fn run(mut data: &[u8]) {
    let now = Instant(1_000_000);
    let key = |byte| [byte; 32];
    let config = MediaConfig {
        send_key: key(1),
        send_kid: 1,
        receive_key: key(2),
        receive_kid: 2,
        seed: key(3),
        candidates: vec![address(0)],
        frame: FrameLength::Ms10,
        encoder: EncoderConfig::default(),
        playout: playout::Config::default(),
    };
    let mut media = Media::new(&config, now).expect("a call");
    let mut sealer = Sealer::new(&config.receive_key, config.receive_kid);
    let (mut now, mut datagram, mut out) = (now, Vec::new(), [0.0; 480]);
    for _ in 0..STEPS_MAX {
        let Some(([wait, how, length], rest)) = data.split_first_chunk() else {
            return;
        };
        let (packet, rest) = rest.split_at(rest.len().min((*length).into()));
        data = rest;
        now = now + Duration::from_micros(200) * (*wait).into();
        sealer.seal(packet, &mut datagram).expect("few packets");
        let _ = media.handle_datagram(address(how & 3), &datagram, now);
        if how & 4 != 0 {
            media.handle_capture(&[0.1; 480], now);
        }
        media.handle_timeout(now);
        media.fill_playback(&mut out, now);
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
        while let Some(transmit) = media.poll_transmit() {
            assert!(transmit.bytes.len() <= hallway_voice::packet::DATAGRAM_BYTES_MAX);
        }
        let stats = media.stats(now);
        assert!(
            (0.0..=1.0).contains(&stats.receive_loss) && (0.0..=1.0).contains(&stats.concealed)
        );
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 47_000))
}
