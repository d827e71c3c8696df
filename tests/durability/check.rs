//! The checker: a pure function of what clients saw and what the database holds, in linear time.

use std::collections::{HashMap, HashSet};

use a2ad::pb::TaskState;

use super::dump::{Dump, Event, TaskRow};
use super::history::{Call, Record, What};
use super::streams::{check_frames, check_readers};

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// What a client was told is not in the database.
    AcknowledgedIsStored,
    /// A message took effect twice.
    OnceAtMost,
    /// A refused message took effect all the same, or was refused without a cause.
    RefusedIsRefused,
    /// A log has a hole, a repetition or another end than its task.
    LogIsDense,
    /// More than one terminal state, or something behind it, or another one than clients were told.
    OneTerminalState,
    /// A row was written under an older epoch than the row before it.
    EpochNeverFalls,
    /// Two streams, or a stream and the log, disagree about an event.
    StreamsAgree,
    /// A reader got an event twice, out of order, or not at all.
    CursorContinues,
    /// An agent that started again did something twice, or left something out.
    RestartGoesOn,
    /// A task is still running though nothing runs it.
    EverythingEnds,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub rule: Rule,
    pub text: String,
}

/// What was checked, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub problems: Vec<Problem>,
    pub acknowledged_messages: usize,
    pub unknown_calls: usize,
    pub tasks: usize,
    pub events: usize,
    pub frames: usize,
    pub readers: usize,
    /// Connections of readers that went on behind a cursor.
    pub resumed: usize,
    /// Readers that came to the end of their task.
    pub ended: usize,
    /// Executions that were begun again behind a death.
    pub restarts: usize,
    /// Tasks that somebody took over from a dead server, to run or to fail them.
    pub taken_over: usize,
    /// Tasks that retention removed.
    pub pruned: usize,
}

impl Report {
    pub fn broken(&self, rule: Rule) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.rule == rule)
            .count()
    }

    pub(super) fn add(&mut self, rule: Rule, text: String) {
        self.problems.push(Problem { rule, text });
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "acknowledged messages {}: lost {}, duplicated {}; calls with unknown outcome {}; tasks {} with {} events: \
             holes {}, second terminal states {}, stale epochs {}; frames {} of {} readers: differing {}; streams \
             resumed {}, ended {}: gaps or repetitions {}; taken over {}, restarts {}: something twice or left out {}; \
             pruned {}; all problems {}",
            self.acknowledged_messages,
            self.broken(Rule::AcknowledgedIsStored),
            self.broken(Rule::OnceAtMost),
            self.unknown_calls,
            self.tasks,
            self.events,
            self.broken(Rule::LogIsDense),
            self.broken(Rule::OneTerminalState),
            self.broken(Rule::EpochNeverFalls),
            self.frames,
            self.readers,
            self.broken(Rule::StreamsAgree),
            self.resumed,
            self.ended,
            self.broken(Rule::CursorContinues),
            self.taken_over,
            self.restarts,
            self.broken(Rule::RestartGoesOn),
            self.pruned,
            self.problems.len()
        )
    }
}

/// When the history was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every client came to its end with a server that stayed: nothing may be running or unread.
    Quiet,
    /// In the middle: what was under way may be unfinished.
    Cut,
}

/// Checks everything.
pub fn check(history: &[Record], dump: &Dump, end: End) -> Report {
    let mut report = Report::default();
    let mut stored = Stored::new(dump, &mut report);
    stored.let_go(history, &mut report);
    stored.check_tasks(end, &mut report);
    stored.check_restarts(&mut report);
    let calls = Calls::new(history, &mut report);
    calls.check(&stored, &mut report);
    check_frames(history, &calls, &stored, &mut report);
    check_readers(history, &calls, &stored, end, &mut report);
    report
}

/// The database, by task and by message.
pub(super) struct Stored<'a> {
    pub(super) rows: HashMap<&'a str, &'a TaskRow>,
    /// Event number n stands at n - 1.
    events: HashMap<&'a str, Vec<&'a Event>>,
    /// In which tasks a message took effect, once for each time.
    messages: HashMap<&'a str, Vec<&'a str>>,
    /// What retention was allowed to remove, and has.
    pruned: HashSet<&'a str>,
}

impl<'a> Stored<'a> {
    fn new(dump: &'a Dump, report: &mut Report) -> Self {
        let mut stored = Self {
            rows: dump.tasks.iter().map(|row| (row.id.as_str(), row)).collect(),
            events: HashMap::new(),
            messages: HashMap::new(),
            pruned: HashSet::new(),
        };
        let mut epochs: HashMap<&str, u64> = HashMap::new();
        for row in &dump.log {
            let events = stored.events.entry(&row.task).or_default();
            let end = events.len() as u64;
            if row.first != end + 1 || row.last + 1 - row.first.min(row.last + 1) != row.events.len() as u64 {
                let (first, last, count) = (row.first, row.last, row.events.len());
                let text = format!(
                    "{}: row {first} to {last} with {count} events follows {end}",
                    row.task
                );
                report.add(Rule::LogIsDense, text);
            }
            events.extend(&row.events);
            for message in row.events.iter().flat_map(|event| &event.messages) {
                stored.messages.entry(message).or_default().push(&row.task);
            }
            let before = epochs.insert(&row.task, row.epoch).unwrap_or(0);
            if row.epoch < before {
                let text = format!("{}: epoch {} after {before}", row.task, row.epoch);
                report.add(Rule::EpochNeverFalls, text);
            }
        }
        for (task, epoch) in epochs {
            if stored.rows.get(task).is_some_and(|row| row.epoch < epoch) {
                report.add(
                    Rule::EpochNeverFalls,
                    format!("{task}: the task is behind epoch {epoch}"),
                );
            }
        }
        for key in &dump.keys {
            if stored
                .messages
                .get(key.key.as_str())
                .is_none_or(|tasks| !tasks.contains(&key.task.as_str()))
            {
                let text = format!("key {} leads to {}, which has no such message", key.key, key.task);
                report.add(Rule::OnceAtMost, text);
            }
        }
        stored
    }

    /// A task that was made old may be gone, but as a whole: what is left of it is looked at like anything else.
    fn let_go(&mut self, history: &'a [Record], report: &mut Report) {
        for record in history {
            if let What::Aged { task } = &record.what
                && !self.rows.contains_key(task.as_str())
            {
                self.pruned.insert(task);
            }
        }
        report.pruned = self.pruned.len();
    }

    /// The counter goes on behind the last number that its task has, whichever server runs it.
    fn check_restarts(&self, report: &mut Report) {
        for row in self.rows.values() {
            report.restarts += usize::try_from(row.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        }
        report.taken_over = report.restarts;
        for (task, events) in &self.events {
            report.taken_over += usize::from(events.iter().any(|event| event.tells_of_death));
            let numbers: Vec<u64> = events.iter().filter_map(|event| event.number).collect();
            if numbers
                .iter()
                .zip(1..)
                .any(|(number, expected)| *number != expected)
            {
                report.add(Rule::RestartGoesOn, format!("{task}: counted {numbers:?}"));
            }
        }
    }

    fn check_tasks(&self, end: End, report: &mut Report) {
        report.tasks = self.rows.len();
        report.events = self.events.values().map(Vec::len).sum();
        for task in self.events.keys().filter(|task| !self.rows.contains_key(*task)) {
            report.add(Rule::LogIsDense, format!("{task}: a log without a task"));
        }
        for (task, row) in &self.rows {
            let events = self.events.get(task).map(Vec::as_slice).unwrap_or_default();
            if events.len() as u64 != row.generation || events.is_empty() {
                let text = format!("{task}: at {}, its log ends at {}", row.generation, events.len());
                report.add(Rule::LogIsDense, text);
            }
            let last = events.iter().rev().find_map(|event| event.state);
            if last != Some(row.state) {
                let text = format!("{task}: is in state {}, its log says {last:?}", row.state);
                report.add(Rule::LogIsDense, text);
            }
            let first_end = events
                .iter()
                .position(|event| event.state.is_some_and(is_terminal));
            if first_end.is_some_and(|at| at + 1 != events.len()) {
                report.add(
                    Rule::OneTerminalState,
                    format!("{task}: events follow a terminal state"),
                );
            }
            if end == End::Quiet && is_running(row.state) {
                report.add(
                    Rule::EverythingEnds,
                    format!("{task}: is still in state {}", row.state),
                );
            }
        }
        for (message, tasks) in self.messages.iter().filter(|(_, tasks)| tasks.len() > 1) {
            report.add(
                Rule::OnceAtMost,
                format!("message {message} took effect in {tasks:?}"),
            );
        }
    }

    pub(super) fn event(&self, task: &str, generation: u64) -> Option<&'a Event> {
        let at = usize::try_from(generation.checked_sub(1)?).ok()?;
        self.events.get(task)?.get(at).copied()
    }

    /// The state of a task after event number `generation`.
    pub(super) fn state_at(&self, task: &str, generation: u64) -> Option<i32> {
        let events = self.events.get(task)?;
        let until = events.get(..usize::try_from(generation).ok()?)?;
        until.iter().rev().find_map(|event| event.state)
    }

    fn was_in(&self, task: &str, state: i32) -> bool {
        self.events
            .get(task)
            .is_some_and(|events| events.iter().any(|event| event.state == Some(state)))
    }
}

fn state_of(state: i32) -> TaskState {
    TaskState::try_from(state).unwrap_or_default()
}

fn is_terminal(state: i32) -> bool {
    a2ad::task::is_terminal(state_of(state))
}

fn is_running(state: i32) -> bool {
    matches!(state_of(state), TaskState::Submitted | TaskState::Working)
}

/// The calls by their numbers, and the tasks that messages were said to belong to.
pub(super) struct Calls<'a> {
    pub(super) calls: HashMap<u64, &'a Call>,
    /// Message, task, state; in the order of the answers.
    answers: Vec<(u64, &'a str, i32)>,
    refusals: Vec<(u64, &'a str)>,
    /// The task that a message belongs to, as its first answer or frame said.
    tasks: HashMap<&'a str, &'a str>,
}

impl<'a> Calls<'a> {
    fn new(history: &'a [Record], report: &mut Report) -> Self {
        let mut calls = Self {
            calls: HashMap::new(),
            answers: Vec::new(),
            refusals: Vec::new(),
            tasks: HashMap::new(),
        };
        for record in history {
            match &record.what {
                What::Invoke { op, call } => {
                    calls.calls.insert(*op, call);
                }
                What::Ok { op, task, state } => {
                    calls.answers.push((*op, task, *state));
                    calls.told(*op, task, report);
                }
                What::Frame(frame) => calls.told(frame.op, &frame.task, report),
                What::Fail { op, reason } => calls.refusals.push((*op, reason)),
                What::Unknown { .. } => report.unknown_calls += 1,
                What::Ended { .. } | What::Aged { .. } => {}
            }
        }
        report.acknowledged_messages = calls.tasks.len();
        calls
    }

    /// All answers to one message name one task.
    fn told(&mut self, op: u64, task: &'a str, report: &mut Report) {
        let Some(Call::Send { message, .. }) = self.calls.get(&op) else {
            return;
        };
        let first = *self.tasks.entry(message).or_insert(task);
        if first != task {
            report.add(
                Rule::OnceAtMost,
                format!("message {message} is {first} and {task}"),
            );
        }
    }

    fn check(&self, stored: &Stored<'_>, report: &mut Report) {
        let kept = |task: &str| !stored.pruned.contains(task);
        for (message, task) in self.tasks.iter().filter(|(_, task)| kept(task)) {
            let found = stored
                .messages
                .get(message)
                .map(Vec::as_slice)
                .unwrap_or_default();
            if !found.contains(task) {
                let text = format!("message {message} was acknowledged as {task}, found in {found:?}");
                report.add(Rule::AcknowledgedIsStored, text);
            }
        }
        for (_, task, state) in self.answers.iter().filter(|(_, task, _)| kept(task)) {
            if !stored.was_in(task, *state) {
                let text = format!("{task} was told to be in state {state}, which its log doesn't know");
                report.add(Rule::AcknowledgedIsStored, text);
            }
            let now = stored.rows.get(task).map(|row| row.state);
            if is_terminal(*state) && now != Some(*state) {
                let text = format!("{task} was told to have ended as {state} and is {now:?}");
                report.add(Rule::OneTerminalState, text);
            }
        }
        for (op, reason) in &self.refusals {
            self.check_refusal(*op, reason, stored, report);
        }
    }

    /// The fleet asks for nothing that a server should refuse, but for what comes too late.
    fn check_refusal(&self, op: u64, reason: &str, stored: &Stored<'_>, report: &mut Report) {
        let state = |task: &str| stored.rows.get(task).map(|row| row.state);
        let fine = match self.calls.get(&op) {
            Some(Call::Cancel { task }) => {
                reason == "TASK_NOT_CANCELABLE"
                    && state(task)
                        .is_some_and(|state| is_terminal(state) && state_of(state) != TaskState::Canceled)
            }
            Some(Call::Subscribe { task, cursor, .. }) => {
                reason == "UNSUPPORTED_OPERATION" && cursor.is_none() && state(task).is_some_and(is_terminal)
            }
            Some(Call::Send { .. }) | None => false,
        };
        if !fine {
            let text = format!("{:?} was refused: {reason}", self.calls.get(&op));
            report.add(Rule::RefusedIsRefused, text);
        }
    }
}
