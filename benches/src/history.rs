//! A history of a million messages: opening it, paging, searching.

use crate::baseline::scratch;
use crate::stats::median;
use crate::table::{Quantity, Row, Table, Target};
use anyhow::{Context, ensure};
use hallway_model::{
    Body, ConversationId, Delivery, Message, MessageId, Peer, PeerId, WallTime, Write,
};
use hallway_store::{DatabaseKey, Reader, StoredMessage, Writer};
use std::path::Path;
use std::time::Instant;

const MESSAGES: u64 = 1_000_000;
/// Written at once, as under load.
const GROUP: u64 = 512;
/// People written with, one as often as the next.
const PEERS: u64 = 20;
const ME: PeerId = PeerId([0xee; 32]);
/// Messages on a page.
const PAGE: usize = 50;
/// Each thing is measured so often, each time in a database just opened.
const TIMES: usize = 15;
/// Different characters and different words in use, common and rare.
const VOCABULARY: u64 = 5000;

pub(crate) fn measure() -> anyhow::Result<Table> {
    let folder = scratch()?;
    let path = folder.path().join("hallway.db");
    let key = DatabaseKey::new([7; 32]);
    let (mut writer, reader) = hallway_store::open(&path, &key)?;
    let start = Instant::now();
    fill(&mut writer)?;
    let filling = start.elapsed().as_secs_f64();
    drop((writer, reader));
    let mut table = Table::default();
    let limit = Target::AtMost(Quantity::Seconds(0.020));
    let mut opening = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        let (writer, _reader) = hallway_store::open(&path, &key)?;
        ensure!(writer.snapshot()?.last_change >= MESSAGES, "all are there");
        opening.push(start.elapsed().as_secs_f64());
    }
    table.add(Row::new(
        "open, and all a node needs to start",
        Quantity::Seconds(median(&mut opening)),
    ));
    for (what, read, found) in reads() {
        let time =
            first_read(&path, &key, &*read, found).with_context(|| format!("history: {what}"))?;
        table.add(Row::new(what, Quantity::Seconds(time)).target(limit));
    }
    table.add(Row::new(
        "writing them",
        Quantity::PerSecond(MESSAGES as f64 / filling),
    ));
    table.add(Row::new(
        "the file",
        Quantity::Bytes(path.metadata()?.len() as f64),
    ));
    table.note(format!(
        "{MESSAGES} messages, half of them Chinese, with {PEERS} people, words and characters as \
         unevenly common as in real text. Each value is the median of {TIMES} first reads after \
         the database was opened; pages and results of {PAGE}."
    ));
    Ok(table)
}

type Read = Box<dyn Fn(&Reader) -> anyhow::Result<Vec<StoredMessage>>>;

/// What is read, and whether it is expected to find a page full.
fn reads() -> Vec<(&'static str, Read, bool)> {
    let talk = ConversationId::Peer(peer(3));
    let page =
        move |before| -> Read { Box::new(move |reader| Ok(reader.page(&talk, before, PAGE)?)) };
    let search = |query: String, within: Option<ConversationId>| -> Read {
        Box::new(move |reader| Ok(reader.search(&query, within.as_ref(), PAGE)?))
    };
    let pair: String = [character(0), character(1)].iter().collect();
    let rare_pair: String = [character(700), character(900)].iter().collect();
    let one = |rank| character(rank).to_string();
    vec![
        ("the newest page", page(None), true),
        ("a page in the middle", page(Some(MESSAGES / 2)), true),
        (
            "search: the start of a common word",
            search(beginning(0), None),
            true,
        ),
        (
            "search: the start of a rare word",
            search(beginning(VOCABULARY - 5), None),
            true,
        ),
        (
            "search: two words",
            search(format!("{} {}", word(2), word(30)), None),
            true,
        ),
        (
            "search: a common Chinese character",
            search(one(0), None),
            true,
        ),
        (
            "search: the same in one talk",
            search(one(0), Some(talk)),
            true,
        ),
        (
            "search: a rare Chinese character",
            search(one(VOCABULARY - 5), None),
            true,
        ),
        ("search: two Chinese characters", search(pair, None), true),
        (
            "search: two rare Chinese characters",
            search(rare_pair, None),
            false,
        ),
        (
            "search: what is not there",
            search("龘".into(), None),
            false,
        ),
    ]
}

/// Median of how long a read takes in a database just opened.
fn first_read(
    path: &Path,
    key: &DatabaseKey,
    read: &dyn Fn(&Reader) -> anyhow::Result<Vec<StoredMessage>>,
    full: bool,
) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let (_writer, reader) = hallway_store::open(path, key)?;
        let start = Instant::now();
        let found = read(&reader)?.len();
        times.push(start.elapsed().as_secs_f64());
        ensure!(
            !full || found == PAGE,
            "found {found} instead of a page full"
        );
    }
    Ok(median(&mut times))
}

fn fill(writer: &mut Writer) -> anyhow::Result<()> {
    for n in 0..PEERS {
        writer.commit(&[&[Write::Peer(Box::new(Peer::new(peer(n), WallTime(0))))]])?;
    }
    let mut random = Random(1);
    let mut seqs = vec![0; 256];
    for first in (0..MESSAGES).step_by(usize::try_from(GROUP)?) {
        let group: Vec<Write> = (first..MESSAGES.min(first + GROUP))
            .map(|n| Write::Message(Box::new(message(n, &mut seqs, &mut random))))
            .collect();
        writer.commit(&[&group])?;
    }
    Ok(())
}

fn message(n: u64, seqs: &mut [u64], random: &mut Random) -> Message {
    let peer = peer(random.below(PEERS));
    let own = random.below(2) == 0;
    let author = if own { ME } else { peer };
    let seq = &mut seqs[usize::from(peer.0[0]) + if own { 0 } else { 128 }];
    *seq += 1;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.next().to_be_bytes());
    id[8..].copy_from_slice(&n.to_be_bytes());
    Message {
        id: MessageId(id),
        conversation: ConversationId::Peer(peer),
        author,
        seq: *seq,
        at: WallTime(1_700_000_000_000 + n * 10_000),
        body: Body::Text {
            text: text(random),
            reply_to: None,
        },
        raw: None,
        delivery: Delivery::Delivered,
    }
}

/// A line of chat, half of the time Chinese.
fn text(random: &mut Random) -> String {
    if random.below(2) == 0 {
        (0..4 + random.below(20))
            .map(|_| character(random.rank()))
            .collect()
    } else {
        let words: Vec<String> = (0..2 + random.below(12))
            .map(|_| word(random.rank()))
            .collect();
        words.join(" ")
    }
}

/// The character of this rank, 0 being the most common.
fn character(rank: u64) -> char {
    u32::try_from(0x4e00 + rank)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('一')
}

/// The word of this rank, of two to four syllables.
fn word(rank: u64) -> String {
    let syllables = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe",
    ];
    let (mut word, mut left) = (String::new(), rank + 12);
    while left > 0 {
        word += syllables[usize::try_from(left % 12).unwrap_or(0)];
        left /= 12;
    }
    word
}

/// How somebody begins to type the word of this rank.
fn beginning(rank: u64) -> String {
    let word = word(rank);
    word[..word.len() - 1].to_owned()
}

fn peer(n: u64) -> PeerId {
    PeerId([u8::try_from(n + 1).unwrap_or(0); 32])
}

/// A xorshift generator: the same history every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A rank below [`VOCABULARY`], about as often as Zipf's law has it: each doubling of the
    /// rank is as likely as the one before.
    fn rank(&mut self) -> u64 {
        let share = self.below(1 << 32) as f64 / f64::from(u32::MAX);
        let rank = (VOCABULARY as f64 + 1.0).powf(share) - 1.0;
        // Within 0 and the vocabulary by construction.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "see above"
        )]
        let rank = rank as u64;
        rank.min(VOCABULARY - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_all_used_and_the_first_most() {
        let mut random = Random(1);
        let mut counts = vec![0; usize::try_from(VOCABULARY).unwrap()];
        for _ in 0..2_000_000 {
            counts[usize::try_from(random.rank()).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| *count > 0));
        assert!(counts[0] > counts[1] && counts[1] > counts[10] && counts[10] > counts[1000]);
    }

    #[test]
    fn words_differ() {
        let words: std::collections::BTreeSet<String> = (0..VOCABULARY).map(word).collect();
        assert_eq!(words.len(), 5000);
    }
}
