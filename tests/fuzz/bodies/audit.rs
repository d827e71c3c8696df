//! Audit logs, which somebody may have changed.

use a2ad::audit::{Medium, Record, Row, Verified, Verifier};

use super::edits;

/// A log of two chains as the program has written it.
const LOG: &str = include_str!("../audit.jsonl");
/// The hash of its last record, which its owner has kept.
const HEAD: &str = include_str!("../audit.head");

/// The first byte says whether the rest is a log or edits of a good one: one that was changed never verifies.
pub fn log(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    if which % 2 == 0 {
        for medium in [Medium::File, Medium::Database] {
            let (verified, _) = verify(rest, medium, None);
            assert!(verified.heads.len() as u64 <= verified.records);
        }
        return;
    }
    let changed = edits::apply(LOG.as_bytes(), rest);
    let (verified, begun) = verify(&changed, Medium::File, Some(HEAD.trim_end().to_owned()));
    let is_same = changed == LOG.as_bytes();
    if is_same {
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        return;
    }
    // What is behind the last batch may be one that is still being written, or not.
    let is_begun = changed
        .strip_prefix(LOG.as_bytes())
        .is_some_and(|behind| whole(String::from_utf8_lossy(behind).as_bytes()) as u64 == begun);
    assert!(
        is_begun || !verified.findings.is_empty(),
        "{}",
        String::from_utf8_lossy(&changed)
    );
}

/// The bytes of the lines that have an end.
fn whole(log: &[u8]) -> usize {
    log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// What came out, and the bytes of records in the end of the log whose batch has no end.
fn verify(log: &[u8], medium: Medium, head: Option<String>) -> (Verified, u64) {
    let mut verifier = Verifier::new(medium, head);
    for (number, line) in log[..whole(log)]
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
    {
        let line = String::from_utf8_lossy(&line[..line.len() - 1]);
        match medium {
            Medium::File => verifier.take_line(number.to_string(), &line),
            Medium::Database => verifier.take_row(number.to_string(), &row(&line)),
        }
    }
    let begun = verifier.ends_file();
    for reference in verifier.references() {
        verifier.looked_up(reference, None);
    }
    (verifier.finish(), begun)
}

/// A row with the columns that an honest one has.
fn row(line: &str) -> Row {
    let head = serde_json::from_str::<Record<'_>>(line).ok();
    let head = head.as_ref().map(|record| (record.chain.to_string(), record.seq));
    let (chain, seq) = head.unwrap_or_default();
    Row {
        chain,
        seq,
        at_ms: 0,
        text: line.to_owned(),
    }
}
