//! Tasks that can't go on: what is stored can't be read, or what comes next can't be stored. In memory nothing is
//! damaged, so two of them run in `timed` only.

use std::time::Duration;

use a2ad::agent::AgentOptions;
use a2ad::error::Kind;
use a2ad::execution::{Swept, Wait};
use a2ad::pb::TaskState;
use a2ad::repository::{Lapsed, TaskRepository as _};

use crate::support::engine::*;
use crate::support::observed::Fault;

/// A fault once: a damaged task was taken over in every round, and its epoch rose for ever.
#[tokio::main(flavor = "current_thread")]
pub async fn a_damaged_task_is_given_up_once() {
    let (one, gate) = (Bed::timed(), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).restarting().agent();
    let damaged = one.accepted(&agent).await.id;
    let sound = one.accepted(&agent).await.id;
    for id in [&damaged, &sound] {
        one.reaches(id, TaskState::Working).await;
    }
    one.dies().await;
    let lost = format!("DELETE FROM task_log WHERE task_id = '{damaged}'");
    assert!(one.execute(&lost).await, "a test for databases");
    one.passes(LEASE_MS).await;
    let two = one.beside();
    let swept = Swept {
        taken_up: 1,
        left: 1,
        ..Swept::default()
    };
    assert_eq!(two.sweep(&agent).await, swept);
    assert_eq!(two.repository.lapsed(None, 9).await, Ok(Vec::new()));
    gate.open();
    two.reaches(&sound, TaskState::Completed).await;
    two.quiet().await;
    two.passes(LEASE_MS).await;
    assert_eq!(
        two.sweep(&agent).await,
        Swept::default(),
        "it is not held any more"
    );
    // Whoever asks is told.
    let error = two
        .send(&agent, &damaged, "more", Wait::Accepted)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::DataLoss);
    // Exactly one take-over was counted.
    let seen = Lapsed {
        scope: two.scope.clone(),
        task_id: damaged.clone(),
        epoch: 2,
        attempt: 1,
        lease_until_ms: 0,
    };
    assert!(
        two.execute("UPDATE task SET lease_until_ms = 1 WHERE lease_until_ms = 0")
            .await
    );
    assert_eq!(two.repository.take_over(&seen, Duration::ZERO).await, Ok(true));
}

/// The same for whoever sends a message before the sweep comes.
#[tokio::main(flavor = "current_thread")]
pub async fn a_message_for_a_damaged_task_is_told_of_the_damage() {
    let (one, gate) = (Bed::timed(), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).restarting().agent();
    let id = one.accepted(&agent).await.id;
    one.reaches(&id, TaskState::Working).await;
    one.dies().await;
    assert!(one.execute("DELETE FROM task_log").await, "a test for databases");
    one.passes(LEASE_MS).await;
    let two = one.beside();
    for _ in 0..2 {
        let error = two.send(&agent, &id, "more", Wait::Accepted).await.unwrap_err();
        assert_eq!(error.kind, Kind::DataLoss);
    }
    two.quiet().await;
}

/// A fault once: what the database refused for good was sent again and again, and the slot was held for ever.
#[tokio::test]
pub async fn what_cant_be_stored_ends_its_task() {
    let (bed, gate) = (Bed::timed(), Gate::closed());
    let options = AgentOptions {
        executions_max: 1,
        ..AgentOptions::default()
    };
    let agent = Scripted::new(completing_behind(&gate)).with(options);
    let mut stream = bed.stream(&agent, "go").await;
    let first = next(&mut stream).await;
    let Ok(a2ad::pb::stream_response::Payload::Task(opening)) = first.decode() else {
        panic!("{first:?}")
    };
    bed.reaches(&opening.id, TaskState::Working).await;
    let refused = async {
        eventually(async || bed.engine.running() == 1).await;
        bed.repository.fail([Fault::Refuse]);
        gate.open();
    };
    let (told, ()) = tokio::join!(bed.settled(&agent, &opening.id), refused);
    assert_eq!(told.unwrap_err().kind, Kind::Internal);
    bed.reaches(&opening.id, TaskState::Failed).await;
    let last = all(stream).await.pop().expect("the end");
    assert_eq!(last.state, Some(TaskState::Failed));
    bed.quiet().await;
    bed.log(&opening.id).await;
    // The slot is free, and a new task that can't be stored is refused and gone.
    bed.repository.fail([Fault::Refuse]);
    let refused = bed.start(&agent, "go", Wait::Accepted).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Internal);
    bed.quiet().await;
    gate.open();
    bed.start(&agent, "go", Wait::Settled).await.unwrap();
    bed.quiet().await;
}
