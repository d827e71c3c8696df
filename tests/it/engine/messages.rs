//! Messages for tasks that exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::agent::{Agent, AgentOptions};
use a2ad::error::Kind;
use a2ad::execution::{Answer, ExecutionSettings, Wait};
use a2ad::pb::TaskState;
use a2ad::repository::conformance::{key, scope};
use futures_util::future::join_all;

use crate::support::engine::*;

/// Asks for more until it hears "done", behind a gate.
fn curious(gate: &Gate) -> Arc<Agent> {
    curious_with(gate, AgentOptions::default())
}

fn curious_with(gate: &Gate, options: AgentOptions) -> Arc<Agent> {
    let gate = gate.clone();
    Scripted::new(move |request, updater| {
        let gate = gate.clone();
        async move {
            updater.working().await?;
            gate.pass().await;
            match &*request.text() {
                "done" => updater.complete().await?,
                text => updater.ask_for_input(&format!("{text}?")).await?,
            }
            Ok(())
        }
    })
    .with(options)
}

#[tokio::test]
pub async fn messages_to_a_working_task_run_in_order() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = curious(&gate);
    let id = bed.accepted(&agent).await.id;
    for text in ["one", "two", "done"] {
        let accepted = task(bed.send(&agent, &id, text, Wait::Accepted).await);
        assert_eq!(
            said(&accepted.history).last().map(String::as_str),
            Some(text),
            "accepted is stored"
        );
        assert_eq!(bed.stored(&id).await.task.history.len(), accepted.history.len());
    }
    let settled = bed.settled(&agent, &id);
    for _ in 0..4 {
        gate.open();
    }
    let done = task(settled.await);
    assert_eq!(state(&done), TaskState::Completed);
    assert_eq!(
        said(&done.history),
        ["go", "one", "two", "done", "go?", "one?", "two?"]
    );
    bed.log(&id).await;
    bed.quiet().await;
}

#[tokio::test]
pub async fn an_answer_continues_a_task_that_asked() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = curious(&gate);
    gate.open();
    let asked = task(bed.start(&agent, "tea", Wait::Settled).await);
    assert_eq!(state(&asked), TaskState::InputRequired);
    bed.quiet().await;
    gate.open();
    let done = task(bed.send(&agent, &asked.id, "done", Wait::Settled).await);
    assert_eq!(state(&done), TaskState::Completed);
    assert_eq!(said(&done.history), ["tea", "tea?", "done"]);
    assert_eq!(done.context_id, asked.context_id);
    bed.log(&asked.id).await;
    bed.quiet().await;
}

#[tokio::test]
pub async fn the_inbox_of_a_task_is_bounded() {
    let (bed, gate) = (
        Bed::with(ExecutionSettings {
            inbox_messages_max: 2,
            ..ExecutionSettings::default()
        }),
        Gate::closed(),
    );
    let agent = curious(&gate);
    let id = bed.accepted(&agent).await.id;
    for text in ["one", "two"] {
        bed.send(&agent, &id, text, Wait::Accepted).await.unwrap();
    }
    let error = bed.send(&agent, &id, "three", Wait::Accepted).await.unwrap_err();
    assert_eq!(error.kind, Kind::ResourceExhausted);
    assert!(error.message.contains("inbox_messages_max"));
    assert_eq!(said(&bed.stored(&id).await.task.history), ["go", "one", "two"]);
    bed.cancel(&agent, &id).await.unwrap();
    bed.quiet().await;
}

/// A bug once: only what agents said counted.
#[tokio::test]
pub async fn messages_count_towards_the_size_of_a_task() {
    let settings = ExecutionSettings {
        task_bytes_max: 5_000,
        inbox_messages_max: 1_000,
        ..ExecutionSettings::default()
    };
    let (bed, gate) = (Bed::with(settings), Gate::closed());
    let agent = curious(&gate);
    let id = bed.accepted(&agent).await.id;
    let text = "x".repeat(1_000);
    let sends = async || bed.send(&agent, &id, &text, Wait::Accepted).await;
    let mut taken = 0;
    while sends().await.is_ok() {
        taken += 1;
        assert!(taken < 10, "the task grows without end");
    }
    assert!(taken >= 1);
    let error = sends().await.unwrap_err();
    assert!(
        error.kind == Kind::ResourceExhausted && error.too_large,
        "{error:?}"
    );
    // A full task ends like any other.
    assert_eq!(state(&task(bed.cancel(&agent, &id).await)), TaskState::Canceled);
    bed.quiet().await;
}

#[tokio::test]
pub async fn messages_that_fit_nowhere_are_refused() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = curious(&gate);
    let id = bed.accepted(&agent).await.id;
    let mut elsewhere = incoming("one");
    elsewhere.message.context_id = "another".to_owned();
    let refused = patiently(
        bed.engine
            .send(&agent, &bed.scope, &id, elsewhere, Wait::Accepted),
    )
    .await;
    assert_eq!(refused.unwrap_err().kind, Kind::InvalidParams);
    assert_eq!(
        bed.send(&agent, "unknown", "x", Wait::Settled)
            .await
            .unwrap_err()
            .kind,
        Kind::TaskNotFound
    );

    // Somebody else's task reads as unknown while it runs, byte for byte.
    let bob = scope("bob");
    let stranger = patiently(bed.engine.send(&agent, &bob, &id, incoming("x"), Wait::Settled))
        .await
        .unwrap_err();
    let nobody = patiently(
        bed.engine
            .send(&agent, &bob, "none", incoming("x"), Wait::Settled),
    )
    .await
    .unwrap_err();
    assert_eq!(
        format!("{stranger:?}").replace(&id, "none"),
        format!("{nobody:?}")
    );
    for error in [
        patiently(bed.engine.cancel(&agent, &bob, &id, &call()))
            .await
            .unwrap_err(),
        patiently(bed.engine.settled(&agent, &bob, &id))
            .await
            .unwrap_err(),
        patiently(bed.engine.subscribe(&agent, &bob, &id, None))
            .await
            .unwrap_err(),
        patiently(bed.engine.subscribe(&agent, &bob, &id, Some(1)))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(format!("{error:?}").replace(&id, "none"), format!("{nobody:?}"));
    }

    let canceled = task(bed.cancel(&agent, &id).await);
    let refused = bed
        .send(&agent, &id, "too late", Wait::Accepted)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, Kind::UnsupportedOperation);
    assert_eq!(bed.stored(&id).await.task, canceled);
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_message_needs_a_free_execution() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = curious_with(
        &gate,
        AgentOptions {
            executions_max: 1,
            ..AgentOptions::default()
        },
    );
    gate.open();
    let asked = task(bed.start(&agent, "tea", Wait::Settled).await);
    bed.quiet().await;
    let other = bed.accepted(&agent).await.id;
    let refused = bed
        .send(&agent, &asked.id, "green", Wait::Accepted)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, Kind::ResourceExhausted);
    assert_eq!(bed.stored(&asked.id).await.task, asked);
    bed.cancel(&agent, &other).await.unwrap();
    bed.quiet().await;
    gate.open();
    bed.send(&agent, &asked.id, "green", Wait::Settled).await.unwrap();
}

/// A bug once: an answer that came while the agent cleaned up behind its question failed the task ("returned without
/// a result").
#[tokio::test]
pub async fn an_answer_may_come_before_the_asking_execution_is_over() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let wait = gate.clone();
    let agent = Scripted::new(move |request, updater| {
        let gate = wait.clone();
        async move {
            if &*request.text() == "done" {
                updater.complete().await?;
                return Ok(());
            }
            updater.ask_for_input("more?").await?;
            gate.pass().await;
            Ok(())
        }
    })
    .agent();
    let asked = task(bed.start(&agent, "go", Wait::Settled).await);
    assert_eq!(state(&asked), TaskState::InputRequired);
    bed.send(&agent, &asked.id, "done", Wait::Accepted).await.unwrap();
    let settled = bed.settled(&agent, &asked.id);
    gate.open();
    assert_eq!(state(&task(settled.await)), TaskState::Completed);
    assert_eq!(
        said(&bed.stored(&asked.id).await.task.history),
        ["go", "more?", "done"]
    );
    bed.log(&asked.id).await;
    bed.quiet().await;
}

/// Counts how often it hears something, and always asks for more.
fn counting(runs: &Arc<AtomicUsize>) -> Arc<Agent> {
    let runs = runs.clone();
    Scripted::new(move |_, updater| {
        runs.fetch_add(1, Ordering::AcqRel);
        async move {
            tokio::task::yield_now().await;
            updater.ask_for_input("more?").await?;
            Ok(())
        }
    })
    .agent()
}

/// A bug once: a repeated answer was heard twice, because only new tasks looked at their key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn a_repeated_message_is_heard_once() {
    for _ in 0..20 {
        let (bed, runs) = (Bed::new(), Arc::new(AtomicUsize::new(0)));
        let agent = counting(&runs);
        let id = task(bed.start(&agent, "go", Wait::Settled).await).id;
        let send = async |name: &str| {
            let mut repeated = incoming("again");
            repeated.key = Some(key(name));
            patiently(bed.engine.send(&agent, &bed.scope, &id, repeated, Wait::Settled))
                .await
                .unwrap()
        };
        let answers = join_all((0..8).map(|_| send("k"))).await;
        let known = answers
            .iter()
            .filter(|answer| **answer == Answer::Known(id.clone()))
            .count();
        assert_eq!(known, 7, "{answers:?}");
        bed.quiet().await;
        assert_eq!(
            send("k").await,
            Answer::Known(id.clone()),
            "also to a writer that was not there then"
        );
        join_all(["a", "b", "c"].map(send)).await;
        bed.quiet().await;
        for name in ["k", "a", "b", "c"] {
            use a2ad::repository::TaskRepository as _;
            assert!(
                bed.repository
                    .known_key(&bed.scope, name, 0)
                    .await
                    .unwrap()
                    .is_some(),
                "{name}"
            );
        }
        assert_eq!(runs.load(Ordering::Acquire), 5);
        bed.log(&id).await;
    }
}

/// Many commands meet a writer that is about to retire; none gets lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn commands_find_a_writer_whenever_they_come() {
    let (bed, runs) = (Bed::new(), Arc::new(AtomicUsize::new(0)));
    let agent = counting(&runs);
    let id = task(bed.start(&agent, "go", Wait::Settled).await).id;
    let ask = async |n: usize| {
        for _ in 0..50 {
            for _ in 0..n % 4 {
                tokio::task::yield_now().await;
            }
            assert_eq!(
                state(&task(bed.settled(&agent, &id).await)),
                TaskState::InputRequired
            );
        }
    };
    join_all((0..64).map(ask)).await;
    bed.quiet().await;
}
