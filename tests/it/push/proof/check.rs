//! What receivers wrote down, compared with what the database has in its log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::webhook::Received;

/// A task and one of its configurations.
pub type Stream = (String, String);

/// The events of each task in JSON, the first one first.
pub type Logs = BTreeMap<String, Vec<String>>;

/// The first generation that each stream has to get; it has to get all that follow.
pub type Wanted = BTreeMap<Stream, usize>;

/// A request as its receiver saw it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub stream: Stream,
    pub id: String,
    pub body: String,
    /// Steps of the receiver's own.
    pub began: usize,
    pub ended: usize,
    /// Whether it was answered by a success.
    pub is_taken: bool,
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every event of the log was taken.
    NothingIsLost,
    /// Nothing comes that is not in the log, or that was not asked for.
    NothingIsInvented,
    /// Each request is the one before it again, or the next event.
    InOrder,
    /// What follows an event waits until it is taken.
    OneAfterTheOther,
    /// A stream has one request at a time.
    OneAtATime,
    /// A delivery has one id, and no other delivery has it.
    OneId,
}

/// What a comparison has shown.
#[derive(Debug, Default)]
pub struct Verdict {
    pub problems: Vec<(Rule, String)>,
    /// Deliveries that had to come.
    pub deliveries: usize,
    /// Requests for what had come before.
    pub repeated: usize,
    /// Those of them for what had been taken.
    pub repeated_after_taken: usize,
}

impl Verdict {
    /// The rules that were broken, each once.
    pub fn rules(&self) -> BTreeSet<Rule> {
        self.problems.iter().map(|(rule, _)| *rule).collect()
    }

    #[track_caller]
    pub fn is_good(&self) -> &Self {
        let first: Vec<_> = self.problems.iter().take(10).collect();
        assert!(first.is_empty(), "{} problems: {first:#?}", self.problems.len());
        self
    }
}

/// The requests of receivers whose paths end in the id of the configuration.
pub fn attempts(received: &[Received]) -> Vec<Attempt> {
    received.iter().map(attempt).collect()
}

fn attempt(received: &Received) -> Attempt {
    let body: Value = serde_json::from_str(&received.body).unwrap();
    let task = ["/task/id", "/statusUpdate/taskId", "/artifactUpdate/taskId"]
        .iter()
        .find_map(|pointer| body.pointer(pointer)?.as_str());
    let config = received.path.rsplit('/').next().unwrap_or_default();
    Attempt {
        stream: (task.expect("an event of a task").to_owned(), config.to_owned()),
        id: received.id().to_owned(),
        body: received.body.clone(),
        began: received.began,
        // What is still open has not ended before anything else began.
        ended: received.ended.map_or(usize::MAX, |end| end.at),
        is_taken: received.ended.is_some_and(|end| end.is_taken),
    }
}

/// Compares; the requests of each receiver in the order in which they came.
pub fn check(logs: &Logs, wanted: &Wanted, attempts: &[Attempt]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut by_stream: BTreeMap<&Stream, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        by_stream.entry(&attempt.stream).or_default().push(attempt);
    }
    let mut ids = BTreeMap::new();
    for (stream, attempts) in &by_stream {
        if !wanted.contains_key(*stream) {
            let problem = format!("{stream:?} was not asked for");
            verdict.problems.push((Rule::NothingIsInvented, problem));
        }
        overlaps(attempts, &mut verdict);
        for attempt in attempts {
            let known = ids
                .entry(attempt.id.as_str())
                .or_insert((&attempt.stream, &attempt.body));
            if *known != (&attempt.stream, &attempt.body) {
                let problem = format!("{} is the id of several: {attempt:?}", attempt.id);
                verdict.problems.push((Rule::OneId, problem));
            }
        }
    }
    for (stream, first) in wanted {
        let events = logs.get(&stream.0).map(Vec::as_slice).unwrap_or_default();
        let attempts = by_stream.get(stream).map(Vec::as_slice).unwrap_or_default();
        compare(stream, events, *first, attempts, &mut verdict);
    }
    verdict
}

fn overlaps(attempts: &[&Attempt], verdict: &mut Verdict) {
    for pair in attempts.windows(2) {
        // Of a request that got no answer the receiver may learn later than the sender that it is over.
        if pair[0].is_taken && pair[1].began < pair[0].ended {
            let problem = format!("at once: {pair:?}");
            verdict.problems.push((Rule::OneAtATime, problem));
        }
    }
}

/// One stream with the log of its task.
fn compare(stream: &Stream, events: &[String], first: usize, attempts: &[&Attempt], verdict: &mut Verdict) {
    verdict.deliveries += (events.len() + 1).saturating_sub(first);
    let mut taken = BTreeSet::new();
    let mut ids: BTreeMap<usize, &str> = BTreeMap::new();
    let mut last = first - 1;
    for attempt in attempts {
        let found = events.iter().position(|event| *event == attempt.body);
        let Some(generation) = found.map(|index| index + 1).filter(|found| *found >= first) else {
            let problem = format!("{stream:?} got what it should not: {}", attempt.body);
            verdict.problems.push((Rule::NothingIsInvented, problem));
            continue;
        };
        let mut broken = |rule, what: &str| {
            let problem = format!("{stream:?}: {generation} behind {last}: {what}");
            verdict.problems.push((rule, problem));
        };
        if generation != last && generation != last + 1 {
            broken(Rule::InOrder, "out of order");
        }
        if generation == last + 1 && last >= first && !taken.contains(&last) {
            broken(Rule::OneAfterTheOther, "the one before was not taken");
        }
        if *ids.entry(generation).or_insert(&attempt.id) != attempt.id {
            broken(Rule::OneId, "another id");
        }
        verdict.repeated += usize::from(generation == last);
        verdict.repeated_after_taken += usize::from(taken.contains(&generation));
        if attempt.is_taken {
            taken.insert(generation);
        }
        last = generation;
    }
    let lost: Vec<usize> = (first..=events.len())
        .filter(|one| !taken.contains(one))
        .collect();
    if !lost.is_empty() {
        let problem = format!("{stream:?} never got {lost:?}");
        verdict.problems.push((Rule::NothingIsLost, problem));
    }
}
