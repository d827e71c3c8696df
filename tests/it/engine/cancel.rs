//! Cancel: exactly one end, and everybody sees the same one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::agent::CancelOutcome;
use a2ad::error::Kind;
use a2ad::execution::Wait;
use a2ad::pb::TaskState;

use crate::support::engine::*;

fn never() -> Scripted {
    Scripted::new(|_, updater| async move {
        updater.working().await?;
        std::future::pending().await
    })
}

fn asking() -> Scripted {
    Scripted::new(|_, updater| async move {
        updater.ask_for_input("which one?").await?;
        Ok(())
    })
}

#[tokio::test]
pub async fn a_running_task_is_canceled_and_its_execution_dropped() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
    let (bed, dropped) = (Bed::new(), Arc::new(AtomicUsize::new(0)));
    let count = dropped.clone();
    let agent = Scripted::new(move |_, _| {
        let held = Dropped(count.clone());
        async move {
            let _held = held;
            std::future::pending().await
        }
    })
    .agent();
    let id = bed.accepted(&agent).await.id;
    let canceled = task(bed.cancel(&agent, &id).await);
    assert_eq!(state(&canceled), TaskState::Canceled);
    assert_eq!(bed.stored(&id).await.task, canceled);
    bed.quiet().await;
    assert_eq!(dropped.load(Ordering::Acquire), 1);
    // Repeating it is fine, running writer or not.
    assert_eq!(task(bed.cancel(&agent, &id).await), canceled);
    assert_eq!(bed.states(&id).await.last(), Some(&TaskState::Canceled));
    bed.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn of_a_cancel_and_a_completion_one_wins() {
    let mut ends = [0, 0];
    for round in 0..220 {
        // The last ones on a database that takes its time.
        let bed = if round < 200 {
            Bed::new()
        } else {
            Bed::sqlite().await
        };
        let gate = Gate::closed();
        let agent = gated(&gate);
        let id = bed.accepted(&agent).await.id;
        let open = async {
            for _ in 0..round % 7 {
                tokio::task::yield_now().await;
            }
            gate.open();
        };
        let cancel = async {
            for _ in 0..round % 5 {
                tokio::task::yield_now().await;
            }
            tokio::join!(bed.cancel(&agent, &id), bed.cancel(&agent, &id))
        };
        let ((), (one, two), settled) = tokio::join!(open, cancel, bed.settled(&agent, &id));
        let end = bed.state(&id).await;
        for canceled in [one, two] {
            match (end, canceled) {
                (TaskState::Canceled, canceled) => assert_eq!(state(&task(canceled)), end),
                (TaskState::Completed, Err(error)) => assert_eq!(error.kind, Kind::TaskNotCancelable),
                both => panic!("{both:?}"),
            }
        }
        assert_eq!(state(&task(settled)), end);
        let states = bed.states(&id).await;
        assert_eq!(states.last(), Some(&end));
        ends[usize::from(end == TaskState::Canceled)] += 1;
        bed.quiet().await;
    }
    assert!(ends[1] > 0, "{ends:?}");
}

#[tokio::test]
pub async fn a_task_that_waits_is_canceled() {
    let bed = Bed::new();
    let agent = asking().agent();
    let asked = task(bed.start(&agent, "go", Wait::Settled).await);
    assert_eq!(state(&asked), TaskState::InputRequired);
    bed.quiet().await;
    let canceled = task(bed.cancel(&agent, &asked.id).await);
    assert_eq!(state(&canceled), TaskState::Canceled);
    // The question has moved into the history.
    assert_eq!(said(&canceled.history), ["go", "which one?"]);
    bed.log(&asked.id).await;
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_task_that_ended_otherwise_is_not_cancelable() {
    let bed = Bed::new();
    let done = task(bed.start(&echo(), "go", Wait::Settled).await);
    let error = bed.cancel(&echo(), &done.id).await.unwrap_err();
    assert_eq!(error.kind, Kind::TaskNotCancelable);
    assert_eq!(bed.log(&done.id).await.len(), 3);
    let error = bed.cancel(&echo(), "unknown").await.unwrap_err();
    assert_eq!(error.kind, Kind::TaskNotFound);
    bed.quiet().await;
}

#[tokio::test]
pub async fn an_agent_may_refuse_and_its_task_goes_on() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let refuse = || async { CancelOutcome::Refused("the rocket has left".to_owned()) };
    let agent = Scripted::new(completing_behind(&gate)).on_cancel(refuse).agent();
    let id = bed.accepted(&agent).await.id;
    for _ in 0..2 {
        let error = bed.cancel(&agent, &id).await.unwrap_err();
        assert_eq!(error.kind, Kind::TaskNotCancelable);
        assert!(error.message.contains("the rocket has left"));
    }
    gate.open();
    assert_eq!(state(&task(bed.settled(&agent, &id).await)), TaskState::Completed);
    bed.quiet().await;
}

#[tokio::test]
pub async fn parting_words_stand_in_the_last_status() {
    let bed = Bed::new();
    let words = a2ad::repository::conformance::message("farewell");
    let agent = never()
        .on_cancel(move || std::future::ready(CancelOutcome::Canceled(Some(words.clone()))))
        .agent();
    let id = bed.accepted(&agent).await.id;
    let canceled = task(bed.cancel(&agent, &id).await);
    assert_eq!(
        said(&[canceled.status.and_then(|status| status.message).expect("words")]),
        ["farewell"]
    );
}

#[tokio::test(start_paused = true)]
async fn silence_counts_as_consent() {
    let bed = Bed::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let agent = never().on_cancel(move || {
        count.fetch_add(1, Ordering::AcqRel);
        std::future::pending()
    });
    let agent = agent.agent();
    let id = bed.accepted(&agent).await.id;
    let before = tokio::time::Instant::now();
    let (one, two) = tokio::join!(bed.cancel(&agent, &id), bed.cancel(&agent, &id));
    assert_eq!(
        before.elapsed().as_secs(),
        10,
        "the time that an agent has to answer"
    );
    assert_eq!(
        (state(&task(one)), state(&task(two))),
        (TaskState::Canceled, TaskState::Canceled)
    );
    assert_eq!(asked.load(Ordering::Acquire), 1, "the agent is asked once");
    bed.quiet().await;
}

/// A bug once: a panic in the hook took the task's writer along, and the task stayed WORKING.
#[tokio::test]
pub async fn a_panic_counts_as_consent() {
    let bed = Bed::new();
    let agent = never().on_cancel(|| async { panic!("on purpose") }).agent();
    let id = bed.accepted(&agent).await.id;
    assert_eq!(state(&task(bed.cancel(&agent, &id).await)), TaskState::Canceled);
    bed.quiet().await;
}

/// A bug once: with a quick database, the updates of an agent that never pauses kept commands out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn an_agent_that_writes_without_end_is_canceled() {
    let bed = Bed::new();
    let agent = Scripted::new(|_, updater| async move {
        loop {
            updater.working().await?;
        }
    })
    .agent();
    let id = bed.accepted(&agent).await.id;
    assert_eq!(state(&task(bed.cancel(&agent, &id).await)), TaskState::Canceled);
    bed.log(&id).await;
    bed.quiet().await;
}
