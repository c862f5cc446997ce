//! What a flood of datagrams costs that the peer did not make, against those that it did: how many
//! of each one core takes in a second.
//!
//! `cargo run --release -p hallway-voice --example flood`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, and prints"
)]

use hallway_model::Instant;
use hallway_voice::codec::{EncoderConfig, FrameLength};
use hallway_voice::media::{Media, MediaConfig};
use hallway_voice::packet::{Frame, MediaPacket, Packet};
use hallway_voice::playout;
use hallway_voice::sframe::Sealer;
use std::net::SocketAddr;

const PACKETS: u32 = 200_000;

fn main() {
    let address = SocketAddr::from(([10, 0, 0, 2], 47_000));
    let config = MediaConfig {
        send_key: [1; 32],
        send_kid: 1 << 60,
        receive_key: [2; 32],
        receive_kid: 2 << 60,
        seed: [3; 32],
        candidates: vec![address],
        frame: FrameLength::Ms10,
        encoder: EncoderConfig::default(),
        playout: playout::Config::default(),
    };
    let payload = [0xd8; 80];
    let frames = [0, 2, 4, 6].map(|age| Frame {
        age,
        length: FrameLength::Ms10,
        payload: &payload,
    });
    let seal = |key: [u8; 32], kid: u64| -> Vec<Vec<u8>> {
        let mut sealer = Sealer::new(&key, kid);
        let (mut plaintext, mut datagram) = (Vec::new(), Vec::new());
        let packets = (0..PACKETS).map(|n| {
            let packet = Packet::Media(MediaPacket {
                timestamp: n.wrapping_mul(480),
                sent: n.wrapping_mul(10_000),
                frames: frames.to_vec(),
                ..MediaPacket::default()
            });
            packet.encode(&mut plaintext);
            sealer.seal(&plaintext, &mut datagram).unwrap();
            datagram.clone()
        });
        packets.collect()
    };
    let real = seal(config.receive_key, config.receive_kid);
    let forged = seal([66; 32], config.receive_kid);
    let other = seal([66; 32], 66);
    let garbage = vec![vec![0x5a; 400]; real.len()];
    let mut media = Media::new(&config, Instant(0)).unwrap();
    let mut rate = |name: &str, datagrams: &[Vec<u8>]| {
        let start = std::time::Instant::now();
        for (n, datagram) in (0..).zip(datagrams) {
            let _ = media.handle_datagram(address, datagram, Instant(n * 10_000));
            while media.poll_transmit().is_some() {}
        }
        let rate = f64::from(PACKETS) / start.elapsed().as_secs_f64();
        println!("{name:24} {:9.0} a second", rate);
        rate
    };
    let forged = rate("forged", &forged);
    let other = rate("of another call", &other);
    let garbage = rate("garbage", &garbage);
    let taken = rate("real", &real);
    let replayed = rate("replayed", &real);
    println!(
        "against real: forged {:.1}, replayed {:.1}, another call {:.1}, garbage {:.1} times as many",
        forged / taken,
        replayed / taken,
        other / taken,
        garbage / taken,
    );
}
