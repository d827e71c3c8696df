//! The changes that a call made, gathered in its record: who, by which credential and for which request is said once.
//!
//! Each change is in the queue for itself, as soon as it is committed; only those that are written together with the
//! record of their call come into it. So none waits for a call that waits for its agent, and none is lost with it.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{Entry, What};
use super::record::{Kind, Outcome};

/// Takes changes of tasks into the records of the calls that they were made for.
pub(super) fn gather(entries: &mut [Entry]) {
    let of_call = |(place, entry): (usize, &Entry)| match &entry.what {
        What::Call(call, _) if call.kind == Kind::Call => Some((address(&call.request_id), place)),
        _ => None,
    };
    let calls: HashMap<usize, usize> = entries.iter().enumerate().filter_map(of_call).collect();
    if calls.is_empty() {
        return;
    }
    for place in 0..entries.len() {
        let call = entries.get(place).and_then(request).map(address);
        if let Some(call) = call.and_then(|address| calls.get(&address)) {
            take_in(entries, place, *call);
        }
    }
}

/// The very text of the request's id that the call has too: callers choose ids, and two may choose the same.
fn address(request_id: &Arc<str>) -> usize {
    request_id.as_ptr().addr()
}

/// The request whose call committed changes were made for.
fn request(entry: &Entry) -> Option<&Arc<str>> {
    match &entry.what {
        What::Changes(task, Outcome::Ok) => task.request(),
        _ => None,
    }
}

fn take_in(entries: &mut [Entry], changes: usize, call: usize) {
    let Ok([changes, call]) = entries.get_disjoint_mut([changes, call]) else {
        return;
    };
    if let (What::Changes(task, _), What::Call(call, _)) = (&changes.what, &mut call.what)
        && *task.task_id == *call.task_id
        && task.scope.agent == call.agent
    {
        if call.context_id.is_empty() {
            // A call that failed, or was left by its caller, behind a change that was committed.
            call.context_id = task.context_id.to_string();
        }
        call.changes.push((changes.at_ms, task.clone()));
        changes.what = What::Gathered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Method;
    use crate::audit::chain::{Before, Chain};
    use crate::audit::entry::{Author, Call, StateChange, TaskChanges};
    use crate::audit::record::Record;
    use crate::clock::Clock;
    use crate::context::{CallContext, Principal, Scope};
    use crate::pb::TaskState;

    fn caller(name: &str, request_id: &str) -> CallContext {
        CallContext::detached(Principal::verified(name), Arc::from(request_id))
    }

    fn call(call: &CallContext, task_id: &str) -> Entry {
        let method = Some(Method::SendMessage.as_str());
        let call = Call {
            task_id: task_id.to_owned(),
            outcome: Outcome::Ok.as_str(),
            ..Call::of(call, Kind::Call, method, Arc::from("echo"))
        };
        Entry {
            at_ms: 1_000,
            what: What::Call(Box::new(call), None),
        }
    }

    fn author(call: &CallContext) -> Author {
        Author::agent(&Arc::from("echo"), &call.request_id, &None)
    }

    /// A write in which this task is made and completed.
    fn write(at_ms: i64, authors: [Author; 2], task_id: &str, outcome: Outcome) -> Entry {
        let [first, second] = authors;
        let change = |generation, from, to, author| StateChange {
            generation,
            from,
            to,
            author,
        };
        let task = TaskChanges {
            scope: Scope {
                agent: Arc::from("echo"),
                owner: Principal::verified("ada"),
            },
            task_id: Arc::from(task_id),
            context_id: Arc::from("context"),
            changes: vec![
                change(1, None, TaskState::Submitted, first),
                change(2, Some(TaskState::Submitted), TaskState::Completed, second),
            ],
        };
        Entry {
            at_ms,
            what: What::Changes(Arc::new(task), outcome),
        }
    }

    fn written(mut entries: Vec<Entry>) -> Vec<Record<'static>> {
        gather(&mut entries);
        let mut chain = Chain::begin(&Clock::manual(0), &Before::default());
        chain.close();
        for entry in entries {
            entry.add_to(&mut chain);
        }
        let lines = chain.close().unwrap().text;
        let lines = lines.split('\n').map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_a_call_changed_stands_in_its_record() {
        let (ada, bob) = (caller("ada", "one"), caller("bob", "two"));
        let both = [Author::caller(&ada), author(&ada)];
        let records = written(vec![
            write(999, both, "a", Outcome::Ok),
            call(&bob, "b"),
            call(&ada, "a"),
            // Whoever commits may be the last to say so.
            write(1_000, [author(&bob), author(&bob)], "b", Outcome::Ok),
        ]);
        let told: Vec<_> = records
            .iter()
            .map(|record| {
                let changes = record.changes.iter();
                let changes = changes.map(|change| {
                    (
                        change.generation,
                        change.by.as_deref(),
                        change.at.as_deref(),
                        change.from.is_some(),
                    )
                });
                (record.principal.as_deref(), changes.collect::<Vec<_>>())
            })
            .collect();
        let (agent, before) = (Some("agent:echo"), Some("1970-01-01T00:00:00.999Z"));
        assert_eq!(
            told,
            [
                (Some("bob"), vec![(1, agent, None, false), (2, agent, None, true)]),
                (
                    Some("ada"),
                    vec![(1, None, before, false), (2, agent, before, true)]
                ),
            ]
        );
        // Neither call has named a context, as one that was left by its caller; its task has one.
        assert!(
            records
                .iter()
                .all(|record| record.context_id.as_deref() == Some("context"))
        );
        assert_eq!(records[0].changes[1].to, "TASK_STATE_COMPLETED");
        assert_eq!(
            records[0].changes[1].from.as_deref(),
            Some("TASK_STATE_SUBMITTED")
        );
    }

    /// Callers choose the ids of their requests: what another one did under the same id is not theirs.
    #[test]
    fn what_is_of_another_request_or_not_known_stands_for_itself() {
        let (ada, eve) = (caller("ada", "one"), caller("eve", "one"));
        let by = |call: &CallContext| [Author::caller(call), author(call)];
        for other in [
            write(1_000, by(&eve), "a", Outcome::Ok),
            write(1_000, by(&ada), "another", Outcome::Ok),
            write(1_000, by(&ada), "a", Outcome::Unknown),
            write(1_000, [Author::caller(&ada), Author::Runtime], "a", Outcome::Ok),
            write(1_000, [Author::caller(&ada), author(&eve)], "a", Outcome::Ok),
        ] {
            let records = written(vec![other, call(&ada, "a")]);
            let kinds: Vec<_> = records.iter().map(|record| record.kind).collect();
            assert_eq!(kinds, [Kind::State, Kind::State, Kind::Call]);
            assert!(records[2].changes.is_empty());
        }
    }
}
