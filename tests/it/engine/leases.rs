//! Several processes on one database: who holds a task, and who takes it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use a2ad::agent::{Agent, AgentOptions};
use a2ad::error::Kind;
use a2ad::execution::{Swept, Wait};
use a2ad::pb::TaskState;
use a2ad::repository::TaskRepository as _;
use futures_util::future::join_all;

use crate::support::engine::*;
use crate::support::faulty::Method;
use crate::support::observed::Fault;

/// Works for ever in its first attempt, and says in the next one which it is.
fn second_time_lucky(alive: &Arc<AtomicUsize>) -> Arc<Agent> {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let alive = alive.clone();
    Scripted::new(move |request, updater| {
        alive.fetch_add(1, Ordering::AcqRel);
        let alive = Alive(alive.clone());
        async move {
            let _alive = alive;
            updater.working().await?;
            if request.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            updater
                .complete_with(&format!("attempt {}", request.attempt()))
                .await?;
            Ok(())
        }
    })
    .restarting()
    .agent()
}

fn taken_up(taken_up: usize) -> Swept {
    Swept {
        taken_up,
        ..Swept::default()
    }
}

async fn words(bed: &Bed, id: &str) -> String {
    let status = bed.stored(id).await.task.status;
    let message = status
        .and_then(|status| status.message)
        .expect("the status has words");
    said(&[message]).remove(0)
}

#[tokio::test]
pub async fn a_task_is_taken_up_when_its_process_died_and_not_before() {
    let (one, alive) = (Bed::timed(), Arc::default());
    let agent = second_time_lucky(&alive);
    let two = one.beside();
    let ids = join_all((0..10).map(|_| async { one.accepted(&agent).await.id })).await;
    for id in &ids {
        one.reaches(id, TaskState::Working).await;
    }
    assert_eq!(two.sweep(&agent).await, taken_up(0));
    for _ in 0..3 {
        one.passes(ALMOST_A_LEASE_MS).await;
        one.engine.renew_leases().await;
        assert_eq!(two.sweep(&agent).await, taken_up(0), "the process lives");
    }
    one.dies().await;
    assert_eq!(alive.load(Ordering::Acquire), 0);
    one.passes(ALMOST_A_LEASE_MS).await;
    assert_eq!(two.sweep(&agent).await, taken_up(0), "it might come back");
    one.passes(LEASE_MS - ALMOST_A_LEASE_MS).await;
    assert_eq!(two.sweep(&agent).await, taken_up(10));
    for id in &ids {
        two.reaches(id, TaskState::Completed).await;
        assert_eq!(words(&two, id).await, "attempt 2");
        two.log(id).await;
    }
    two.quiet().await;
    assert_eq!(two.sweep(&agent).await, taken_up(0));
}

/// A process that was paused, or cut off, finds its lease gone: its execution is dropped, and nothing of it is written.
#[tokio::test]
pub async fn a_holder_that_comes_back_too_late_gives_up() {
    let (one, alive) = (Bed::timed(), Arc::default());
    let agent = second_time_lucky(&alive);
    let two = one.beside();
    let id = one.accepted(&agent).await.id;
    one.reaches(&id, TaskState::Working).await;
    let waiting = one.settled(&agent, &id);
    let later = async {
        eventually(async || one.engine.running() == 1).await;
        one.passes(LEASE_MS).await;
        assert_eq!(two.sweep(&agent).await, taken_up(1));
        two.reaches(&id, TaskState::Completed).await;
        two.quiet().await;
        assert_eq!(
            alive.load(Ordering::Acquire),
            1,
            "the first one knows of nothing yet"
        );
        one.engine.renew_leases().await;
    };
    let (told, ()) = tokio::join!(waiting, later);
    assert_eq!(
        told.unwrap_err().kind,
        Kind::Unavailable,
        "whoever waited has to ask again"
    );
    one.quiet().await;
    assert_eq!(alive.load(Ordering::Acquire), 0);
    assert_eq!(words(&one, &id).await, "attempt 2");
    assert_eq!(state(&task(one.settled(&agent, &id).await)), TaskState::Completed);
}

/// Of many processes that look at the same time, one takes a task up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn many_that_look_at_once_take_each_task_once() {
    let (one, alive) = (Bed::timed(), Arc::default());
    let agent = second_time_lucky(&alive);
    for _ in 0..20 {
        one.accepted(&agent).await;
    }
    one.dies().await;
    one.passes(LEASE_MS).await;
    let others: Vec<Bed> = (0..4).map(|_| one.beside()).collect();
    let swept = join_all(others.iter().map(|other| other.sweep(&agent))).await;
    assert_eq!(
        swept.iter().map(|swept| swept.taken_up).sum::<usize>(),
        20,
        "{swept:?}"
    );
    for other in &others {
        other.quiet().await;
    }
    assert_eq!(one.sweep(&agent).await, taken_up(0));
}

#[tokio::test]
pub async fn what_is_handed_back_is_taken_up_at_once() {
    let (one, alive) = (Bed::timed(), Arc::default());
    let agent = second_time_lucky(&alive);
    let two = one.beside();
    let id = one.accepted(&agent).await.id;
    one.engine.hand_back_leases().await;
    assert_eq!(two.sweep(&agent).await, taken_up(1));
    two.reaches(&id, TaskState::Completed).await;
    two.quiet().await;
    one.dies().await;
}

/// An agent that takes its process along each time is not run for ever.
#[tokio::test]
pub async fn a_poison_task_fails_after_so_many_attempts() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let options = AgentOptions {
        attempts_max: 3,
        ..AgentOptions::default()
    };
    let agent = Scripted::new(move |_, _| {
        count.fetch_add(1, Ordering::AcqRel);
        std::future::pending()
    })
    .restarting()
    .with(options);
    let mut bed = Bed::timed();
    let id = bed.accepted(&agent).await.id;
    for runs_so_far in 1..=3 {
        eventually(async || runs.load(Ordering::Acquire) == runs_so_far).await;
        bed.dies().await;
        bed.passes(LEASE_MS).await;
        bed = bed.beside();
        assert_eq!(bed.sweep(&agent).await, taken_up(1));
    }
    bed.reaches(&id, TaskState::Failed).await;
    let why = words(&bed, &id).await;
    assert!(
        why.contains("3 attempts") && why.contains("attempts_max"),
        "{why}"
    );
    bed.quiet().await;
    assert_eq!(runs.load(Ordering::Acquire), 3);
    bed.log(&id).await;
}

/// A new message is a new beginning: attempts at the one before do not count.
#[tokio::test]
pub async fn attempts_are_counted_per_message() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = seen.clone();
    let agent = Scripted::new(move |request, updater| {
        notes.lock().unwrap().push(request.attempt());
        async move {
            if request.attempt() == 1 && !request.follow_up {
                std::future::pending::<()>().await;
            }
            updater.ask_for_input("more?").await?;
            Ok(())
        }
    })
    .restarting()
    .agent();
    let one = Bed::timed();
    let id = one.accepted(&agent).await.id;
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    two.sweep(&agent).await;
    two.reaches(&id, TaskState::InputRequired).await;
    two.send(&agent, &id, "more", Wait::Settled).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1, 2, 1]);
    two.quiet().await;
}

/// A task that never had its turn runs when it is taken up, also when its agent can't restart.
#[tokio::test]
pub async fn tasks_that_waited_for_their_turn_are_taken_up() {
    let (one, gate) = (Bed::timed(), Gate::closed());
    let options = AgentOptions {
        executions_max: 1,
        ..AgentOptions::default()
    };
    let agent = Scripted::new(completing_behind(&gate)).with(options);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(one.accepted(&agent).await.id);
    }
    one.reaches(&ids[0], TaskState::Working).await;
    one.passes(ALMOST_A_LEASE_MS).await;
    one.engine.renew_leases().await;
    let two = one.beside();
    assert_eq!(two.sweep(&agent).await, taken_up(0), "waiting tasks are held too");
    one.dies().await;
    one.passes(LEASE_MS).await;
    assert_eq!(two.sweep(&agent).await, taken_up(4));
    two.reaches(&ids[0], TaskState::Failed).await;
    for _ in &ids[1..] {
        gate.open();
    }
    for id in &ids[1..] {
        two.reaches(id, TaskState::Completed).await;
        two.log(id).await;
    }
    two.quiet().await;
}

/// More tasks than there is room for stay where they are until the next round.
#[tokio::test]
pub async fn a_round_takes_up_what_there_is_room_for() {
    let (one, gate) = (Bed::timed(), Gate::closed());
    let agent = |executions_max| {
        let options = AgentOptions {
            executions_max,
            executions_per_owner_max: Some(executions_max),
            queue_max: 2,
            ..AgentOptions::default()
        };
        Scripted::new(completing_behind(&gate)).restarting().with(options)
    };
    let many = agent(9);
    for _ in 0..9 {
        one.accepted(&many).await;
    }
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    let few = agent(1);
    let mut taken = 0;
    for _ in 0..9 {
        let swept = two.sweep(&few).await;
        assert!(swept.taken_up <= 3, "{swept:?}");
        taken += swept.taken_up;
        assert_eq!(swept.left, 9 - taken);
        for _ in 0..swept.taken_up {
            gate.open();
        }
        two.quiet().await;
    }
    assert_eq!(taken, 9);
}

/// A fault of our own: the writer of a task panics. Its place is free again, and the task is taken up like any other.
#[tokio::test]
pub async fn a_writer_that_panics_leaves_nothing_behind() {
    let (bed, alive) = (Bed::timed(), Arc::default());
    let agent = second_time_lucky(&alive);
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    bed.repository.fail([Fault::Panic]);
    let error = bed.send(&agent, &id, "more", Wait::Accepted).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    bed.quiet().await;
    patiently(bed.engine.idle()).await;
    assert_eq!(alive.load(Ordering::Acquire), 0);
    assert_eq!(bed.sweep(&agent).await, taken_up(0));
    bed.passes(LEASE_MS).await;
    assert_eq!(bed.sweep(&agent).await, taken_up(1));
    bed.reaches(&id, TaskState::Completed).await;
    bed.quiet().await;
}

/// A task that is done within its request is never held.
#[tokio::test]
pub async fn a_quick_task_has_no_lease() {
    let bed = Bed::timed();
    bed.start(&echo(), "go", Wait::Settled).await.unwrap();
    assert_eq!(bed.repository.commits(), 1);
    bed.passes(10 * LEASE_MS).await;
    assert_eq!(bed.repository.lapsed(None, 9).await, Ok(Vec::new()));
}

/// A bug once: the heartbeat's news that an earlier lease of the task is over ended the execution that held the next one.
#[tokio::test(start_paused = true)]
pub async fn a_late_heartbeat_does_not_end_the_next_execution() {
    let (bed, gate) = (Bed::timed(), Gate::closed());
    let pass = gate.clone();
    let agent = Scripted::new(move |request, updater| {
        let gate = pass.clone();
        async move {
            updater.working().await?;
            gate.pass().await;
            match &*request.text() {
                "go" => updater.ask_for_input("which one?").await?,
                _ => updater.complete().await?,
            }
            Ok(())
        }
    })
    .agent();
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    let minute = Duration::from_secs(60);
    bed.repository.fail_in(Method::Renew, [Fault::Delay(minute)]);
    let beat = bed.engine.renew_leases();
    let next = async {
        // The heartbeat is on its way.
        tokio::task::yield_now().await;
        gate.open();
        bed.reaches(&id, TaskState::InputRequired).await;
        bed.quiet().await;
        bed.send(&agent, &id, "this one", Wait::Accepted).await.unwrap();
        bed.reaches(&id, TaskState::Working).await;
    };
    tokio::join!(biased; beat, next);
    gate.open();
    bed.reaches(&id, TaskState::Completed).await;
    bed.log(&id).await;
    bed.quiet().await;
}

/// A bug once: a process took its own task from itself when the answer to the commit that began it took longer than the
/// lease.
#[tokio::test(start_paused = true)]
pub async fn nobody_takes_a_task_from_himself() {
    let (bed, gate) = (Bed::timed(), Gate::closed());
    let agent = gated(&gate);
    bed.repository.fail([Fault::Late(Duration::from_millis(1))]);
    let lost = bed.start(&agent, "go", Wait::Accepted).await.unwrap_err();
    assert_eq!(lost.kind, Kind::Unavailable);
    // It is stored by now, and only its writer does not know.
    tokio::time::sleep(Duration::from_millis(2)).await;
    bed.passes(LEASE_MS).await;
    assert_eq!(bed.repository.lapsed(None, 9).await.unwrap().len(), 1);
    assert_eq!(
        bed.sweep(&agent).await,
        Swept {
            left: 1,
            ..Swept::default()
        }
    );
    gate.open();
    bed.quiet().await;
    assert_eq!(bed.repository.lapsed(None, 9).await, Ok(Vec::new()));
}
