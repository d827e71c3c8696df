//! Agents that hold their thread: others must not notice.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use a2ad::agent::{Agent, AgentOptions, CancelOutcome, run_blocking};
use a2ad::execution::{ExecutionSettings, Wait};
use a2ad::pb::TaskState;

use crate::support::engine::*;

/// Holds threads until it is opened.
#[derive(Clone, Default)]
struct Dam(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    waiting: usize,
    allowed: usize,
}

impl Dam {
    fn wait(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.waiting += 1;
        while state.allowed == 0 {
            state = changed.wait(state).unwrap();
        }
        state.allowed -= 1;
        state.waiting -= 1;
    }

    fn allow(&self, threads: usize) {
        self.0.0.lock().unwrap().allowed += threads;
        self.0.1.notify_all();
    }

    fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().waiting
    }
}

/// Blocks its thread until the dam opens.
fn blocking(dam: &Dam, executions_max: usize) -> Arc<Agent> {
    let dam = dam.clone();
    let options = AgentOptions {
        executions_max,
        executions_per_owner_max: Some(executions_max),
        ..AgentOptions::default()
    };
    Scripted::new(move |_, updater| {
        let dam = dam.clone();
        async move {
            updater.working().await?;
            dam.wait();
            updater.complete().await?;
            Ok(())
        }
    })
    .blocking()
    .with(options)
}

/// More of them than there are threads for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_say_that_they_block_hold_up_nobody() {
    let (bed, dam) = (Bed::new(), Dam::default());
    let agent = blocking(&dam, 8);
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(bed.accepted(&agent).await.id);
    }
    eventually(async || dam.waiting() == 8).await;
    for _ in 0..100 {
        let done = task(bed.start(&echo(), "go", Wait::Settled).await);
        assert_eq!(state(&done), TaskState::Completed);
    }
    dam.allow(8);
    for id in &ids {
        bed.reaches(id, TaskState::Completed).await;
        bed.log(id).await;
    }
    bed.quiet().await;
}

/// A cancel is answered at once; the thread counts as long as it is held, so that cancels don't multiply threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_counts_until_it_is_free() {
    let (bed, dam) = (Bed::new(), Dam::default());
    let agent = blocking(&dam, 1);
    let id = bed.accepted(&agent).await.id;
    eventually(async || dam.waiting() == 1).await;
    assert_eq!(state(&task(bed.cancel(&agent, &id).await)), TaskState::Canceled);
    let next = bed.accepted(&agent).await;
    assert_eq!(state(&next), TaskState::Submitted, "it waits for the thread");
    assert_eq!(bed.stored(&next.id).await.attempt, 0);
    dam.allow(2);
    bed.reaches(&next.id, TaskState::Completed).await;
    assert_eq!(bed.state(&id).await, TaskState::Canceled);
    bed.quiet().await;
}

#[tokio::test]
async fn a_panic_on_a_thread_of_its_own_fails_the_task() {
    let bed = Bed::new();
    let agent = Scripted::new(|_, _| async { panic!("on purpose") })
        .blocking()
        .agent();
    let failed = task(bed.start(&agent, "go", Wait::Settled).await);
    assert_eq!(state(&failed), TaskState::Failed);
    bed.quiet().await;
}

/// A cancel is answered in time, whatever thread the agent thinks about it on.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_agent_that_blocks_in_its_cancel_holds_up_nobody() {
    let settings = ExecutionSettings {
        cancel_timeout: Duration::from_millis(500),
        ..ExecutionSettings::default()
    };
    let (bed, dam, gate) = (Bed::with(settings), Dam::default(), Gate::closed());
    let hold = dam.clone();
    let agent = Scripted::new(completing_behind(&gate))
        .on_cancel(move || {
            hold.wait();
            async { CancelOutcome::Refused("too late".to_owned()) }
        })
        .blocking()
        .with(AgentOptions {
            executions_max: 2,
            ..AgentOptions::default()
        });
    // More than there may be threads: who gets none is taken for silent, like the others. On a busy machine some may not
    // even begin in time.
    for _ in 0..4 {
        let id = bed.accepted(&agent).await.id;
        assert_eq!(state(&task(bed.cancel(&agent, &id).await)), TaskState::Canceled);
        assert!(dam.waiting() <= 2, "{} threads", dam.waiting());
    }
    // Also one that begins only now.
    dam.allow(4);
    eventually(async || dam.waiting() == 0).await;
    bed.quiet().await;
}

/// A fault once: agents blocked on threads that the runtime needs for names and files, and there are only so many.
#[test]
fn a_full_house_of_blocking_agents_leaves_room_for_others() {
    const HOUSE: usize = 24;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (bed, dam) = (Bed::new(), Dam::default());
        let (agent, calling) = (blocking(&dam, HOUSE), calling(&dam));
        let mut ids = Vec::new();
        for agent in [&agent, &calling] {
            for _ in 0..HOUSE {
                ids.push(bed.accepted(agent).await.id);
            }
        }
        eventually(async || dam.waiting() == 2 * HOUSE).await;
        let found = patiently(tokio::net::lookup_host("localhost:1")).await;
        assert!(found.unwrap().next().is_some());
        let quick = Scripted::new(|_, updater| async move { Ok(updater.complete().await?) });
        let other = bed.start(&quick.blocking().agent(), "go", Wait::Settled).await;
        assert_eq!(state(&task(other)), TaskState::Completed);
        dam.allow(2 * HOUSE);
        for id in &ids {
            bed.reaches(id, TaskState::Completed).await;
        }
        bed.quiet().await;
    });
}

/// Blocks in one place only.
fn calling(dam: &Dam) -> Arc<Agent> {
    let dam = dam.clone();
    Scripted::new(move |_, updater| {
        let dam = dam.clone();
        async move {
            updater.working().await?;
            run_blocking(move || dam.wait()).await?;
            updater.complete().await?;
            Ok(())
        }
    })
    .agent()
}

/// An agent that blocks and does not say so is found out, and gets threads of its own from then on.
#[tokio::test]
async fn an_agent_that_holds_its_thread_gets_one_of_its_own() {
    let settings = ExecutionSettings {
        poll_max: Duration::from_millis(1),
        ..ExecutionSettings::default()
    };
    let bed = Bed::with(settings);
    let threads: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
    let note = threads.clone();
    let agent = Scripted::new(move |_, updater| {
        let note = note.clone();
        async move {
            note.lock().unwrap().push(std::thread::current().id());
            std::thread::sleep(Duration::from_millis(20));
            updater.complete().await?;
            Ok(())
        }
    })
    .agent();
    for _ in 0..4 {
        let done = task(bed.start(&agent, "go", Wait::Settled).await);
        assert_eq!(state(&done), TaskState::Completed);
    }
    bed.quiet().await;
    let threads = threads.lock().unwrap();
    // Once may be a pause of the whole process.
    assert_eq!(threads[..3], [std::thread::current().id(); 3]);
    assert_ne!(threads[3], threads[0]);
}

/// Until then it holds one thread of several, and the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_held_thread_of_several_holds_up_nobody() {
    let (bed, dam) = (Bed::new(), Dam::default());
    let hold = dam.clone();
    let silent = Scripted::new(move |_, updater| {
        let dam = hold.clone();
        async move {
            // Behind a wait, so that it is the runtime's thread and not the caller's.
            tokio::task::yield_now().await;
            dam.wait();
            updater.complete().await?;
            Ok(())
        }
    })
    .agent();
    let id = bed.accepted(&silent).await.id;
    eventually(async || dam.waiting() == 1).await;
    let gate = Gate::closed();
    let agent = gated(&gate);
    for _ in 0..100 {
        let other = bed.accepted(&agent).await.id;
        gate.open();
        bed.reaches(&other, TaskState::Completed).await;
    }
    dam.allow(1);
    bed.reaches(&id, TaskState::Completed).await;
    bed.quiet().await;
}
