//! What becomes of tasks whose process died.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use a2ad::agent::{Agent, AgentOptions};
use a2ad::execution::{ExecutionSettings, Wait};
use a2ad::pb::TaskState;
use a2ad::repository::TaskRepository as _;

use crate::support::engine::*;

/// Starts a task on an engine that dies while the agent works; what is left, and the bed of the next process.
async fn crash(agent: &Arc<Agent>, tasks: usize) -> Bed {
    let bed = Bed::with(dying());
    for _ in 0..tasks {
        bed.accepted(agent).await;
    }
    bed.shutdown.abort();
    eventually(async || bed.shutdown.running() == 0).await;
    bed.beside()
}

/// Settings under which a lease is over as soon as it begins.
fn dying() -> ExecutionSettings {
    ExecutionSettings {
        lease: Duration::ZERO,
        ..ExecutionSettings::default()
    }
}

async fn recover(bed: &Bed, agent: &Arc<Agent>) -> Vec<String> {
    let left = bed.repository.lapsed(None, 100).await.unwrap();
    let mut ids = Vec::new();
    for task in left {
        let taken = patiently(bed.engine.recover(agent, &task, &call())).await;
        assert_eq!(taken, Ok(true));
        ids.push(task.task_id);
    }
    ids
}

/// Never ends in its first execution.
fn stuck_at_first(runs: &Arc<AtomicUsize>) -> Scripted {
    let runs = runs.clone();
    Scripted::new(move |request, updater| {
        let first = runs.fetch_add(1, Ordering::AcqRel) == 0;
        async move {
            updater.working().await?;
            if first {
                std::future::pending::<()>().await;
            }
            updater.complete_with(&request.text()).await?;
            Ok(())
        }
    })
}

#[tokio::test]
pub async fn an_agent_that_can_restart_runs_again_with_the_same_message() {
    let runs = Arc::new(AtomicUsize::new(0));
    let agent = stuck_at_first(&runs).restarting().agent();
    let bed = crash(&agent, 1).await;
    let ids = recover(&bed, &agent).await;
    let [id] = &ids[..] else { panic!("{ids:?}") };
    bed.reaches(id, TaskState::Completed).await;
    let done = bed.stored(id).await;
    assert_eq!(
        said(&[done.task.status.and_then(|status| status.message).expect("words")]),
        ["go"]
    );
    assert_eq!(runs.load(Ordering::Acquire), 2);
    assert_eq!(done.epoch, 2, "the dead writer is fenced off");
    bed.quiet().await;
    bed.log(id).await;
    assert_eq!(bed.repository.lapsed(None, 9).await, Ok(Vec::new()));
}

#[tokio::test]
pub async fn the_task_of_any_other_agent_fails_and_says_why() {
    let runs = Arc::new(AtomicUsize::new(0));
    let agent = stuck_at_first(&runs).agent();
    let bed = crash(&agent, 1).await;
    let ids = recover(&bed, &agent).await;
    let failed = bed.stored(&ids[0]).await.task;
    assert_eq!(state(&failed), TaskState::Failed);
    let reason = said(&[failed.status.and_then(|status| status.message).expect("a reason")]);
    assert!(reason[0].contains("the server stopped"), "{reason:?}");
    assert_eq!(runs.load(Ordering::Acquire), 1);
    bed.quiet().await;
    bed.log(&ids[0]).await;
}

/// A bug once: with more tasks left than the agent may run at once, the rest failed.
#[tokio::test]
pub async fn restarts_wait_for_a_free_execution() {
    let gate = Gate::closed();
    let many = Scripted::new(completing_behind(&gate)).restarting().agent();
    let bed = crash(&many, 5).await;
    let one = AgentOptions {
        executions_max: 1,
        ..AgentOptions::default()
    };
    let agent = Scripted::new(completing_behind(&gate)).restarting().with(one);
    for _ in 0..5 {
        gate.open();
    }
    let ids = recover(&bed, &agent).await;
    assert_eq!(ids.len(), 5);
    for id in &ids {
        bed.reaches(id, TaskState::Completed).await;
    }
    bed.quiet().await;
}

#[tokio::test]
pub async fn recovering_what_runs_or_has_settled_changes_nothing() {
    let (bed, gate) = (Bed::with(dying()), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).restarting().agent();
    let id = bed.accepted(&agent).await.id;
    let left = bed.repository.lapsed(None, 9).await.unwrap();
    let before = bed.log(&id).await.len();
    let taken = patiently(bed.engine.recover(&agent, &left[0], &call())).await;
    assert_eq!(
        taken,
        Ok(false),
        "what runs here is not taken over, however late its lease"
    );
    assert!(
        bed.log(&id).await.len() <= before + 1,
        "at most the update that was on its way"
    );
    gate.open();
    bed.settled(&agent, &id).await.unwrap();
    bed.quiet().await;
    let log = bed.log(&id).await;
    let taken = patiently(bed.engine.recover(&agent, &left[0], &call())).await;
    assert_eq!(taken, Ok(false));
    assert_eq!(bed.log(&id).await, log);
    bed.quiet().await;
    // All slots are back.
    gate.open();
    bed.start(&agent, "again", Wait::Settled).await.unwrap();
}

/// A paused process that comes back writes nothing more: the database refuses its epoch.
#[tokio::test]
pub async fn a_writer_that_was_taken_over_gives_up() {
    let gate = Gate::closed();
    let agent = Scripted::new(completing_behind(&gate)).agent();
    let old = Bed::with(dying());
    let id = old.accepted(&agent).await.id;
    old.reaches(&id, TaskState::Working).await;
    let new = Bed::over(old.repository.clone(), ExecutionSettings::default());
    recover(&new, &agent).await;
    assert_eq!(new.state(&id).await, TaskState::Failed);
    let waiting = old.settled(&agent, &id);
    gate.open();
    // The old writer learns it from the database; whoever waited is told to look again, or sees the true end.
    match waiting.await {
        Err(error) => assert_eq!(error.kind, a2ad::error::Kind::Unavailable),
        Ok(answer) => assert_eq!(state(&task(Ok(answer))), TaskState::Failed),
    }
    old.quiet().await;
    assert_eq!(new.states(&id).await.last(), Some(&TaskState::Failed));
    assert_eq!(state(&task(old.settled(&agent, &id).await)), TaskState::Failed);
}

/// A bug once: whoever waited for a task that another process worked on waited for ever.
#[tokio::test(start_paused = true)]
async fn an_end_that_another_process_writes_is_noticed() {
    let gate = Gate::closed();
    let agent = Scripted::new(completing_behind(&gate)).agent();
    let here = Bed::new();
    let id = here.accepted(&agent).await.id;
    here.reaches(&id, TaskState::Working).await;
    let there = Bed::over(here.repository.clone(), ExecutionSettings::default());
    let open = async {
        // Somebody waits elsewhere by now, and has looked more than once.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        gate.open();
    };
    let (settled, ()) = tokio::join!(there.settled(&agent, &id), open);
    assert_eq!(state(&task(settled)), TaskState::Completed);
    here.quiet().await;
    there.quiet().await;
}
