//! Audit logs, which somebody may have changed.

use a2ad::audit::{Medium, Verified, Verifier};

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
            let verified = verify(rest, medium, None);
            assert!(verified.heads.len() as u64 <= verified.records);
        }
        return;
    }
    let changed = edits::apply(LOG.as_bytes(), rest);
    let verified = verify(&changed, Medium::File, Some(HEAD.trim_end().to_owned()));
    let is_same = changed == LOG.as_bytes();
    // Bytes behind the last line end are a record that is still being written.
    let is_begun = changed.starts_with(LOG.as_bytes()) && !changed[LOG.len()..].contains(&b'\n');
    assert_eq!(
        verified.findings.is_empty(),
        is_same || is_begun,
        "{:?}\n{}",
        verified.findings,
        String::from_utf8_lossy(&changed)
    );
}

fn verify(log: &[u8], medium: Medium, head: Option<String>) -> Verified {
    let mut verifier = Verifier::new(medium, head);
    let whole = log.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    for (number, line) in log[..whole].split(|byte| *byte == b'\n').enumerate() {
        if whole > 0 {
            verifier.take_line(number.to_string(), &String::from_utf8_lossy(line));
        }
    }
    for reference in verifier.references() {
        verifier.looked_up(reference, None);
    }
    verifier.finish()
}
