//! The conformance agent: every row of its table.

use std::sync::Arc;

use a2ad::agent::{AgentExecutor as _, CancelOutcome, RequestContext};
use a2ad::pb::part::Content;
use a2ad::pb::{Message, Part, Role};
use bytes::Bytes;

use super::conformance_agent::{ConformanceAgent, InstructionHandler, card, extended_card};
use super::harness::{answers, check_card, lines, part, request, run, text, times_ms, user_message};

/// What each prefix leads to.
const ROWS: &[(&str, &[&str])] = &[
    ("tck-complete-task", &["Completed: Hello from TCK"]),
    (
        "tck-input-required",
        &["InputRequired: Input required: send another message"],
    ),
    ("tck-multi-turn", &["InputRequired"]),
    (
        "tck-auth-required",
        &["AuthRequired: Authorization required: log in to go on"],
    ),
    ("tck-reject-task", &["Rejected: Task rejected, as asked"]),
    ("tck-task-failure", &["Failed: Task failed, as asked"]),
    ("tck-message-response", &["Reply: Direct message response"]),
    (
        "tck-artifact-text",
        &["Artifact: Generated text content", "Completed"],
    ),
    (
        "tck-artifact-file",
        &["Artifact: raw output.txt text/plain b\"tck\"", "Completed"],
    ),
    (
        "tck-artifact-file-url",
        &[
            "Artifact: url output.txt text/plain https://example.com/output.txt",
            "Completed",
        ],
    ),
    ("tck-cancel", &["Working"]),
    (
        "tck-long-running",
        &[
            "Working",
            "Working",
            "Working",
            "Working",
            "Working",
            "Artifact: Long-running output",
            "Completed",
        ],
    ),
    (
        "tck-delayed-complete",
        &["Working", "Completed: Done after delay"],
    ),
    (
        "tck-stream-001",
        &["Working", "Artifact: Stream hello from TCK", "Completed"],
    ),
    ("tck-stream-002", &["Completed"]),
    (
        "tck-stream-003",
        &["Working", "Artifact: Stream task lifecycle", "Completed"],
    ),
    (
        "tck-stream-ordering-001",
        &["Working", "Artifact: Ordered output", "Completed"],
    ),
    (
        "tck-stream-basic",
        &["Working", "Artifact: Stream basic output", "Completed"],
    ),
    (
        "tck-stream-artifact-text",
        &["Working", "Artifact: Streamed text content", "Completed"],
    ),
    (
        "tck-stream-artifact-file",
        &[
            "Working",
            "Artifact: raw output.txt text/plain b\"tck\"",
            "Completed",
        ],
    ),
    (
        "tck-stream-artifact-chunked",
        &["Working", "First: chunk-1 ", "Last: chunk-2", "Completed"],
    ),
    (
        "tck-stream-chunked",
        &["Working", "First: chunk-1 ", "Last: chunk-2", "Completed"],
    ),
    (
        "test-resubscribe-message-id",
        &[
            "Working",
            "Working",
            "Working",
            "Working",
            "Working",
            "Working",
            "Working",
            "Working",
            "Working",
            "Completed",
        ],
    ),
];

fn agent() -> ConformanceAgent {
    ConformanceAgent::default()
}

fn says(id: &str, said: &str) -> Message {
    user_message(id, vec![text(said)])
}

/// What the last of these messages, all by the user, leads to.
async fn talk(history: &[Message]) -> Vec<String> {
    lines(&run(&agent(), request(history.to_vec())).await)
}

#[tokio::test(start_paused = true)]
async fn every_row_is_found_by_message_id_and_by_first_word() {
    for (prefix, expected) in ROWS {
        assert_eq!(answers(&agent(), prefix, "x").await, *expected, "{prefix}");
        assert_eq!(
            answers(&agent(), &format!("{prefix}-0af3"), "x").await,
            *expected,
            "{prefix}"
        );
        assert_eq!(
            answers(&agent(), "m", &format!("{prefix} and more")).await,
            *expected,
            "{prefix}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_update_comes_at_once() {
    // The agent may reply, so the caller is not answered before it.
    assert!(agent().may_reply());
    for (prefix, _) in ROWS {
        let seen = run(&agent(), request(vec![says(prefix, "x")])).await;
        assert_eq!(times_ms(&seen)[0], 0, "{prefix}");
    }
}

#[tokio::test]
async fn data_comes_as_a_struct() {
    let lines = answers(&agent(), "tck-artifact-data", "x").await;
    assert!(
        lines[0].starts_with("Artifact: data") && lines[0].contains("42.0") && lines[0].contains("\"value\"")
    );
    assert_eq!(lines[1..], ["Completed"]);
}

#[tokio::test(start_paused = true)]
async fn the_timed_rows_keep_their_times() {
    for (prefix, expected) in [
        ("tck-delayed-complete", &[0, 2_000][..]),
        ("tck-long-running", &[0, 1_000, 2_000, 3_000, 4_000, 5_000, 5_000]),
        (
            "test-resubscribe-message-id",
            &[0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500],
        ),
    ] {
        let times = times_ms(&run(&agent(), request(vec![says(prefix, "x")])).await);
        // Every pause may end a millisecond late.
        let close = times
            .iter()
            .zip(expected)
            .all(|(ms, due)| (*due..=due + 10).contains(ms));
        assert!(times.len() == expected.len() && close, "{prefix}: {times:?}");
    }
}

#[tokio::test]
async fn the_message_id_goes_before_the_text() {
    let lines = answers(&agent(), "tck-stream-002", "tck-reject-task").await;
    assert_eq!(lines, ["Completed"]);
}

#[tokio::test]
async fn anything_else_completes_and_names_the_message() {
    assert_eq!(
        answers(&agent(), "id-7", "hello tck-reject-task").await,
        ["Completed: Completed message id-7"]
    );
    let seen = run(&agent(), request(vec![user_message("id-8", Vec::new())])).await;
    assert_eq!(lines(&seen), ["Completed: Completed message id-8"]);
}

#[tokio::test]
async fn multi_turn_goes_on_until_done() {
    let first = says("tck-multi-turn-1", "begin");
    assert_eq!(talk(&[first.clone(), says("m", "more")]).await, ["InputRequired"]);
    assert_eq!(talk(&[first.clone(), says("m", "done")]).await, ["Completed"]);
    assert_eq!(
        talk(&[first, says("tck-multi-turn-1", "done")]).await,
        ["Completed"]
    );
}

#[tokio::test]
async fn a_follow_up_keeps_the_behaviour_unless_it_names_another() {
    let asks = "InputRequired: Input required: send another message";
    let first = says("tck-input-required-1", "x");
    assert_eq!(talk(&[first.clone(), says("m", "y")]).await, [asks]);
    assert_eq!(
        talk(&[first.clone(), says("tck-input-required-1", "y")]).await,
        [asks]
    );
    assert_eq!(
        talk(&[first.clone(), says("tck-complete-task-2", "y")]).await,
        ["Completed: Hello from TCK"]
    );
    // Only the beginning counts, not what came between, and only what the user said.
    assert_eq!(
        talk(&[first.clone(), says("tck-reject-task", "y"), says("m", "z")]).await,
        [asks]
    );
    let agent_said = Message {
        role: Role::Agent.into(),
        ..says("tck-reject-task", "x")
    };
    assert_eq!(talk(&[agent_said, first, says("m", "y")]).await, [asks]);
    assert_eq!(
        talk(&[says("a", "x"), says("b", "y")]).await,
        ["Completed: Completed message b"]
    );
}

#[tokio::test]
async fn a_cancel_is_granted() {
    let outcome = agent().cancel(&request(vec![says("tck-cancel", "x")])).await;
    assert_eq!(outcome, CancelOutcome::Canceled(None));
}

struct Reader;

#[async_trait::async_trait]
impl InstructionHandler for Reader {
    async fn handle(&self, instruction: Bytes, _request: &RequestContext) -> Result<String, String> {
        String::from_utf8(instruction.to_vec()).map_err(|_| "not readable".to_owned())
    }
}

fn instruction(bytes: &'static [u8], filename: &str, media_type: &str) -> Vec<Part> {
    let raw = part(Content::Raw(Bytes::from_static(bytes)));
    vec![Part {
        filename: filename.to_owned(),
        media_type: media_type.to_owned(),
        ..raw
    }]
}

#[tokio::test]
async fn instructions_go_to_the_handler() {
    let agent = ConformanceAgent {
        instructions: Some(Arc::new(Reader)),
    };
    for (bytes, expected) in [
        (&b"text"[..], "Completed: text"),
        (&b"\xff"[..], "Failed: not readable"),
    ] {
        let parts = instruction(bytes, "instruction.bin", "application/x-protobuf");
        let seen = run(&agent, request(vec![user_message("m", parts)])).await;
        assert_eq!(lines(&seen), ["Working", expected]);
    }
    for (filename, media_type) in [
        ("instruction.bin", "text/plain"),
        ("other.bin", "application/x-protobuf"),
    ] {
        let message = user_message("m", instruction(b"text", filename, media_type));
        assert_eq!(
            lines(&run(&agent, request(vec![message])).await),
            ["Completed: Completed message m"]
        );
    }
}

#[tokio::test]
async fn instructions_are_rejected_without_a_handler() {
    let parts = instruction(b"text", "instruction.bin", "application/x-protobuf");
    let lines = talk(&[user_message("m", parts)]).await;
    assert_eq!(lines, ["Rejected: this build has no instruction handler"]);
}

#[test]
fn the_card_declares_everything_and_lists_its_input_modes_one_by_one() {
    check_card(&card());
    let declared = card().capabilities.expect("capabilities");
    assert_eq!(declared.streaming, Some(true));
    assert_eq!(declared.push_notifications, Some(true));
    assert_eq!(declared.extended_agent_card, Some(true));
    check_card(&extended_card());
    assert_eq!(extended_card().skills.len(), card().skills.len() + 1);
    assert!(card().default_input_modes.iter().all(|mode| !mode.contains('*')));
}
