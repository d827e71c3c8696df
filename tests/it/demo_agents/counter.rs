//! The counter.

use a2ad::agent::{AgentExecutor as _, Recovery};
use a2ad::pb::{Artifact, Task};

use super::counter_agent::{CounterAgent, card};
use super::harness::{answers, check_card, lines, request_on, run, text, user_message};

#[tokio::test]
async fn it_counts_one_chunk_a_number() {
    let said = answers(&CounterAgent, "m", "3:0").await;
    assert_eq!(
        said,
        [
            "Working",
            "First: 1",
            "Next: 2",
            "Last: 3",
            "Completed: attempts: 1"
        ]
    );
}

#[tokio::test]
async fn it_goes_on_behind_what_the_task_has() {
    let message = user_message("m", vec![text("4:0")]);
    let numbers = Artifact {
        artifact_id: "numbers".to_owned(),
        parts: vec![text("1"), text("2")],
        ..Artifact::default()
    };
    let task = Task {
        artifacts: vec![numbers],
        history: vec![message],
        ..Task::default()
    };
    let said = lines(&run(&CounterAgent, request_on(task)).await);
    assert_eq!(said[1..3], ["Next: 3", "Last: 4"]);
    assert_eq!(said.len(), 4);
}

#[tokio::test]
async fn other_texts_are_rejected_with_the_form() {
    for wrong in ["", "3", "0:1", "x:1", "1:x", "1:3600001", "100001:1", "1:1:1"] {
        let said = answers(&CounterAgent, "m", wrong).await;
        assert!(
            said.len() == 1 && said[0].contains("COUNT:PAUSE_MS"),
            "{wrong}: {said:?}"
        );
    }
}

#[test]
fn it_blocks_and_starts_again() {
    assert!(CounterAgent.is_blocking());
    assert_eq!(CounterAgent.recovery(), Recovery::Restart);
    check_card(&card());
}
