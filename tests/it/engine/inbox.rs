//! Messages that were accepted before a crash: each is handed to the agent, in order, as if there had been none.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::agent::AgentOptions;
use a2ad::execution::{ExecutionSettings, Swept, Wait};
use a2ad::pb::TaskState;

use crate::support::engine::*;

/// What the agent was handed: the text, and the attempt at it.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(String, u32)>>>);

impl Notes {
    fn all(&self) -> Vec<(String, u32)> {
        self.0.lock().unwrap().clone()
    }

    async fn reach(&self, wanted: &[(&str, u32)]) {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(text, attempt)| ((*text).to_owned(), *attempt))
            .collect();
        eventually(async || self.all().len() >= wanted.len()).await;
        assert_eq!(self.all(), wanted);
    }
}

/// Asks for more, whatever it is told. A text that begins with "stuck" keeps it for ever at its first attempts, as many
/// as there are `!` in it; "lingers" does so behind the question.
fn asking(notes: &Notes) -> Scripted {
    let notes = notes.clone();
    Scripted::new(move |request, updater| {
        let text = request.text().into_owned();
        notes.0.lock().unwrap().push((text.clone(), request.attempt()));
        async move {
            let deaths = text.matches('!').count() as u32;
            if text.starts_with("stuck") && request.attempt() <= deaths {
                updater.working().await?;
                std::future::pending::<()>().await;
            }
            updater.ask_for_input("more?").await?;
            if text == "lingers" {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    })
}

fn swept(taken_up: usize) -> Swept {
    Swept {
        taken_up,
        ..Swept::default()
    }
}

/// Who takes no more messages still takes those that were accepted.
fn without_inbox() -> ExecutionSettings {
    ExecutionSettings {
        inbox_messages_max: 0,
        ..timed()
    }
}

/// A fault once: only the newest message was handed to the agent, and the one that it was at never again.
#[tokio::test]
pub async fn all_messages_of_a_dead_process_are_worked_on_in_order() {
    let (one, notes) = (Bed::timed(), Notes::default());
    let agent = asking(&notes).restarting().agent();
    let id = task(one.start(&agent, "stuck!!", Wait::Accepted).await).id;
    for text in ["two", "three"] {
        one.send(&agent, &id, text, Wait::Accepted).await.unwrap();
    }
    notes.reach(&[("stuck!!", 1)]).await;
    let at = one.stored(&id).await;
    assert_eq!((at.message, at.attempt, at.held), (1, 1, true));
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside_with(without_inbox());
    assert_eq!(two.sweep(&agent).await, swept(1));
    notes.reach(&[("stuck!!", 1), ("stuck!!", 2)]).await;
    // Once more, now that they were waiting already.
    two.dies().await;
    two.passes(LEASE_MS).await;
    let three = two.beside_with(without_inbox());
    assert_eq!(three.sweep(&agent).await, swept(1));
    let all = [
        ("stuck!!", 1),
        ("stuck!!", 2),
        ("stuck!!", 3),
        ("two", 1),
        ("three", 1),
    ];
    notes.reach(&all).await;
    three.quiet().await;
    assert_eq!(three.state(&id).await, TaskState::InputRequired);
    let at = three.stored(&id).await;
    assert_eq!((at.message, at.attempt, at.held), (3, 1, false));
    let history = three.stored(&id).await.task.history;
    let users: Vec<_> = said(&history)
        .into_iter()
        .filter(|text| all.iter().any(|(known, _)| known == text))
        .collect();
    assert_eq!(users, ["stuck!!", "two", "three"]);
    three.log(&id).await;
    assert_eq!(three.sweep(&agent).await, swept(0));
}

/// A crash at a later message does not bring the ones before it back.
#[tokio::test]
pub async fn messages_that_were_worked_on_are_not_worked_on_again() {
    let (one, notes) = (Bed::timed(), Notes::default());
    let agent = asking(&notes).restarting().agent();
    let id = task(one.start(&agent, "one", Wait::Settled).await).id;
    one.send(&agent, &id, "stuck!", Wait::Accepted).await.unwrap();
    one.send(&agent, &id, "three", Wait::Accepted).await.unwrap();
    notes.reach(&[("one", 1), ("stuck!", 1)]).await;
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    assert_eq!(two.sweep(&agent).await, swept(1));
    notes
        .reach(&[("one", 1), ("stuck!", 1), ("stuck!", 2), ("three", 1)])
        .await;
    two.quiet().await;
    two.log(&id).await;
}

/// An agent that can't restart fails its task, and none of its messages is handed to it.
#[tokio::test]
pub async fn a_task_that_fails_takes_its_messages_along() {
    let (one, notes) = (Bed::timed(), Notes::default());
    let agent = asking(&notes).agent();
    let id = task(one.start(&agent, "stuck!", Wait::Accepted).await).id;
    for text in ["two", "three"] {
        one.send(&agent, &id, text, Wait::Accepted).await.unwrap();
    }
    notes.reach(&[("stuck!", 1)]).await;
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    assert_eq!(two.sweep(&agent).await, swept(1));
    two.reaches(&id, TaskState::Failed).await;
    two.quiet().await;
    notes.reach(&[("stuck!", 1)]).await;
    two.log(&id).await;
}

/// A fault once: a task that had asked counted as settled though a message waited for it, and nobody took that up.
#[tokio::test]
pub async fn a_message_that_waits_behind_a_question_is_not_forgotten() {
    for restarts in [false, true] {
        let (one, notes, gate) = (Bed::timed(), Notes::default(), Gate::closed());
        let (pass, inner) = (gate.clone(), notes.clone());
        let agent = Scripted::new(move |request, updater| {
            let gate = pass.clone();
            let text = request.text().into_owned();
            inner.0.lock().unwrap().push((text.clone(), request.attempt()));
            async move {
                if text == "one" {
                    gate.pass().await;
                }
                updater.ask_for_input("more?").await?;
                if text == "one" {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        });
        let agent = if restarts { agent.restarting() } else { agent };
        let agent = agent.agent();
        let id = task(one.start(&agent, "one", Wait::Accepted).await).id;
        one.send(&agent, &id, "two", Wait::Accepted).await.unwrap();
        gate.open();
        one.reaches(&id, TaskState::InputRequired).await;
        let at = one.stored(&id).await;
        assert_eq!((at.message, at.attempt, at.held), (2, 0, true));
        one.dies().await;
        one.passes(LEASE_MS).await;
        let two = one.beside();
        assert_eq!(two.sweep(&agent).await, swept(1), "restarts: {restarts}");
        notes.reach(&[("one", 1), ("two", 1)]).await;
        two.quiet().await;
        assert_eq!(two.state(&id).await, TaskState::InputRequired);
        two.log(&id).await;
    }
}

/// The same for a message that comes when the question has been asked and its execution has not returned.
#[tokio::test]
pub async fn an_answer_that_waits_for_the_asking_execution_is_not_forgotten() {
    let (one, notes) = (Bed::timed(), Notes::default());
    let agent = asking(&notes).agent();
    let id = task(one.start(&agent, "lingers", Wait::Settled).await).id;
    one.send(&agent, &id, "two", Wait::Accepted).await.unwrap();
    let at = one.stored(&id).await;
    assert_eq!((at.message, at.attempt, at.held), (2, 0, true));
    one.dies().await;
    one.passes(LEASE_MS).await;
    let two = one.beside();
    assert_eq!(two.sweep(&agent).await, swept(1));
    notes.reach(&[("lingers", 1), ("two", 1)]).await;
    two.quiet().await;
    assert_eq!(two.state(&id).await, TaskState::InputRequired);
}

/// Its caller has answered already, whatever the state says: no other process may give up waiting.
#[tokio::test]
pub async fn a_task_with_a_message_that_waits_does_not_expire() {
    let (one, notes, gate) = (Bed::timed(), Notes::default(), Gate::closed());
    let pass = gate.clone();
    let options = AgentOptions {
        interrupted_ttl: Some(Duration::from_millis(1)),
        ..AgentOptions::default()
    };
    let inner = notes.clone();
    let agent = Scripted::new(move |request, updater| {
        let (gate, text) = (pass.clone(), request.text().into_owned());
        inner.0.lock().unwrap().push((text, request.attempt()));
        async move {
            gate.pass().await;
            updater.ask_for_input("more?").await?;
            gate.pass().await;
            Ok(())
        }
    })
    .with(options);
    let id = task(one.start(&agent, "one", Wait::Accepted).await).id;
    one.send(&agent, &id, "two", Wait::Accepted).await.unwrap();
    gate.open();
    one.reaches(&id, TaskState::InputRequired).await;
    one.passes(ALMOST_A_LEASE_MS).await;
    let two = one.beside();
    assert_eq!(two.sweep(&agent).await, swept(0));
    assert_eq!(two.state(&id).await, TaskState::InputRequired);
    for _ in 0..3 {
        gate.open();
    }
    notes.reach(&[("one", 1), ("two", 1)]).await;
    one.quiet().await;
}
