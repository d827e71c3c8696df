//! The chain: each record has a number; those that are written together are a batch, which begins with the hash of the
//! batch before and ends with a hash of its own.

use aws_lc_rs::digest::{SHA256, digest};

use super::line::Line;
use super::record::{Head, Kind, Outcome, at};
use super::store::Row;
use crate::clock::Clock;

/// What the text of a batch without its hash ends with, and what stands there with it.
const END: &str = "}";
const HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";

/// The hex digits of a hash.
const HASH_DIGITS: usize = 64;

/// The characters of a time behind its seconds.
const BEHIND_SECONDS: usize = ".000Z".len();

/// What the sinks held when a chain began.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    pub(super) file: Option<Head>,
    pub(super) database: Option<Head>,
    pub(super) torn_bytes: Option<u64>,
}

/// A chain that goes on.
pub(super) struct Chain {
    id: String,
    seq: u64,
    at: At,
    /// The number of the last record of the batch before, and its hash.
    closed: u64,
    prev: Option<String>,
    /// The lines of the batch that is open.
    lines: String,
}

/// A time as records have it: many records are of the same second.
struct At {
    ms: i64,
    text: String,
}

impl Chain {
    /// A new chain; its first record is in the batch that is open.
    pub(super) fn begin(clock: &Clock, before: &Before) -> Self {
        let mut chain = Self {
            id: uuid::Uuid::now_v7().to_string(),
            seq: 0,
            at: At { ms: 0, text: at(0) },
            closed: 0,
            prev: None,
            lines: String::new(),
        };
        chain.note(clock.now_ms(), Outcome::Begun, |line| {
            line.text("version", env!("CARGO_PKG_VERSION"));
            line.text("node", &node());
            line.object("file_head", before.file.as_ref());
            line.object("database_head", before.database.as_ref());
            line.number("torn_bytes", before.torn_bytes);
        });
        chain
    }

    /// The number of the last record.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// How many records are in the batch that is open.
    pub(super) fn open(&self) -> u64 {
        self.seq - self.closed
    }

    /// Puts a record at the end of the batch that is open; `fill` writes what it says.
    pub(super) fn add(&mut self, at_ms: i64, kind: Kind, fill: impl FnOnce(&mut Line<'_>)) {
        self.seq += 1;
        self.at.moves_to(at_ms);
        let is_first = self.lines.is_empty();
        if !is_first {
            self.lines.push('\n');
        }
        let mut line = Line::begin(&mut self.lines, "chain", &self.id);
        line.number("seq", Some(self.seq));
        if is_first {
            line.text("prev", self.prev.as_deref().unwrap_or_default());
        }
        line.text("at", &self.at.text);
        line.text("kind", kind.as_str());
        fill(&mut line);
        line.end();
    }

    /// Puts a record about the chain itself at the end of the batch that is open.
    pub(super) fn note(&mut self, at_ms: i64, outcome: Outcome, fill: impl FnOnce(&mut Line<'_>)) {
        self.add(at_ms, Kind::Chain, |line| {
            line.text("outcome", outcome.as_str());
            fill(line);
        });
    }

    /// Ends the batch that is open, if there is a record in it.
    pub(super) fn close(&mut self) -> Option<Row> {
        if self.lines.is_empty() {
            return None;
        }
        // The next batch will be about as long as this one.
        let room = String::with_capacity(self.lines.len() + HASH.len() + HASH_DIGITS + AFTER_HASH.len());
        let mut text = std::mem::replace(&mut self.lines, room);
        let hash = hash(&text);
        text.truncate(text.len().saturating_sub(END.len()));
        text.push_str(HASH);
        text.push_str(&hash);
        text.push_str(AFTER_HASH);
        self.prev = Some(hash);
        self.closed = self.seq;
        Some(Row {
            chain: self.id.clone(),
            seq: self.seq,
            at_ms: self.at.ms,
            text,
        })
    }
}

impl At {
    /// Goes on to a time; never back.
    fn moves_to(&mut self, ms: i64) {
        if ms <= self.ms {
            return;
        }
        if ms.div_euclid(1_000) == self.ms.div_euclid(1_000) {
            self.text.truncate(self.text.len().saturating_sub(BEHIND_SECONDS));
            let millis = u32::try_from(ms.rem_euclid(1_000)).unwrap_or_default();
            self.text.push('.');
            for place in [100, 10, 1] {
                let digit = char::from_digit(millis / place % 10, 10);
                self.text.push(digit.unwrap_or_default());
            }
            self.text.push('Z');
        } else {
            self.text = at(ms);
        }
        self.ms = ms;
    }
}

/// The text that the hash of a batch is of, and the hash that stands in it.
pub(super) fn split(batch: &str) -> Option<(String, &str)> {
    let rest = batch.strip_suffix(AFTER_HASH)?;
    let at = rest.len().checked_sub(HASH_DIGITS)?;
    let hash = rest.get(at..)?;
    let body = rest.get(..at)?.strip_suffix(HASH)?;
    Some((format!("{body}{END}"), hash))
}

/// SHA-256 in hex.
pub(super) fn hash(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; HASH_DIGITS];
    let digest = digest(&SHA256, text.as_bytes());
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    String::from_utf8_lossy(&hex).into_owned()
}

/// The name of this machine, as far as it says.
fn node() -> String {
    let name = std::env::var("HOSTNAME").ok();
    name.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Record;

    #[test]
    fn a_batch_carries_the_hash_of_its_own_text() {
        let clock = Clock::manual(1_795_298_400_120);
        let mut chain = Chain::begin(&clock, &Before::default());
        let first = chain.close().unwrap();
        assert!(chain.close().is_none(), "nothing is in it");
        for _ in 0..3 {
            chain.add(0, Kind::Call, |line| line.text("outcome", "ok"));
        }
        assert_eq!(chain.open(), 3);
        let second = chain.close().unwrap();
        assert_eq!(chain.open(), 0);
        assert_eq!((first.seq, second.seq), (1, 4));
        for row in [&first, &second] {
            let (body, stated) = split(&row.text).unwrap();
            assert_eq!(hash(&body), stated);
        }
        let read = |text: &str| -> Vec<Record<'static>> {
            let lines = text.split('\n');
            lines.map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let records = [read(&first.text), read(&second.text)].concat();
        for (record, seq) in records.iter().zip(1..) {
            assert_eq!(record.seq, seq);
            assert_eq!(record.at, "2026-11-21T22:00:00.120Z", "time does not go back");
        }
        let stated = split(&first.text).map(|(_, hash)| hash);
        let links: Vec<_> = records
            .iter()
            .map(|record| (record.prev.as_deref(), record.hash.is_some()))
            .collect();
        assert_eq!(
            links,
            [(None, true), (stated, false), (None, false), (None, true)]
        );
        assert_eq!(
            hash(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_time_goes_on_to_what_it_would_be_anew() {
        let mut time = At { ms: 0, text: at(0) };
        let (last, all) = (1_795_298_400_999, [1, 9, 10, 999, 1_000, 1_795_298_400_120]);
        for ms in all.into_iter().chain([last - 1, last]) {
            time.moves_to(ms);
            assert_eq!(time.text, at(ms));
        }
        time.moves_to(5);
        assert_eq!((time.ms, time.text), (last, at(last)));
    }
}
