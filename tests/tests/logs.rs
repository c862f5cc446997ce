//! A log is read by others, too: no secret of the person may be in it.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::host::{DELIVERED, PATIENCE, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use std::fs;

lan_tests![no_text_and_no_key_is_in_a_log];

const PASSPHRASE: &str = "correct horse 电池 staple";

fn no_text_and_no_key_is_in_a_log() {
    let lan = Lan::of(2);
    let loud = |name| Plan::new(name).env("HALLWAY_LOG", "trace");
    let ann = loud("Ann").start(&lan, 0);
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let bo = loud("Bo")
        .arg("--key-store")
        .arg("passphrase")
        .arg("--passphrase-file")
        .arg(passphrase.to_str().unwrap())
        .start(&lan, 1);
    ann.befriend(&bo);
    let texts = ["marzipan 杏仁糖", "xylophone 木琴", "quicksand 流沙"];
    let id = ann.tell("Bo", texts[0]);
    let edit = ["send", "Bo", texts[1], "--edit", &id];
    ann.one(&[edit.as_slice(), &DELIVERED].concat());
    let answer = ["send", "Ann", texts[2], "--reply", &id];
    bo.one(&[answer.as_slice(), &DELIVERED].concat());
    bo.cli(&["log", "Ann", "--search", "xylo", "--json", "--mark-read"]);
    bo.one(&["verify", "Ann", "--json"]);
    // What is refused is told to whoever asked.
    ann.refused(&["send", "Bo", texts[0], "--edit", &"ab".repeat(16)], 1);
    ann.kill();
    bo.restart();
    ann.up();
    ann.until_peer(bo.id(), "live", PATIENCE);
    ann.stop();
    bo.stop();

    let keys = fs::read_to_string(ann.home().join("keys")).unwrap();
    let secrets: Vec<Vec<u8>> = keys
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(key, _)| ["identity", "device", "database"].contains(key))
        .map(|(_, value)| unhex(value.trim_matches('"')))
        .collect();
    assert_eq!(secrets.len(), 3, "{keys}");
    for host in [&ann, &bo] {
        let log = host.log();
        assert!(
            log.contains("TRACE") && log.contains("DEBUG"),
            "it says too little to be a test"
        );
        for text in texts
            .iter()
            .flat_map(|text| text.split(' '))
            .chain(["xylo"])
        {
            let line = log
                .lines()
                .find(|line| line.contains(text) && !is_detail(line));
            assert_eq!(line, None, "{text}");
        }
        assert!(
            !log.contains("horse") && !log.contains("电池"),
            "the passphrase"
        );
        for form in secrets.iter().flat_map(|secret| forms(secret)) {
            assert!(!log.contains(&form), "a secret key as {form}");
        }
    }
}

/// A line below INFO, which nobody gets who does not ask for it.
fn is_detail(line: &str) -> bool {
    let level = line.split_whitespace().nth(1);
    matches!(level, Some("DEBUG" | "TRACE"))
}

/// The ways in which the first half of a secret may have been printed.
fn forms(secret: &[u8]) -> Vec<String> {
    let half = &secret[..secret.len() / 2];
    let hex: String = half.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = half
        .iter()
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let hex_list = half
        .iter()
        .map(|byte| format!("{byte:x}"))
        .collect::<Vec<_>>()
        .join(", ");
    // 15 bytes are whole groups of base64 and of base32.
    let bits: Vec<bool> = half[..15]
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
        .collect();
    let base = |width: usize, alphabet: &str| -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let value = |bits: &[bool]| {
            bits.iter()
                .fold(0, |value, bit| value * 2 + usize::from(*bit))
        };
        bits.chunks(width)
            .map(|chunk| alphabet[value(chunk)])
            .collect()
    };
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let base64 = format!("{letters}{}0123456789+/", letters.to_lowercase());
    let base32 = format!("{letters}234567");
    let base32 = base(5, &base32);
    vec![
        hex.to_uppercase(),
        hex,
        list,
        hex_list,
        base(6, &base64),
        base32.to_lowercase(),
        base32,
    ]
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
