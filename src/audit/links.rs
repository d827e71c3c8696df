//! Whether batches, and the records in them, follow each other.

use super::record::{Head, Outcome, Record};
use super::verify::{Medium, Verifier};

/// A chain of the database that does not begin with its first record.
pub(super) struct Late {
    pub(super) place: String,
    pub(super) chain: String,
    pub(super) seq: u64,
    pub(super) at: String,
    pub(super) prev: String,
}

impl Verifier {
    /// Whether a batch stands where it belongs: `record` is its first one, and `head` its end.
    pub(super) fn linked(
        &mut self,
        place: &str,
        record: &Record<'_>,
        head: &Head,
        before: Option<&Head>,
    ) -> Result<(), String> {
        if self.medium == Medium::File && !self.is_first_of_file && !record.begins() {
            let last = self.last.as_ref().map(|last| &last.chain);
            if last.is_some_and(|chain| *chain != head.chain) {
                return Err("the record is of another chain than the line before it".to_owned());
            }
        }
        match before {
            Some(before) if record.prev.as_deref() != Some(before.hash.as_str()) => Err(match record.seq {
                seq if seq.checked_sub(1) == Some(before.seq) => {
                    "the record before it is another one than when it was written".to_owned()
                }
                seq => format!("record {seq} follows record {} of its chain", before.seq),
            }),
            Some(before) => follows(record, before.seq, &before.at),
            None if record.begins() => self.begins(place, record),
            None => self.begins_late(place, record, head),
        }
    }

    fn begins(&mut self, place: &str, record: &Record<'_>) -> Result<(), String> {
        if record.seq != 1 || record.prev.is_some() {
            return Err("the first record of a chain has the number 1 and nothing before it".to_owned());
        }
        match self.medium {
            Medium::Database => {
                let named = record.database_head.clone();
                self.references.extend(named.map(|head| (place.to_owned(), head)));
                Ok(())
            }
            Medium::File if record.file_head == self.last => Ok(()),
            Medium::File => Err(match &record.file_head {
                Some(head) => format!(
                    "the chain follows record {} of chain {}, which is not in front of it",
                    head.seq, head.chain
                ),
                None => "the chain does not follow what is in front of it".to_owned(),
            }),
        }
    }

    fn begins_late(&mut self, place: &str, record: &Record<'_>, head: &Head) -> Result<(), String> {
        let continued = self.is_first_of_file && record.outcome == Outcome::Continued.as_str();
        match self.medium {
            Medium::File if continued => Ok(()),
            Medium::File => Err(format!(
                "the chain begins with record {}; those before it are not there",
                record.seq
            )),
            Medium::Database => {
                self.late.push(Late {
                    place: place.to_owned(),
                    chain: head.chain.clone(),
                    seq: record.seq,
                    at: head.at.clone(),
                    prev: record.prev.as_deref().unwrap_or_default().to_owned(),
                });
                Ok(())
            }
        }
    }
}

/// Whether the records of a batch follow each other.
pub(super) fn in_order(records: &[Record<'_>]) -> Result<(), String> {
    for pair in records.windows(2) {
        let [before, record] = pair else { continue };
        if record.chain != before.chain || record.prev.is_some() || before.hash.is_some() {
            return Err(format!("record {} is of another batch", record.seq));
        }
        follows(record, before.seq, &before.at)?;
    }
    Ok(())
}

fn follows(record: &Record<'_>, seq: u64, at: &str) -> Result<(), String> {
    if record.seq.checked_sub(1) != Some(seq) {
        return Err(format!("record {} follows record {seq} of its chain", record.seq));
    }
    if *record.at < *at {
        return Err("its time is before that of the record before it".to_owned());
    }
    Ok(())
}
