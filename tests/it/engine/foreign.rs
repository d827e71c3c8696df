//! A message for a task that another process works on, or died on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::agent::{Agent, AgentOptions};
use a2ad::error::{Error, Kind};
use a2ad::execution::Wait;
use a2ad::pb::TaskState;

use crate::support::engine::*;

/// Works for ever on "stuck" in its first attempt, behind the gate on "gated", and asks for more in the end.
fn asking(gate: &Gate, begun: &Arc<AtomicUsize>) -> Scripted {
    let (gate, begun) = (gate.clone(), begun.clone());
    Scripted::new(move |request, updater| {
        begun.fetch_add(1, Ordering::AcqRel);
        let (gate, text) = (gate.clone(), request.text().into_owned());
        async move {
            updater.working().await?;
            match &*text {
                "stuck" if request.attempt() == 1 => std::future::pending::<()>().await,
                "gated" => gate.pass().await,
                _ => {}
            }
            updater
                .ask_for_input(&format!("{text} {}", request.attempt()))
                .await?;
            Ok(())
        }
    })
}

fn agent(gate: &Gate, begun: &Arc<AtomicUsize>) -> Arc<Agent> {
    asking(gate, begun).restarting().agent()
}

#[track_caller]
fn try_again(error: &Error) {
    assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
    assert!(error.retry_after.is_some(), "{error:?}");
    assert!(error.message.contains("another process"), "{error:?}");
}

/// The agent's words so far.
async fn words(bed: &Bed, id: &str) -> Vec<String> {
    let task = bed.stored(id).await.task;
    let last = task.status.and_then(|status| status.message);
    said(&task.history.into_iter().chain(last).collect::<Vec<_>>())
}

/// A fault once: the message went straight to the agent, and the one that it was at never came back.
#[tokio::test]
pub async fn a_message_before_the_sweep_takes_the_task_up_first() {
    let (gate, begun) = (Gate::closed(), Arc::default());
    let one = Bed::timed();
    let agent = agent(&gate, &begun);
    let id = task(one.start(&agent, "stuck", Wait::Accepted).await).id;
    one.reaches(&id, TaskState::Working).await;
    one.dies().await;
    let two = one.beside();
    let early = two.send(&agent, &id, "two", Wait::Accepted).await.unwrap_err();
    try_again(&early);
    two.quiet().await;
    one.passes(LEASE_MS).await;
    two.send(&agent, &id, "two", Wait::Settled).await.unwrap();
    two.quiet().await;
    let words = words(&two, &id).await;
    let place = |text: &str| words.iter().position(|word| word == text);
    assert!(
        place("stuck 2").is_some() && place("stuck 2") < place("two 1"),
        "{words:?}"
    );
    assert_eq!(begun.load(Ordering::Acquire), 3);
    assert_eq!(two.sweep(&agent).await.taken_up, 0);
    two.log(&id).await;
}

/// A fault once: a message revived a task whose agent can't start again.
#[tokio::test]
pub async fn a_message_before_the_sweep_does_not_revive_what_must_fail() {
    let (gate, begun) = (Gate::closed(), Arc::default());
    let one = Bed::timed();
    let agent = asking(&gate, &begun).agent();
    let id = task(one.start(&agent, "stuck", Wait::Accepted).await).id;
    one.reaches(&id, TaskState::Working).await;
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    let refused = two.send(&agent, &id, "two", Wait::Accepted).await.unwrap_err();
    assert_eq!(refused.kind, Kind::UnsupportedOperation);
    assert_eq!(
        two.state(&id).await,
        TaskState::Failed,
        "it is committed when it is told"
    );
    two.quiet().await;
    assert_eq!(begun.load(Ordering::Acquire), 1);
    two.log(&id).await;
}

/// A fault once: the message took the task from the process that worked on it.
#[tokio::test]
pub async fn a_message_does_not_take_a_task_from_who_holds_it() {
    let (gate, begun) = (Gate::closed(), Arc::default());
    let one = Bed::timed();
    let agent = agent(&gate, &begun);
    let id = task(one.start(&agent, "gated", Wait::Accepted).await).id;
    one.reaches(&id, TaskState::Working).await;
    let two = one.beside();
    let refused = two.send(&agent, &id, "two", Wait::Accepted).await.unwrap_err();
    try_again(&refused);
    two.quiet().await;
    assert_eq!(one.stored(&id).await.epoch, 1);
    gate.open();
    one.reaches(&id, TaskState::InputRequired).await;
    one.quiet().await;
    assert_eq!(begun.load(Ordering::Acquire), 1);
    two.send(&agent, &id, "two", Wait::Settled).await.unwrap();
    assert_eq!(words(&two, &id).await.last().map(String::as_str), Some("two 1"));
    two.quiet().await;
    one.log(&id).await;
}

/// Somebody waits here for the task since the other process worked on it; the message finds it as it is by now.
#[tokio::test]
pub async fn a_message_behind_the_others_end_is_taken() {
    let (gate, begun) = (Gate::closed(), Arc::default());
    let one = Bed::timed();
    let agent = agent(&gate, &begun);
    let id = task(one.start(&agent, "gated", Wait::Accepted).await).id;
    one.reaches(&id, TaskState::Working).await;
    let two = one.beside();
    let answered = async {
        eventually(async || two.engine.running() == 1).await;
        gate.open();
        one.reaches(&id, TaskState::InputRequired).await;
        one.quiet().await;
        two.send(&agent, &id, "two", Wait::Settled).await
    };
    let (settled, answered) = tokio::join!(two.settled(&agent, &id), answered);
    assert_eq!(state(&task(settled)), TaskState::InputRequired);
    assert_eq!(state(&task(answered)), TaskState::InputRequired);
    assert_eq!(words(&two, &id).await.last().map(String::as_str), Some("two 1"));
    two.quiet().await;
}

/// There is no room for the interrupted message, so there is none for the one behind it.
#[tokio::test]
pub async fn a_message_does_not_take_up_what_there_is_no_room_for() {
    let (gate, begun) = (Gate::closed(), Arc::default());
    let one = Bed::timed();
    let options = AgentOptions {
        executions_max: 1,
        queue_max: 0,
        ..AgentOptions::default()
    };
    let agent = asking(&gate, &begun).restarting().with(options);
    let id = task(one.start(&agent, "stuck", Wait::Accepted).await).id;
    one.reaches(&id, TaskState::Working).await;
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    let other = task(two.start(&agent, "gated", Wait::Accepted).await).id;
    let refused = two.send(&agent, &id, "two", Wait::Accepted).await.unwrap_err();
    assert_eq!(refused.kind, Kind::ResourceExhausted);
    assert_eq!(two.stored(&id).await.epoch, 1);
    gate.open();
    two.reaches(&other, TaskState::InputRequired).await;
    two.quiet().await;
    two.send(&agent, &id, "two", Wait::Settled).await.unwrap();
    two.quiet().await;
}

/// A cancel is for everybody: it is written over whoever holds the task, who learns it from the database.
#[tokio::test]
pub async fn a_cancel_fences_off_who_holds_the_task() {
    let (gate, begun) = (Gate::closed(), Arc::default());
    let one = Bed::timed();
    let agent = agent(&gate, &begun);
    let id = task(one.start(&agent, "gated", Wait::Accepted).await).id;
    one.reaches(&id, TaskState::Working).await;
    let two = one.beside();
    assert_eq!(state(&task(two.cancel(&agent, &id).await)), TaskState::Canceled);
    assert_eq!(two.stored(&id).await.epoch, 2);
    gate.open();
    one.quiet().await;
    two.quiet().await;
    assert_eq!(one.states(&id).await.last(), Some(&TaskState::Canceled));
}
