//! A page of ListTasks among many tasks of one caller, next to the same page among a thousand.

use a2ad::pb::TaskState;
use a2ad::repository::conformance::{NOW_MS, Sketch};
use a2ad::repository::{ListCursor, ListQuery, TaskWrite};
use a2ad::service::ServiceSettings;
use futures_util::StreamExt as _;

use super::store::{self, Store};
use super::task::scope;
use super::{Pair, timed};
use crate::Outcome;
use crate::options::Options;
use crate::table::{Table, note};

/// Tasks of the small database.
const FEW: usize = 1_000;
/// Tasks of one context, as many in the small database as in the large one.
const CONTEXT: usize = 100;
/// Every so many tasks one works, the others have ended.
const WORKING_EVERY: usize = 10;
/// Tasks written at once.
const CROWD: usize = 2_048;
/// Pages of either side in one round.
const PAGES: usize = 100;

pub async fn rows(options: &Options, table: &mut Table) -> Outcome {
    let small = store::all(options).await?;
    let large = store::all(options).await?;
    for (small, large) in small.iter().zip(&large) {
        fill(small, FEW).await?;
        note(format!("writing {} tasks to {}", options.tasks, large.name));
        fill(large, options.tasks).await?;
        for (what, query) in queries() {
            let mut pair = Pair::default();
            for _ in 0..options.rounds * PAGES {
                pair.small.push(page(small, &query).await?);
                pair.large.push(page(large, &query).await?);
            }
            let what = format!("ListTasks, {what}: {FEW} tasks, and {}", options.tasks);
            pair.row(table, &what, large.name, "2");
        }
        small.close().await?;
        large.close().await?;
    }
    Ok(())
}

/// One full page and the token of the next; the time that it takes.
async fn page(store: &Store, query: &ListQuery) -> Outcome<f64> {
    let list = async { Ok(store.repository.list(&scope(), query).await?) };
    let (us, page) = timed(list).await?;
    if page.tasks.len() != query.limit {
        return Err(format!("a page of {} tasks", page.tasks.len()).into());
    }
    Ok(us)
}

fn queries() -> [(&'static str, ListQuery); 5] {
    // As the service asks.
    let defaults = ServiceSettings::default();
    let all = ListQuery {
        limit: defaults.page_size_default as usize,
        bytes_max: Some(defaults.list_bytes_max),
        count_limit: defaults.list_count_max,
        ..ListQuery::default()
    };
    let deep = ListCursor {
        status_ms: NOW_MS + FEW as i64 / 2,
        task_id: String::new(),
    };
    [
        ("all", all.clone()),
        (
            "from the middle of the small one",
            ListQuery {
                cursor: Some(deep),
                ..all.clone()
            },
        ),
        (
            "one state",
            ListQuery {
                state: Some(TaskState::Working),
                ..all.clone()
            },
        ),
        (
            "one context",
            ListQuery {
                context_id: Some("context-1".to_owned()),
                ..all.clone()
            },
        ),
        (
            "after a time",
            ListQuery {
                status_after_ms: Some(NOW_MS + 100),
                ..all
            },
        ),
    ]
}

/// Tasks of a few events each, in the order of their times.
async fn fill(store: &Store, tasks: usize) -> Outcome {
    let writes = futures_util::stream::iter(0..tasks).map(|n| store.repository.commit(task(n)));
    let mut writes = writes.buffer_unordered(CROWD);
    while let Some(written) = writes.next().await {
        written?;
    }
    Ok(())
}

fn task(n: usize) -> TaskWrite {
    let context = format!("context-{}", n / CONTEXT);
    let mut sketch = Sketch::at(&scope(), &format!("t{n:08}"), &context, NOW_MS + n as i64);
    let create = sketch.create();
    let state = if n.is_multiple_of(WORKING_EVERY) {
        TaskState::Working
    } else {
        TaskState::Completed
    };
    let chunk = sketch.chunks(&["an artifact with a text of some length, as an agent would write it"]);
    let settle = sketch.go(state);
    let events = create.events.iter().chain(&chunk.events).chain(&settle.events);
    TaskWrite {
        events: events.cloned().collect(),
        expected_generation: 0,
        ..settle
    }
}
