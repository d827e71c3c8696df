//! The behaviours that the kits know, as scripts of steps, and the player.

use std::time::Duration;

use a2ad::agent::{RequestContext, TaskUpdater, UpdateError};
use a2ad::pb::part::Content;
use a2ad::pb::value::Kind;
use a2ad::pb::{Artifact, Message, Part, Struct, TaskState, Value};
use bytes::Bytes;

use Step::{Artifact as Output, Chunk, CompleteIfDone, NameMessage, Reply, Say, Wait, Working, WorkingEvery};

/// A behaviour. The first step always is an update, see `may_reply`.
#[derive(Clone, Copy)]
pub struct Script(&'static [Step]);

/// What version 1.0 of the protocol expects of a message that names no behaviour.
pub const DEFAULT: Script = Script(&[NameMessage]);

enum Step {
    /// WORKING.
    Working,
    /// WORKING, then a pause of so many milliseconds, so many times.
    WorkingEvery { pause_ms: u64, times: u32 },
    /// Silence until the task is canceled.
    Wait,
    /// A whole artifact.
    Artifact(Sample),
    /// A chunk of text of the one artifact.
    Chunk {
        text: &'static str,
        append: bool,
        last: bool,
    },
    /// A state with a message, or without one if the text is empty.
    Say(TaskState, &'static str),
    /// COMPLETED if the message is the word `done`, else INPUT_REQUIRED. Neither carries a message, so that
    /// the history holds the user's messages in order and nothing between them.
    CompleteIfDone,
    /// COMPLETED with a message that names the message answered.
    NameMessage,
    /// A direct message instead of a task.
    Reply(&'static str),
}

/// What an artifact holds.
enum Sample {
    Text(&'static str),
    File,
    FileUrl,
    Data,
}

const COMPLETE: Step = Say(TaskState::Completed, "");

/// Which prefix asks for what. One row per line, to be compared with the table in the README.
#[rustfmt::skip]
const SCRIPTS: &[(&str, &[Step])] = &[
    ("tck-complete-task", &[Say(TaskState::Completed, "Hello from TCK")]),
    ("tck-input-required", &[Say(TaskState::InputRequired, "Input required: send another message")]),
    ("tck-multi-turn", &[CompleteIfDone]),
    ("tck-auth-required", &[Say(TaskState::AuthRequired, "Authorization required: log in to go on")]),
    ("tck-reject-task", &[Say(TaskState::Rejected, "Task rejected, as asked")]),
    ("tck-task-failure", &[Say(TaskState::Failed, "Task failed, as asked")]),
    ("tck-message-response", &[Reply("Direct message response")]),
    ("tck-artifact-text", &[Output(Sample::Text("Generated text content")), COMPLETE]),
    ("tck-artifact-file", &[Output(Sample::File), COMPLETE]),
    ("tck-artifact-file-url", &[Output(Sample::FileUrl), COMPLETE]),
    ("tck-artifact-data", &[Output(Sample::Data), COMPLETE]),
    ("tck-cancel", &[Working, Wait]),
    ("tck-long-running", LONG_RUNNING),
    ("tck-delayed-complete", DELAYED_COMPLETE),
    ("tck-stream-001", &[Working, Output(Sample::Text("Stream hello from TCK")), COMPLETE]),
    ("tck-stream-002", &[COMPLETE]),
    ("tck-stream-003", &[Working, Output(Sample::Text("Stream task lifecycle")), COMPLETE]),
    ("tck-stream-ordering-001", &[Working, Output(Sample::Text("Ordered output")), COMPLETE]),
    ("tck-stream-basic", &[Working, Output(Sample::Text("Stream basic output")), COMPLETE]),
    ("tck-stream-artifact-text", &[Working, Output(Sample::Text("Streamed text content")), COMPLETE]),
    ("tck-stream-artifact-file", &[Working, Output(Sample::File), COMPLETE]),
    ("tck-stream-artifact-chunked", CHUNKED),
    ("tck-stream-chunked", CHUNKED),
    ("test-resubscribe-message-id", &[WorkingEvery { pause_ms: 500, times: 9 }, COMPLETE]),
];

const LONG_RUNNING: &[Step] = &[
    WorkingEvery {
        pause_ms: 1_000,
        times: 5,
    },
    Output(Sample::Text("Long-running output")),
    COMPLETE,
];

const DELAYED_COMPLETE: &[Step] = &[
    WorkingEvery {
        pause_ms: 2_000,
        times: 1,
    },
    Say(TaskState::Completed, "Done after delay"),
];

const CHUNKED: &[Step] = &[
    Working,
    Chunk {
        text: "chunk-1 ",
        append: false,
        last: false,
    },
    Chunk {
        text: "chunk-2",
        append: true,
        last: true,
    },
    COMPLETE,
];

impl Script {
    /// The script of the longest prefix that `text` begins with.
    pub fn find(text: &str) -> Option<Self> {
        let matching = SCRIPTS.iter().filter(|(prefix, _)| text.starts_with(prefix));
        matching
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, steps)| Self(steps))
    }

    /// Goes through the steps, in answer to the message of `request`.
    pub async fn play(self, request: &RequestContext, updater: &TaskUpdater) -> Result<(), UpdateError> {
        for step in self.0 {
            step.play(request, updater).await?;
        }
        Ok(())
    }
}

impl Step {
    async fn play(&self, request: &RequestContext, updater: &TaskUpdater) -> Result<(), UpdateError> {
        match self {
            Working => updater.working().await,
            WorkingEvery { pause_ms, times } => work(Duration::from_millis(*pause_ms), *times, updater).await,
            Wait => std::future::pending().await,
            Output(sample) => updater.artifact(artifact(sample.part())).await,
            Chunk { text, append, last } => updater.chunk(artifact(text_part(text)), *append, *last).await,
            Say(state, "") => updater.status(*state, None).await,
            Say(state, text) => updater.status(*state, Some(updater.message(text))).await,
            CompleteIfDone => updater.status(done_or_more(request), None).await,
            NameMessage => {
                updater
                    .complete_with(&format!("Completed message {}", request.message.message_id))
                    .await
            }
            Reply(text) => {
                updater
                    .reply(Message {
                        task_id: String::new(),
                        ..updater.message(text)
                    })
                    .await
            }
        }
    }
}

async fn work(pause: Duration, times: u32, updater: &TaskUpdater) -> Result<(), UpdateError> {
    for _ in 0..times {
        updater.working().await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

fn done_or_more(request: &RequestContext) -> TaskState {
    if request.text().trim() == "done" {
        TaskState::Completed
    } else {
        TaskState::InputRequired
    }
}

/// Every script that has an artifact completes, so a task has only one and its id can stay the same.
fn artifact(part: Part) -> Artifact {
    Artifact {
        artifact_id: "result".to_owned(),
        name: "result".to_owned(),
        parts: vec![part],
        ..Artifact::default()
    }
}

impl Sample {
    fn part(&self) -> Part {
        match self {
            Self::Text(text) => text_part(text),
            Self::File => file_part(Content::Raw(Bytes::from_static(b"tck"))),
            Self::FileUrl => file_part(Content::Url("https://example.com/output.txt".to_owned())),
            Self::Data => part_of(Content::Data(sample_data())),
        }
    }
}

fn part_of(content: Content) -> Part {
    Part {
        content: Some(content),
        ..Part::default()
    }
}

fn text_part(text: &str) -> Part {
    part_of(Content::Text(text.to_owned()))
}

fn file_part(content: Content) -> Part {
    Part {
        filename: "output.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        ..part_of(content)
    }
}

/// `{"key":"value","count":42}`
fn sample_data() -> Value {
    let value = |kind| Value { kind: Some(kind) };
    let fields = [
        ("key".to_owned(), value(Kind::StringValue("value".to_owned()))),
        ("count".to_owned(), value(Kind::NumberValue(42.0))),
    ];
    value(Kind::StructValue(Struct {
        fields: fields.into_iter().collect(),
    }))
}
