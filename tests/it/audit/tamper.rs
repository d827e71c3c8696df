//! Whoever changes, removes, moves or adds a record is found out, in a file and in the database.

use a2ad::audit::{Head, Medium, Verified, Verifier};
use serde_json::Value;

use super::logs::Log;
use crate::support::raw::Raw;

fn lines(log: &Log) -> Vec<String> {
    let text = std::fs::read_to_string(log.file()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn verified(lines: &[String], head: Option<String>) -> Verified {
    let mut verifier = Verifier::new(Medium::File, head);
    for (number, line) in lines.iter().enumerate() {
        verifier.take_line(format!("line {number}"), line);
    }
    verifier.finish()
}

fn head_of(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    value["hash"].as_str().unwrap().to_owned()
}

/// The same record with something else in one field, as text.
fn changed(line: &str, field: &str, value: &Value) -> String {
    let begin = line.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
    let at = match value {
        Value::String(text) => begin + 1 + text.len() / 2,
        // In the middle of the first text in it.
        Value::Object(_) => begin + 12,
        _ => begin,
    };
    let mut bytes = line.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
    String::from_utf8(bytes).unwrap()
}

/// Three chains of 4, 6 and 5 records: what they begin and end with included.
async fn log() -> Log {
    Log::of_chains(&[2, 4, 3]).await
}

#[tokio::test]
async fn every_change_to_a_file_shows() {
    let log = log().await;
    let whole = lines(&log);
    assert_eq!(whole.len(), 15);
    let control = verified(&whole, Some(head_of(&whole[14])));
    assert!(
        control.findings.is_empty() && control.heads.len() == 3,
        "{control:?}"
    );
    let (mut changes, mut removed, mut swapped, mut added) = (0, 0, 0, 0);
    for (number, line) in whole.iter().enumerate() {
        let record: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        for (field, value) in &record {
            let mut lines = whole.clone();
            lines[number] = changed(line, field, value);
            let found = verified(&lines, None);
            assert!(!found.findings.is_empty(), "{field} of line {number}");
            changes += 1;
        }
        for byte in 0..line.len() {
            let mut bytes = line.as_bytes().to_vec();
            bytes[byte] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let mut lines = whole.clone();
            lines[number] = text;
            let found = verified(&lines, None);
            assert!(!found.findings.is_empty(), "byte {byte} of line {number}");
            changes += 1;
        }
        let mut lines = whole.clone();
        lines.remove(number);
        let found = verified(&lines, Some(head_of(&whole[14])));
        assert!(!found.findings.is_empty(), "without line {number}");
        removed += 1;
        if number > 0 {
            let mut lines = whole.clone();
            lines.swap(number, number - 1);
            assert!(!verified(&lines, None).findings.is_empty(), "swapped at {number}");
            swapped += 1;
        }
        for place in 0..=whole.len() {
            let mut lines = whole.clone();
            lines.insert(place, line.clone());
            assert!(
                !verified(&lines, None).findings.is_empty(),
                "{number} again at {place}"
            );
            added += 1;
        }
    }
    println!("{changes} changes, {removed} removals, {swapped} swaps, {added} additions: all found");
}

#[tokio::test]
async fn a_cut_end_and_a_missing_chain_show() {
    let log = log().await;
    let whole = lines(&log);
    let head = head_of(&whole[14]);
    for kept in 0..15 {
        let cut = verified(&whole[..kept], Some(head.clone()));
        assert!(!cut.findings.is_empty(), "{kept} of 15 lines");
        // The control: without the head, an end that was cut off between chains or within the last one can't be known.
        assert!(verified(&whole[..kept], None).findings.is_empty(), "{kept}");
    }
    for chain in [0..4, 4..10, 10..15] {
        let mut lines = whole.clone();
        lines.drain(chain.clone());
        let found = verified(&lines, Some(head.clone()));
        assert!(!found.findings.is_empty(), "without lines {chain:?}");
    }
    println!("15 cuts and 3 missing chains: all found");
}

/// A chain that is right in itself, in the place of another one.
/// The last file may be cut off while it is written; one that another follows may not.
#[tokio::test]
async fn a_rotated_file_has_a_hash_at_its_end() {
    let log = log().await;
    let mut lines = lines(&log);
    let last = lines.pop().unwrap();
    let mut open: Value = serde_json::from_str(&last).unwrap();
    open.as_object_mut().unwrap().remove("hash").unwrap();
    let open = open.to_string();
    let verify = |rotated: &str| {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["1.jsonl", "2.jsonl"].map(|name| dir.path().join(name));
        std::fs::write(&first, format!("{}\n{rotated}\n", lines.join("\n"))).unwrap();
        std::fs::write(&second, "").unwrap();
        let [first, second] = [first, second].map(|path| path.display().to_string());
        let found = std::process::Command::new(crate::binary::PROGRAM)
            .args(["audit", "verify", "--file", &first, "--file", &second])
            .output()
            .unwrap();
        (
            found.status.code(),
            String::from_utf8_lossy(&found.stdout).into_owned(),
        )
    };
    assert_eq!(verify(&last).0, Some(0));
    let (code, text) = verify(&open);
    assert!(
        code == Some(1) && text.contains("no hash behind them"),
        "{code:?} {text}"
    );
}

#[tokio::test]
async fn a_forged_chain_does_not_fit() {
    let (log, other) = (log().await, Log::of_chains(&[2]).await);
    let (whole, forged) = (lines(&log), lines(&other));
    for (chain, needs_head) in [(0..4, false), (4..10, false), (10..15, false)] {
        let mut lines = whole.clone();
        lines.splice(chain.clone(), forged.clone());
        let head = needs_head.then(|| head_of(&whole[14]));
        assert!(
            !verified(&lines, head).findings.is_empty(),
            "in place of {chain:?}"
        );
    }
    for place in 0..=whole.len() {
        let mut lines = whole.clone();
        lines.splice(place..place, forged.clone());
        assert!(!verified(&lines, None).findings.is_empty(), "at {place}");
    }
    println!("{} forged chains: all found", 3 + whole.len() + 1);
}

#[tokio::test]
async fn every_change_to_the_database_shows() {
    let log = log().await;
    let whole = log.verify_database(None).await;
    assert!(whole.findings.is_empty(), "{whole:?}");
    assert_eq!((whole.records, whole.heads.len()), (15, 3));
    let newest = newest(&whole);
    let raw = Raw::open(&log.database()).await;
    raw.execute("CREATE TABLE spare AS SELECT * FROM audit_record")
        .await;
    let restore = "DELETE FROM audit_record; INSERT INTO audit_record SELECT * FROM spare";
    let mut found = 0;
    // Of each chain: what it begins with, its calls, and what it ends with.
    assert_eq!(raw.count("audit_record").await, 9);
    for row in 1..=9 {
        let which = format!(
            "rowid = (SELECT rowid FROM audit_record ORDER BY chain, seq LIMIT 1 OFFSET {})",
            row - 1
        );
        for change in [
            format!(
                "UPDATE audit_record SET record = replace(record, 'ok', 'no') || '' WHERE {which} AND record LIKE '%\"ok\"%'"
            ),
            format!(
                "UPDATE audit_record SET record = replace(record, '\"kind\":\"c', '\"kind\":\"s') WHERE {which}"
            ),
            format!(
                "UPDATE audit_record SET record = replace(record, '\"seq\":', '\"seq\":1') WHERE {which}"
            ),
            // The first line of several, and all but it.
            format!(
                "UPDATE audit_record SET record = substr(record, 1, instr(record, char(10)) - 1) WHERE {which} \
                 AND instr(record, char(10)) > 0"
            ),
            format!(
                "UPDATE audit_record SET record = substr(record, instr(record, char(10)) + 1) WHERE {which} \
                 AND instr(record, char(10)) > 0"
            ),
            format!("UPDATE audit_record SET seq = seq + 100 WHERE {which}"),
            format!("UPDATE audit_record SET at_ms = at_ms - 1 WHERE {which}"),
            format!("UPDATE audit_record SET chain = chain || 'x' WHERE {which}"),
            format!("DELETE FROM audit_record WHERE {which}"),
            format!(
                "INSERT INTO audit_record SELECT chain, seq + 1000, at_ms, record FROM audit_record WHERE {which}"
            ),
        ] {
            let before = changes(&raw).await;
            raw.execute(&change).await;
            if changes(&raw).await > before {
                let verified = log.verify_database(Some(newest.hash.clone())).await;
                assert!(!verified.findings.is_empty(), "{change}");
                found += 1;
            }
            raw.execute(restore).await;
        }
    }
    for chain in &whole.heads {
        raw.execute(&format!(
            "DELETE FROM audit_record WHERE chain = '{}'",
            chain.chain
        ))
        .await;
        let verified = log.verify_database(Some(newest.hash.clone())).await;
        assert!(!verified.findings.is_empty(), "without a chain");
        raw.execute(restore).await;
        found += 1;
    }
    assert!(found > 60, "{found}");
    assert_eq!(log.verify_database(None).await, whole, "restored");
    println!("{found} changes to the database: all found");
}

fn newest(verified: &Verified) -> Head {
    let mut heads = verified.heads.clone();
    heads.sort_by(|a, b| a.at.cmp(&b.at).then(a.chain.cmp(&b.chain)));
    heads.pop().unwrap()
}

async fn changes(raw: &Raw) -> i64 {
    let rows = raw.rows("SELECT total_changes() AS n").await;
    rows[0].try_get("", "n").unwrap()
}
