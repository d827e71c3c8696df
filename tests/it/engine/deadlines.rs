//! Executions that take too long, and tasks whose callers say nothing.

use std::time::Duration;

use a2ad::agent::AgentOptions;
use a2ad::execution::{Swept, Wait};
use a2ad::pb::TaskState;

use crate::support::engine::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

async fn reason(bed: &Bed, id: &str) -> String {
    let status = bed.stored(id).await.task.status;
    said(&[status.and_then(|status| status.message).expect("a reason")]).remove(0)
}

fn at_most(task_timeout: Duration) -> AgentOptions {
    AgentOptions {
        task_timeout: Some(task_timeout),
        ..AgentOptions::default()
    }
}

#[tokio::test(start_paused = true)]
pub async fn an_execution_that_takes_too_long_fails_its_task() {
    let bed = Bed::new();
    let limit = Duration::from_secs(60);
    let agent = Scripted::new(|_, updater| async move {
        updater.working().await?;
        std::future::pending().await
    })
    .with(at_most(limit));
    let before = tokio::time::Instant::now();
    // Not by way of the bed, whose patience is shorter.
    let failed = task(bed.engine.start(bed.new_task(&agent, "go"), Wait::Settled).await);
    assert_eq!(before.elapsed(), limit);
    assert_eq!(state(&failed), TaskState::Failed);
    let why = reason(&bed, &failed.id).await;
    assert!(
        why.contains("60000 ms") && why.contains("task_timeout_ms"),
        "{why}"
    );
    bed.log(&failed.id).await;
    bed.quiet().await;
}

/// What it has said stands; only its lingering ends.
#[tokio::test(start_paused = true)]
pub async fn an_execution_that_lingers_behind_its_question_is_dropped() {
    let bed = Bed::new();
    let agent = Scripted::new(|_, updater| async move {
        updater.ask_for_input("more?").await?;
        std::future::pending().await
    })
    .with(at_most(Duration::from_secs(1)));
    let asked = task(bed.start(&agent, "go", Wait::Settled).await);
    bed.quiet().await;
    assert_eq!(bed.state(&asked.id).await, TaskState::InputRequired);
}

fn asking() -> Scripted {
    Scripted::new(|request, updater| async move {
        match &*request.text() {
            "done" => updater.complete().await?,
            "sign in" => updater.ask_for_auth("who are you?").await?,
            _ => updater.ask_for_input("more?").await?,
        }
        Ok(())
    })
}

fn expired(expired: usize) -> Swept {
    Swept {
        expired,
        ..Swept::default()
    }
}

#[tokio::test]
pub async fn a_task_whose_caller_says_nothing_fails_in_the_end() {
    let bed = Bed::timed();
    let options = AgentOptions {
        interrupted_ttl: Some(Duration::from_millis(DAY_MS as u64)),
        ..AgentOptions::default()
    };
    let agent = asking().with(options);
    let ask = async |text: &str| task(bed.start(&agent, text, Wait::Settled).await).id;
    let (input, auth) = (ask("go").await, ask("sign in").await);
    bed.passes(DAY_MS - 1).await;
    let answered = ask("go").await;
    assert_eq!(bed.sweep(&agent).await, expired(0));
    bed.passes(1).await;
    // Whoever finds it need not be the one that it waited at.
    bed.dies().await;
    let next = bed.beside();
    assert_eq!(next.sweep(&agent).await, expired(2));
    for id in [&input, &auth] {
        assert_eq!(next.state(id).await, TaskState::Failed);
        let why = reason(&next, id).await;
        assert!(why.contains("interrupted_ttl_ms"), "{why}");
        next.log(id).await;
    }
    next.passes(DAY_MS - 2).await;
    assert_eq!(next.sweep(&agent).await, expired(0));
    next.send(&agent, &answered, "done", Wait::Settled).await.unwrap();
    next.passes(DAY_MS).await;
    assert_eq!(next.sweep(&agent).await, expired(0));
    assert_eq!(next.state(&answered).await, TaskState::Completed);
    next.quiet().await;
}

/// More of them than are read at once.
#[tokio::test]
pub async fn many_waiting_tasks_are_failed_in_batches() {
    let bed = Bed::timed();
    let agent = |ttl: Option<u64>| {
        asking().with(AgentOptions {
            interrupted_ttl: ttl.map(Duration::from_millis),
            ..AgentOptions::default()
        })
    };
    let patient = agent(None);
    for _ in 0..600 {
        bed.start(&patient, "go", Wait::Settled).await.unwrap();
    }
    bed.passes(DAY_MS).await;
    assert_eq!(
        bed.sweep(&patient).await,
        expired(0),
        "without a limit they wait for ever"
    );
    assert_eq!(bed.sweep(&agent(Some(1))).await, expired(600));
    bed.quiet().await;
}

/// An execution that has asked and not returned yet may have more to say.
#[tokio::test]
pub async fn a_task_that_is_worked_on_does_not_expire() {
    let (bed, gate) = (Bed::timed(), Gate::closed());
    let options = AgentOptions {
        interrupted_ttl: Some(Duration::from_secs(1)),
        ..AgentOptions::default()
    };
    let pass = gate.clone();
    let agent = Scripted::new(move |_, updater| {
        let gate = pass.clone();
        async move {
            updater.ask_for_auth("sign in elsewhere").await?;
            gate.pass().await;
            updater.complete().await?;
            Ok(())
        }
    })
    .with(options);
    let asked = task(bed.start(&agent, "go", Wait::Settled).await).id;
    bed.passes(DAY_MS).await;
    assert_eq!(bed.sweep(&agent).await, expired(0));
    gate.open();
    bed.reaches(&asked, TaskState::Completed).await;
    bed.quiet().await;
}
