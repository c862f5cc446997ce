//! Fills a database and measures it: `cargo run --release -p hallway-store --example measure
//! [MESSAGES] [FOLDER]`, by default 1,000,000 messages in a temporary folder.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use hallway_model::{
    Body, ConversationId, Delivery, Message, MessageId, Name, Peer, PeerId, WallTime, Write,
};
use hallway_store::{DatabaseKey, Reader, Writer, open};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Messages committed together.
const GROUP: u64 = 256;
/// People written with; half of all messages go to and come from the first few.
const PEERS: usize = 20;
const ME: PeerId = PeerId([0xee; 32]);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let messages: u64 = arguments
        .next()
        .map_or(Ok(1_000_000), |count| count.parse())?;
    let scratch = tempfile::tempdir()?;
    let folder = arguments
        .next()
        .map_or(scratch.path().to_owned(), PathBuf::from);
    let path = folder.join("hallway.db");
    let key = DatabaseKey::new([7; 32]);

    println!("resident at the start: {} KiB", resident_kib());
    let (mut writer, reader) = open(&path, &key)?;
    writer.snapshot()?;
    println!("resident after opening: {} KiB", resident_kib());
    reader.page(&ConversationId::Peer(ME), None, 50)?;
    reader.search("nothing", None, 50)?;
    println!("resident after first reads: {} KiB", resident_kib());
    let mut random = Random(42);
    commit_one_by_one(&mut writer, &mut random)?;
    fill(&mut writer, &mut random, messages)?;
    println!("resident after filling: {} KiB", resident_kib());
    drop(reader);
    let (stopped, ()) = timed(|| stop(writer))?;
    println!("database: {} MB", path.metadata()?.len() / 1_000_000);
    let copied = path.with_extension("db.backup").exists();
    println!(
        "clean stop, {} a copy: {stopped:.1?}",
        if copied { "with" } else { "too large for" }
    );

    let (opened, (writer, reader)) = timed(|| open(&path, &key))?;
    let (read, snapshot) = timed(|| writer.snapshot())?;
    println!(
        "open: {opened:.1?}, snapshot of {} peers: {read:.1?}",
        snapshot.peers.len()
    );
    drop((writer, reader));
    measure_reads(&path, &key)?;
    println!("resident at the end: {} KiB", resident_kib());
    Ok(())
}

/// Stops as a node does: the log is moved over, and a copy made if that is quick.
fn stop(writer: Writer) -> Result<(), Box<dyn Error>> {
    let (_, requests) = std::sync::mpsc::channel();
    writer.run(requests, |_| {});
    Ok(())
}

fn commit_one_by_one(writer: &mut Writer, random: &mut Random) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for n in 0..1000 {
        let write = [Write::Message(Box::new(message(random, n)))];
        times.push(timed(|| writer.commit(&[&write]))?.0);
    }
    times.sort_unstable();
    println!(
        "one by one: {:.0} messages/s, p50 {:.1?}, p99 {:.1?}",
        1000.0 / times.iter().sum::<Duration>().as_secs_f64(),
        times[500],
        times[990]
    );
    Ok(())
}

fn fill(writer: &mut Writer, random: &mut Random, messages: u64) -> Result<(), Box<dyn Error>> {
    for n in 0..PEERS {
        let mut peer = Peer::new(peer(n), WallTime(1));
        peer.name = Name::new(&format!("Peer {n}")).ok();
        writer.commit(&[&[Write::Peer(Box::new(peer))]])?;
    }
    let tenth = messages / 10;
    let mut done = 0;
    let mut since = (Instant::now(), 0);
    let mut slowest = Duration::ZERO;
    while done < messages {
        let group: Vec<Write> = (0..GROUP)
            .map(|n| Write::Message(Box::new(message(random, 1000 + done + n))))
            .collect();
        let requests: Vec<&[Write]> = group.chunks(1).collect();
        slowest = slowest.max(timed(|| writer.commit(&requests))?.0);
        done += GROUP;
        if done / tenth != (done - GROUP) / tenth {
            let rate = (done - since.1) as f64 / since.0.elapsed().as_secs_f64();
            println!("groups of {GROUP}, {done:>8}: {rate:.0} messages/s, slowest {slowest:.1?}");
            since = (Instant::now(), done);
            slowest = Duration::ZERO;
        }
    }
    Ok(())
}

fn measure_reads(path: &Path, key: &DatabaseKey) -> Result<(), Box<dyn Error>> {
    let (_writer, reader) = open(path, key)?;
    let talk = ConversationId::Peer(peer(0));
    let rare = ConversationId::Peer(peer(PEERS - 1));
    let middle = reader
        .page(&talk, None, 1)?
        .first()
        .map(|last| last.row / 2);
    let words = vocabulary();
    let common: String = [character(0), character(1), character(2), character(3)]
        .iter()
        .collect();
    let characters = |count: usize| common.chars().take(count).collect::<String>();
    type Read<'a> = Box<dyn Fn(&Reader) -> usize + 'a>;
    let search = |query: String, within: Option<ConversationId>| -> Read<'_> {
        Box::new(move |reader| {
            reader
                .search(&query, within.as_ref(), 50)
                .map_or(0, |f| f.len())
        })
    };
    let reads: Vec<(&str, Read<'_>)> = vec![
        (
            "newest page of 50",
            Box::new(|r| r.page(&talk, None, 50).map_or(0, |f| f.len())),
        ),
        (
            "page of 50 in the middle",
            Box::new(|r| r.page(&talk, middle, 50).map_or(0, |f| f.len())),
        ),
        (
            "since a time",
            Box::new(|r| r.since(&talk, WallTime(500_000), 50).map_or(0, |f| f.len())),
        ),
        (
            "50 changes",
            Box::new(|r| r.changes_since(500_000, 50).map_or(0, |f| f.len())),
        ),
        (
            "summaries, nothing read",
            Box::new(|r| r.summaries().map_or(0, |f| f.len())),
        ),
        (
            "outbox",
            Box::new(|r| r.outbox(&peer(0), 0, 64).map_or(0, |f| f.len())),
        ),
        ("search 1 common character", search(characters(1), None)),
        ("search 2 common characters", search(characters(2), None)),
        ("search 4 common characters", search(characters(4), None)),
        (
            "search 1 rare character",
            search(character(2990).to_string(), None),
        ),
        (
            "search 1 common character, rare talk",
            search(characters(1), Some(rare)),
        ),
        (
            "search a word in every message",
            search("mess".to_owned(), None),
        ),
        (
            "search the most common letter",
            search("e".to_owned(), None),
        ),
        ("search two letters", search("et".to_owned(), None)),
        ("search a common word", search(words[1].clone(), None)),
        ("search a rare word", search(words[19_000].clone(), None)),
        (
            "search a word of long ago",
            search("formerly".to_owned(), None),
        ),
        (
            "search a word that is nowhere",
            search("messzzz".to_owned(), None),
        ),
        (
            "search common words and characters",
            search(format!("{} {}", words[0], characters(1)), None),
        ),
    ];
    for (name, read) in reads {
        // The first with nothing in any cache of ours.
        let fresh = open(path, key)?.1;
        let (first, found) = timed(|| Ok::<_, Box<dyn Error>>(read(&fresh)))?;
        let mut again: Vec<_> = (0..9)
            .map(|_| timed(|| Ok::<_, Box<dyn Error>>(read(&reader))).map(|(time, _)| time))
            .collect::<Result<_, _>>()?;
        again.sort_unstable();
        println!(
            "{name:>36}: first {first:>9.2?}, then {:>9.2?} ({found} found)",
            again[4]
        );
    }
    Ok(())
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(Duration, T), E> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed(), result))
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4
}

fn peer(n: usize) -> PeerId {
    PeerId([u8::try_from(n).unwrap_or(0) + 1; 32])
}

fn message(random: &mut Random, n: u64) -> Message {
    let with = peer(random.common_first(PEERS));
    let ours = random.below(2) == 0;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.next().to_le_bytes());
    id[8..].copy_from_slice(&random.next().to_le_bytes());
    Message {
        id: MessageId(id),
        conversation: ConversationId::Peer(with),
        author: if ours { ME } else { with },
        seq: n,
        at: WallTime(n),
        body: Body::Text {
            text: text(random, n),
            reply_to: None,
        },
        raw: None,
        delivery: Delivery::Delivered,
    }
}

/// Half of the messages are Chinese, half are words; some words are as bots use them.
fn text(random: &mut Random, n: u64) -> String {
    let mut text = match n {
        0..100_000 => String::from("formerly "),
        _ => String::new(),
    };
    if random.below(2) == 0 {
        let count = 4 + random.below(16);
        text.extend((0..count).map(|_| character(random.common_first(3000))));
    } else {
        let words = vocabulary();
        for _ in 0..3 + random.below(12) {
            text.push_str(&words[random.common_first(words.len())]);
            text.push(' ');
        }
    }
    text + " message " + &n.to_string()
}

fn character(n: usize) -> char {
    u32::try_from(n)
        .ok()
        .and_then(|n| char::from_u32(0x4E00 + 6 * n))
        .unwrap_or('一')
}

fn vocabulary() -> &'static [String] {
    static WORDS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    WORDS.get_or_init(|| {
        let letters: Vec<char> = "etaoinshrdlcumwfgypbvkjxqz".chars().collect();
        let mut random = Random(7);
        let length = |n: usize| 1 + n.max(1).ilog2() as usize / 2;
        let mut word = |n| {
            (0..length(n) + 2)
                .map(|_| letters[random.common_first(26)])
                .collect::<String>()
        };
        (0..20_000).map(&mut word).collect()
    })
}

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Below `end`, the small ones more often, as words are (Zipf's law).
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `end`"
    )]
    fn common_first(&mut self, end: usize) -> usize {
        let uniform = self.next() as f64 / u64::MAX as f64;
        ((end as f64).powf(uniform) as usize - 1).min(end - 1)
    }
}
