//! How executions begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::agent::{AgentError, AgentOptions};
use a2ad::error::Kind;
use a2ad::execution::{Answer, ExecutionSettings, Wait};
use a2ad::pb::{Artifact, Message, Part, TaskState, part};
use futures_util::future::join_all;

use crate::support::engine::*;

#[tokio::test]
pub async fn an_agent_that_only_computes_costs_one_commit() {
    let bed = Bed::new();
    for wait in [Wait::Settled, Wait::Accepted] {
        let before = bed.repository.commits();
        let answer = bed.start(&echo(), "hello", wait).await;
        assert_eq!(bed.repository.commits() - before, 1);
        assert_eq!(bed.shutdown.running(), 0, "no background task is needed");
        let Ok(Answer::Task(task, generation)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(state(&task), TaskState::Completed);
        assert_eq!(
            (task.artifacts.len(), said(&task.history)),
            (1, vec!["hello".to_owned()])
        );
        let stored = bed.stored(&task.id).await;
        assert_eq!((&stored.task, stored.generation), (&*task, generation));
        assert_eq!(bed.log(&task.id).await.len(), 3);
    }
}

#[tokio::test]
pub async fn a_caller_is_answered_when_the_task_is_accepted_or_settled() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    let task = bed.accepted(&agent).await;
    assert_ne!(state(&task), TaskState::Completed);
    // What is answered is stored.
    assert_eq!(bed.stored(&task.id).await.task.id, task.id);
    let settled = bed.settled(&agent, &task.id);
    gate.open();
    let Ok(Answer::Task(ended, generation)) = settled.await else {
        panic!()
    };
    assert_eq!(state(&ended), TaskState::Completed);
    assert_eq!(bed.stored(&task.id).await.generation, generation);

    gate.open();
    let answer = bed.start(&agent, "again", Wait::Settled).await;
    assert_eq!(state(&crate::support::engine::task(answer)), TaskState::Completed);
    bed.quiet().await;
}

#[tokio::test]
pub async fn an_agent_that_returns_without_a_result_fails_its_task() {
    let bed = Bed::new();
    let quick = Scripted::new(|_, _| async { Ok(()) }).agent();
    let slow = Scripted::new(|_, updater| async move {
        updater.working().await?;
        tokio::task::yield_now().await;
        Ok(())
    })
    .agent();
    for agent in [quick, slow] {
        let error = bed.start(&agent, "go", Wait::Settled).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidAgentResponse);
        let id = task_of(&error);
        assert_eq!(bed.state(&id).await, TaskState::Failed);
        assert_eq!(bed.states(&id).await.last(), Some(&TaskState::Failed));
    }
    bed.quiet().await;
}

fn task_of(error: &a2ad::error::Error) -> String {
    let found = error.metadata.iter().find(|(key, _)| *key == "taskId");
    found.map(|(_, id)| id.clone()).expect("the error names the task")
}

fn chunk(id: &str) -> Artifact {
    let part = Part {
        content: Some(part::Content::Text("x".to_owned())),
        ..Part::default()
    };
    Artifact {
        artifact_id: id.to_owned(),
        parts: vec![part],
        ..Artifact::default()
    }
}

#[tokio::test]
pub async fn an_update_that_the_protocol_forbids_fails_the_task() {
    let bed = Bed::new();
    for pause in [false, true] {
        let agent = Scripted::new(move |_, updater| async move {
            if pause {
                tokio::task::yield_now().await;
            }
            updater.chunk(chunk("unknown"), true, false).await?;
            // The fault ended the execution: nothing of this is written.
            tokio::task::yield_now().await;
            updater.complete().await?;
            Ok(())
        })
        .agent();
        let error = bed.start(&agent, "go", Wait::Settled).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidAgentResponse);
        let stored = bed.stored(&task_of(&error)).await.task;
        assert_eq!((state(&stored), stored.artifacts.len()), (TaskState::Failed, 0));
        bed.log(&stored.id).await;
    }
    bed.quiet().await;
}

/// A bug once: whoever asked for an answer at once got an error from an agent that was wrong before its first wait, and
/// the task from one that was wrong later.
#[tokio::test]
async fn a_fault_is_no_error_for_whoever_does_not_wait_for_the_outcome() {
    let bed = Bed::new();
    for pause in [false, true] {
        let agent = Scripted::new(move |_, updater| async move {
            if pause {
                tokio::task::yield_now().await;
            }
            updater.chunk(chunk("unknown"), true, false).await?;
            Ok(())
        })
        .agent();
        let id = bed.accepted(&agent).await.id;
        bed.reaches(&id, TaskState::Failed).await;
    }
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_panic_fails_one_task_and_no_other() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let other = gated(&gate);
    let unharmed = bed.accepted(&other).await;
    for pause in [false, true] {
        let agent = Scripted::new(move |_, _| async move {
            if pause {
                tokio::task::yield_now().await;
            }
            panic!("on purpose")
        })
        .agent();
        let failed = task(bed.start(&agent, "go", Wait::Settled).await);
        assert_eq!(state(&failed), TaskState::Failed);
        let status = failed.status.and_then(|status| status.message).expect("a reason");
        assert_eq!(
            said(&[status]),
            ["the agent panicked"],
            "the text of the panic is not for callers"
        );
    }
    gate.open();
    assert_eq!(
        state(&task(bed.settled(&other, &unharmed.id).await)),
        TaskState::Completed
    );
    bed.quiet().await;
}

#[tokio::test]
pub async fn an_error_fails_the_task_with_its_public_text() {
    let bed = Bed::new();
    let agent = Scripted::new(|_, _| async { Err(AgentError::new("no paper left")) }).agent();
    let failed = task(bed.start(&agent, "go", Wait::Settled).await);
    let reason = failed.status.and_then(|status| status.message).expect("a reason");
    assert_eq!(said(&[reason]), ["no paper left"]);

    let agent = Scripted::new(|_, _| async { Err(std::io::Error::other("secret").into()) }).agent();
    let failed = task(bed.start(&agent, "go", Wait::Settled).await);
    assert!(!format!("{failed:?}").contains("secret"));
}

#[tokio::test]
pub async fn updates_behind_the_end_are_ignored() {
    let bed = Bed::new();
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let agent = Scripted::new(move |_, updater| {
        let count = count.clone();
        async move {
            updater.complete().await?;
            updater.fail("in the same breath").await?;
            tokio::task::yield_now().await;
            if updater.artifact_text("late", "x").await.is_err() {
                count.fetch_add(1, Ordering::AcqRel);
            }
            Ok(())
        }
    })
    .agent();
    let done = task(bed.start(&agent, "go", Wait::Settled).await);
    bed.quiet().await;
    assert_eq!(
        bed.states(&done.id).await,
        [TaskState::Submitted, TaskState::Completed]
    );
    assert_eq!(
        told.load(Ordering::Acquire),
        1,
        "the agent is told that the task has ended"
    );
}

/// An execution whose task has ended gets some time to clean up, and is dropped then.
#[tokio::test(start_paused = true)]
async fn an_execution_does_not_outlive_its_task_for_long() {
    let bed = Bed::new();
    let agent = Scripted::new(|_, updater| async move {
        updater.complete().await?;
        std::future::pending().await
    })
    .agent();
    let done = task(bed.start(&agent, "go", Wait::Settled).await);
    assert_eq!(state(&done), TaskState::Completed);
    bed.quiet().await;
    assert_eq!(agent_permits(&bed, &agent).await, 1);
}

/// One more execution can start, so the permit came back.
async fn agent_permits(bed: &Bed, agent: &Arc<a2ad::agent::Agent>) -> usize {
    usize::from(bed.start(agent, "again", Wait::Accepted).await.is_ok())
}

#[tokio::test]
pub async fn executions_are_bounded_per_agent() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let options = AgentOptions {
        executions_max: 2,
        executions_per_owner_max: Some(2),
        queue_max: 0,
        ..AgentOptions::default()
    };
    let agent = Scripted::new(completing_behind(&gate)).with(options);
    let tasks = [bed.accepted(&agent).await, bed.accepted(&agent).await];
    let error = bed
        .start(&agent, "one too many", Wait::Accepted)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::ResourceExhausted);
    assert!(
        error.message.contains("executions_max")
            && error.message.contains("queue_max")
            && error.retry_after.is_some(),
        "{error:?}"
    );
    gate.open();
    gate.open();
    for task in tasks {
        bed.settled(&agent, &task.id).await.unwrap();
    }
    bed.quiet().await;
    gate.open();
    bed.start(&agent, "now", Wait::Settled).await.unwrap();
}

#[tokio::test]
pub async fn a_direct_answer_leaves_no_task() {
    let bed = Bed::new();
    for pause in [false, true] {
        let agent = Scripted::new(move |_, updater| async move {
            if pause {
                tokio::task::yield_now().await;
            }
            updater.reply(updater.message("just words")).await?;
            Ok(())
        })
        .replying()
        .agent();
        for wait in [Wait::Accepted, Wait::Settled] {
            let answer = bed.start(&agent, "go", wait).await;
            let Ok(Answer::Message(message)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(
                (said(&[*message.clone()]), &*message.task_id),
                (vec!["just words".to_owned()], "")
            );
        }
        let events = all(bed.stream(&agent, "go").await).await;
        assert_eq!(events.len(), 1);
        assert!(matches!(
            events[0].decode(),
            Ok(a2ad::pb::stream_response::Payload::Message(_))
        ));
    }
    bed.quiet().await;
    assert_eq!(bed.repository.commits(), 0);
}

#[tokio::test]
pub async fn a_direct_answer_behind_an_update_is_a_fault() {
    let bed = Bed::new();
    let late = Scripted::new(|_, updater| async move {
        updater.working().await?;
        updater.reply(Message::default()).await?;
        Ok(())
    });
    let unannounced = Scripted::new(|_, updater| async move {
        updater.reply(Message::default()).await?;
        Ok(())
    });
    for agent in [late.replying().agent(), unannounced.agent()] {
        let error = bed.start(&agent, "go", Wait::Settled).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidAgentResponse);
        assert_eq!(bed.state(&task_of(&error)).await, TaskState::Failed);
    }
    bed.quiet().await;
}

/// A bug once: an idempotency key has the task stored before the agent runs, and its direct answer was a fault then.
#[tokio::test]
pub async fn a_direct_answer_under_a_key_completes_the_task() {
    let bed = Bed::new();
    let agent = Scripted::new(|_, updater| async move {
        updater.reply(updater.message("just words")).await?;
        Ok(())
    })
    .replying()
    .agent();
    let mut new = bed.new_task(&agent, "go");
    new.incoming.key = Some(a2ad::repository::conformance::key("k"));
    let done = task(patiently(bed.engine.start(new, Wait::Settled)).await);
    assert_eq!(state(&done), TaskState::Completed);
    assert_eq!(
        said(&[done.status.and_then(|status| status.message).expect("words")]),
        ["just words"]
    );
    bed.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn one_key_at_once_runs_the_agent_once() {
    for _ in 0..20 {
        let bed = Bed::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let count = runs.clone();
        let agent = Scripted::new(move |_, updater| {
            count.fetch_add(1, Ordering::AcqRel);
            async move {
                updater.complete().await?;
                Ok(())
            }
        })
        .agent();
        let send = async || {
            let mut new = bed.new_task(&agent, "go");
            new.incoming.key = Some(a2ad::repository::conformance::key("k"));
            match patiently(bed.engine.start(new, Wait::Settled)).await.unwrap() {
                Answer::Task(task, _) => task.id,
                Answer::Known(id) => id,
                Answer::Message(_) => panic!("a task was expected"),
            }
        };
        let ids = join_all((0..16).map(|_| send())).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(runs.load(Ordering::Acquire), 1);
        assert_eq!(
            bed.states(&ids[0]).await,
            [TaskState::Submitted, TaskState::Completed]
        );
        bed.quiet().await;
    }
}

#[tokio::test]
pub async fn an_agent_waits_for_the_database_and_its_log_is_bounded() {
    let settings = ExecutionSettings {
        updates_queue_max: 4,
        task_bytes_max: 20_000,
        ..ExecutionSettings::default()
    };
    let bed = Bed::with(settings);
    let agent = Scripted::new(|_, updater| async move {
        loop {
            updater.progress("on and on").await?;
        }
    })
    .agent();
    let error = bed.start(&agent, "go", Wait::Settled).await.unwrap_err();
    assert_eq!(error.kind, Kind::InvalidAgentResponse);
    let id = task_of(&error);
    let bytes: usize = bed.log(&id).await.iter().map(|event| event.payload.len()).sum();
    assert!((19_000..21_000).contains(&bytes), "{bytes}");
    assert_eq!(bed.state(&id).await, TaskState::Failed);
    bed.quiet().await;
}
