//! Whether chains are whole: the same rules for a file and for the database.

use std::collections::BTreeMap;
use std::fmt;

use super::chain::{hash, split};
use super::record::{Head, Outcome, Pruned, Record};

/// Where records were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Files, one line after the other.
    File,
    /// The database, chain by chain.
    Database,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Which record: a line of a file, or a number in a chain.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.problem)
    }
}

/// What came out of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// How many records were read.
    pub records: u64,
    /// The last record of each chain.
    pub heads: Vec<Head>,
    /// What is wrong, the first of each chain, in the order of reading.
    pub findings: Vec<Finding>,
}

/// Takes records in order and says what is wrong with them.
pub struct Verifier {
    medium: Medium,
    wanted: Option<String>,
    records: u64,
    chains: BTreeMap<String, Known>,
    /// The last line, whatever its chain.
    last: Option<Head>,
    is_first_of_file: bool,
    references: Vec<(String, Head)>,
    late: Vec<Late>,
    pruned: Option<Pruned>,
    findings: Vec<Finding>,
}

struct Known {
    head: Head,
    is_broken: bool,
}

/// A chain of the database that does not begin with its first record.
struct Late {
    place: String,
    chain: String,
    seq: u64,
    at: String,
    prev: String,
}

impl Verifier {
    /// With `wanted`, the hash of a record that has to be there: so a cut end shows.
    pub fn new(medium: Medium, wanted: Option<String>) -> Self {
        Self {
            medium,
            wanted,
            records: 0,
            chains: BTreeMap::new(),
            last: None,
            is_first_of_file: true,
            references: Vec::new(),
            late: Vec::new(),
            pruned: None,
            findings: Vec::new(),
        }
    }

    /// Another file follows the one before.
    pub fn next_file(&mut self) {
        self.is_first_of_file = true;
        self.last = None;
    }

    /// Takes the next record; `columns` are chain, number and time as the database has them beside the text.
    pub fn take(&mut self, place: impl Into<String>, line: &str, columns: Option<(&str, u64, i64)>) {
        self.records += 1;
        let place = place.into();
        let found = match self.look(&place, line, columns) {
            Ok(()) => None,
            Err((chain, problem)) => Some((chain, problem)),
        };
        self.is_first_of_file = false;
        let Some((chain, problem)) = found else { return };
        let chain = chain.or_else(|| self.last.as_ref().map(|head| head.chain.clone()));
        if let Some(known) = chain.and_then(|chain| self.chains.get_mut(&chain)) {
            if known.is_broken {
                return;
            }
            known.is_broken = true;
        }
        self.findings.push(Finding { place, problem });
    }

    /// The records of the database that first records name and that have to be looked up; each goes back to
    /// [`Verifier::looked_up`].
    pub fn references(&self) -> Vec<(String, Head)> {
        self.references.clone()
    }

    /// Takes the text of a record that another one names, if it is there.
    pub fn looked_up(&mut self, (place, named): (String, Head), text: Option<&str>) {
        let is_old = |pruned: &Pruned| named.at < pruned.before;
        let problem = match text.map(head_of) {
            Some(found) if found.as_ref() == Some(&named) => return,
            Some(_) => format!(
                "it follows record {} of chain {}, which is another one now",
                named.seq, named.chain
            ),
            None if self.pruned.as_ref().is_some_and(is_old) => return,
            None => format!(
                "it follows record {} of chain {}, which is not there",
                named.seq, named.chain
            ),
        };
        self.findings.push(Finding { place, problem });
    }

    /// What came out of it.
    pub fn finish(mut self) -> Verified {
        for late in std::mem::take(&mut self.late) {
            if !self.is_by_retention(&late) {
                let problem = format!(
                    "the chain begins with record {}; those before it are not there",
                    late.seq
                );
                self.findings.push(Finding {
                    place: late.place,
                    problem,
                });
            }
        }
        if let Some(wanted) = self.wanted {
            let problem =
                format!("no record has the hash {wanted}; the end of the log was cut off, or changed");
            self.findings.push(Finding {
                place: "--head".to_owned(),
                problem,
            });
        }
        Verified {
            records: self.records,
            heads: self.chains.into_values().map(|known| known.head).collect(),
            findings: self.findings,
        }
    }

    fn is_by_retention(&self, late: &Late) -> bool {
        let Some(pruned) = &self.pruned else { return false };
        let before =
            |head: &Head| head.chain == late.chain && head.seq + 1 == late.seq && head.hash == late.prev;
        late.at < pruned.before || pruned.chains.iter().any(before)
    }

    /// The problem, and the chain that it is in if that can be told.
    fn look(
        &mut self,
        place: &str,
        line: &str,
        columns: Option<(&str, u64, i64)>,
    ) -> Result<(), (Option<String>, String)> {
        let broken = |problem: &str| (None, problem.to_owned());
        let (body, stated) = split(line).ok_or_else(|| broken("this is not an audit record"))?;
        let is_as_written = hash(&body) == stated;
        let record: Record<'_> =
            serde_json::from_str(line).map_err(|_| broken("this is not an audit record"))?;
        let head = record
            .head()
            .ok_or_else(|| broken("this is not an audit record"))?;
        let before = self.chains.get(&head.chain).map(|known| known.head.clone());
        let linked = self.linked(place, &record, &head, before.as_ref());
        self.remember(&record, &head);
        let chain = Some(head.chain.clone());
        if !is_as_written {
            return Err((
                chain,
                "the record was changed: its hash is another one".to_owned(),
            ));
        }
        if let Some((id, seq, at_ms)) = columns
            && (*id != *head.chain || seq != head.seq || super::record::at(at_ms) != head.at)
        {
            return Err((
                chain,
                "the columns of its row say something else than the record".to_owned(),
            ));
        }
        linked.map_err(|problem| (chain, problem))
    }

    fn remember(&mut self, record: &Record<'_>, head: &Head) {
        if self.wanted.as_ref() == Some(&head.hash) {
            self.wanted = None;
        }
        let known = self.chains.entry(head.chain.clone()).or_insert_with(|| Known {
            head: head.clone(),
            is_broken: false,
        });
        known.head = head.clone();
        self.last = Some(head.clone());
        if record.outcome == Outcome::Pruned.as_str()
            && let Some(pruned) = &record.pruned
            && self
                .pruned
                .as_ref()
                .is_none_or(|known| known.before < pruned.before)
        {
            self.pruned = Some(pruned.clone());
        }
    }

    /// Whether the record stands where it belongs.
    fn linked(
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
            Some(before) => follows(record, head, before),
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
                head.seq
            )),
            Medium::Database => {
                self.late.push(Late {
                    place: place.to_owned(),
                    chain: head.chain.clone(),
                    seq: head.seq,
                    at: head.at.clone(),
                    prev: record.prev.as_deref().unwrap_or_default().to_owned(),
                });
                Ok(())
            }
        }
    }
}

fn follows(record: &Record<'_>, head: &Head, before: &Head) -> Result<(), String> {
    if head.seq != before.seq + 1 {
        return Err(format!(
            "record {} follows record {} of its chain",
            head.seq, before.seq
        ));
    }
    if record.prev.as_deref() != Some(before.hash.as_str()) {
        return Err("the record before it is another one than when it was written".to_owned());
    }
    if head.at < before.at {
        return Err("its time is before that of the record before it".to_owned());
    }
    Ok(())
}

/// The place of the record in a line, if it is one.
pub(super) fn head_of(line: &str) -> Option<Head> {
    let record: Record<'_> = serde_json::from_str(line).ok()?;
    record.head()
}
