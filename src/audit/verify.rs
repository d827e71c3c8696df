//! Whether chains are whole: the same rules for a file and for the database.

use std::collections::BTreeMap;
use std::fmt;

use super::chain::{hash, split};
use super::links::{Late, in_order};
use super::record::{Head, Outcome, Pruned, Record, at};
use super::store::Row;

/// More lines than any batch has: what goes on without an end must not fill the memory.
const OPEN_MAX: usize = 20_000;

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
    /// The end of each chain.
    pub heads: Vec<Head>,
    /// What is wrong, the first of each chain, in the order of reading.
    pub findings: Vec<Finding>,
}

/// Takes records in order and says what is wrong with them.
pub struct Verifier {
    pub(super) medium: Medium,
    wanted: Option<String>,
    records: u64,
    chains: BTreeMap<String, Known>,
    /// The end of the last batch, whatever its chain.
    pub(super) last: Option<Head>,
    /// The lines of the batch whose end has not come yet.
    open: Open,
    pub(super) is_first_of_file: bool,
    pub(super) references: Vec<(String, Head)>,
    pub(super) late: Vec<Late>,
    pruned: Option<Pruned>,
    findings: Vec<Finding>,
}

/// Lines that were read, in front of the one with their hash.
#[derive(Default)]
struct Open {
    place: String,
    text: String,
    records: Vec<Record<'static>>,
}

/// The chain that something is wrong with, if that can be told, and what it is.
type Problem = (Option<String>, String);

struct Known {
    head: Head,
    is_broken: bool,
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
            open: Open::default(),
            is_first_of_file: true,
            references: Vec::new(),
            late: Vec::new(),
            pruned: None,
            findings: Vec::new(),
        }
    }

    /// The file ends. The bytes of whole lines whose batch has no end: their writer is at work still, or was torn away.
    /// They have to follow what is in front of them all the same.
    pub fn ends_file(&mut self) -> u64 {
        let open = std::mem::take(&mut self.open);
        let Some(first) = open.records.first() else {
            return 0;
        };
        if self.medium == Medium::File {
            let head = Head {
                chain: first.chain.to_string(),
                seq: first.seq,
                at: first.at.to_string(),
                hash: String::new(),
            };
            let before = self.chains.get(&head.chain).map(|known| known.head.clone());
            let linked = self.linked(&open.place, first, &head, before.as_ref());
            if let Err(problem) = linked.and_then(|()| in_order(&open.records)) {
                self.found(open.place, (Some(head.chain), problem));
            }
        }
        open.text.len() as u64 + 1
    }

    /// Another file follows one that ends with records, or a part of one, that have no hash behind them: nobody writes to
    /// it any more who could finish them.
    pub fn unfinished(&mut self, place: impl Into<String>, bytes: u64) {
        let problem = format!(
            "it ends with {bytes} bytes of records that have no hash behind them; only the newest file may, while it is written"
        );
        self.found(place.into(), (None, problem));
    }

    /// Another file follows the one before.
    pub fn next_file(&mut self) {
        self.ends_file();
        self.is_first_of_file = true;
        self.last = None;
    }

    /// Takes the next line of a file.
    pub fn take_line(&mut self, place: impl Into<String>, line: &str) {
        let place = place.into();
        if let Err(problem) = self.look(&place, line, None) {
            self.found(place, problem);
        }
    }

    /// Takes the next row of the database.
    pub fn take_row(&mut self, place: impl Into<String>, row: &Row) {
        let place = place.into();
        for line in row.lines() {
            if let Err(problem) = self.look(&place, line, Some(row)) {
                self.found(place.clone(), problem);
            }
        }
        if self.ends_file() > 0 {
            let problem = "the row has lines without a hash behind them".to_owned();
            self.found(place, (Some(row.chain.clone()), problem));
        }
    }

    fn found(&mut self, place: String, (chain, problem): Problem) {
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
        self.ends_file();
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
        let before = |head: &Head| {
            head.chain == late.chain && Some(head.seq) == late.seq.checked_sub(1) && head.hash == late.prev
        };
        late.at < pruned.before || pruned.chains.iter().any(before)
    }

    /// Takes a line, and looks at its batch if it ends one.
    fn look(&mut self, place: &str, line: &str, row: Option<&Row>) -> Result<(), Problem> {
        self.records += 1;
        let Ok(record) = serde_json::from_str::<Record<'static>>(line) else {
            self.open = Open::default();
            self.is_first_of_file = false;
            return Err((None, "this is not an audit record".to_owned()));
        };
        if record.prev.is_some() || record.begins() {
            self.has_ended();
        }
        if self.open.records.len() >= OPEN_MAX {
            self.open = Open::default();
            return Err((None, format!("{OPEN_MAX} records have no hash behind them")));
        }
        let open = &mut self.open;
        if open.records.is_empty() {
            place.clone_into(&mut open.place);
        } else {
            open.text.push('\n');
        }
        open.text.push_str(line);
        let ends = record.hash.is_some();
        open.records.push(record);
        if ends { self.judge(row) } else { Ok(()) }
    }

    /// A batch begins: the one before has ended, or its end is not there.
    fn has_ended(&mut self) {
        let open = std::mem::take(&mut self.open);
        let Some(first) = open.records.first() else {
            return;
        };
        let problem = format!(
            "the records from {} on have no hash behind them; the end of their batch is not there",
            first.seq
        );
        let chain = Some(first.chain.to_string());
        self.found(open.place, (chain, problem));
    }

    /// Looks at a batch that is there from its beginning to its end.
    fn judge(&mut self, row: Option<&Row>) -> Result<(), Problem> {
        let open = std::mem::take(&mut self.open);
        let broken = || (None, "this is not an audit record".to_owned());
        let (body, stated) = split(&open.text).ok_or_else(broken)?;
        let is_as_written = hash(&body) == stated;
        let (first, last) = (open.records.first(), open.records.last());
        let (Some(first), Some(head)) = (first, last.and_then(Record::head)) else {
            return Err(broken());
        };
        let before = self.chains.get(&head.chain).map(|known| known.head.clone());
        let linked = self.linked(&open.place, first, &head, before.as_ref());
        let linked = linked.and_then(|()| in_order(&open.records));
        self.remember(&open.records, &head);
        self.is_first_of_file = false;
        let chain = Some(head.chain.clone());
        if !is_as_written {
            let problem = match open.records.len() {
                1 => "the record was changed: its hash is another one".to_owned(),
                count => {
                    format!("one of {count} records from here on was changed: their hash is another one")
                }
            };
            self.found(open.place, (chain, problem));
            return Ok(());
        }
        if let Some(row) = row
            && (row.chain != head.chain || row.seq != head.seq || at(row.at_ms) != head.at)
        {
            return Err((
                chain,
                "the columns of its row say something else than the record".to_owned(),
            ));
        }
        if let Err(problem) = linked {
            self.found(open.place, (chain, problem));
        }
        Ok(())
    }

    fn remember(&mut self, records: &[Record<'_>], head: &Head) {
        if self.wanted.as_ref() == Some(&head.hash) {
            self.wanted = None;
        }
        let known = self.chains.entry(head.chain.clone()).or_insert_with(|| Known {
            head: head.clone(),
            is_broken: false,
        });
        known.head = head.clone();
        self.last = Some(head.clone());
        let pruned = records
            .iter()
            .filter(|record| record.outcome == Outcome::Pruned.as_str())
            .filter_map(|record| record.pruned.as_ref());
        for pruned in pruned {
            let is_newer = |known: &Pruned| known.before < pruned.before;
            if self.pruned.as_ref().is_none_or(is_newer) {
                self.pruned = Some(pruned.clone());
            }
        }
    }
}

/// The end of a batch, if the text is one.
pub(super) fn head_of(batch: &str) -> Option<Head> {
    let last = batch.rsplit('\n').next()?;
    let record: Record<'_> = serde_json::from_str(last).ok()?;
    record.head()
}
