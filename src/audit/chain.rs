//! The chain: each record has a number and the hash of the one before, and a hash of its own.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};

use super::record::{Head, Kind, Outcome, Record, at};
use super::store::Row;
use crate::clock::Clock;

/// What a text without its hash ends with, and what stands there with it.
const END: &str = "}";
const HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";

/// The hex digits of a hash.
const HASH_DIGITS: usize = 64;

/// More bytes than most records have.
const TEXT_BYTES: usize = 1_024;

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
    at_ms: i64,
    /// `at_ms` as records have it: many records are of the same millisecond.
    at: String,
    prev: Option<String>,
}

impl Chain {
    /// A new chain, and its first record.
    pub(super) fn begin(clock: &Clock, before: Before) -> (Self, Row) {
        let mut chain = Self {
            id: uuid::Uuid::now_v7().to_string(),
            seq: 0,
            at_ms: 0,
            at: at(0),
            prev: None,
        };
        let node = node();
        let genesis = Record {
            version: Some(Cow::Borrowed(env!("CARGO_PKG_VERSION"))),
            node: super::record::text(&node),
            file_head: before.file,
            database_head: before.database,
            torn_bytes: before.torn_bytes,
            ..Record::about(Kind::Chain, Outcome::Begun.as_str())
        };
        let row = chain.add(clock.now_ms(), genesis);
        (chain, row)
    }

    /// Puts a record at the end of the chain.
    pub(super) fn add(&mut self, at_ms: i64, record: Record<'_>) -> Row {
        self.seq += 1;
        if at_ms > self.at_ms {
            (self.at_ms, self.at) = (at_ms, at(at_ms));
        }
        let record = Record {
            chain: Cow::Borrowed(&self.id),
            seq: self.seq,
            at: Cow::Borrowed(&self.at),
            prev: self.prev.take().map(Cow::Owned),
            ..record
        };
        let mut text = written(&record);
        let hash = hash(&text);
        text.truncate(text.len().saturating_sub(END.len()));
        text.push_str(HASH);
        text.push_str(&hash);
        text.push_str(AFTER_HASH);
        self.prev = Some(hash);
        Row {
            chain: self.id.clone(),
            seq: self.seq,
            at_ms: self.at_ms,
            text,
        }
    }
}

/// The record as JSON, in a buffer that rarely has to grow. A record is a struct of texts and numbers: nothing of it can
/// fail to be written.
fn written(record: &Record<'_>) -> String {
    let mut buffer = Vec::with_capacity(TEXT_BYTES);
    let written = serde_json::to_writer(&mut buffer, record);
    written
        .ok()
        .and_then(|()| String::from_utf8(buffer).ok())
        .unwrap_or_default()
}

/// The text that a record's hash is of, and the hash that stands in it.
pub(super) fn split(line: &str) -> Option<(String, &str)> {
    let rest = line.strip_suffix(AFTER_HASH)?;
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

    #[test]
    fn a_record_carries_the_hash_of_its_own_text() {
        let clock = Clock::manual(1_795_298_400_120);
        let (mut chain, first) = Chain::begin(&clock, Before::default());
        let second = chain.add(0, Record::about(Kind::Call, "ok"));
        for (row, seq) in [(&first, 1), (&second, 2)] {
            let (body, stated) = split(&row.text).unwrap();
            assert_eq!(hash(&body), stated);
            let record: Record<'_> = serde_json::from_str(&row.text).unwrap();
            assert_eq!(record.seq, seq);
            assert_eq!(record.at, "2026-11-21T22:00:00.120Z", "time does not go back");
        }
        let record: Record<'_> = serde_json::from_str(&second.text).unwrap();
        assert_eq!(record.prev.as_deref(), split(&first.text).map(|(_, hash)| hash));
        assert_eq!(
            hash(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
