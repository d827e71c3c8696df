//! Runs an executor against a queue and writes down what it asks for.

use std::sync::Arc;
use std::time::Duration;

use a2ad::agent::{AgentExecutor, RequestContext, TaskReader, TaskUpdate, UpdateReceiver, channel};
use a2ad::context::{CallContext, Principal};
use a2ad::pb::part::Content;
use a2ad::pb::{AgentCard, Message, Part, Role, Task};
use tokio::time::Instant;

const TASK_ID: &str = "task-1";
const CONTEXT_ID: &str = "context-1";

struct OneTask(Task);

#[async_trait::async_trait]
impl TaskReader for OneTask {
    fn current(&self) -> Task {
        self.0.clone()
    }

    async fn task(&self, _id: &str) -> Option<Task> {
        None
    }
}

/// An update and when it came.
pub struct Seen {
    pub after: Duration,
    pub update: TaskUpdate,
}

pub fn part(content: Content) -> Part {
    Part {
        content: Some(content),
        ..Part::default()
    }
}

pub fn text(text: &str) -> Part {
    part(Content::Text(text.to_owned()))
}

pub fn user_message(id: &str, parts: Vec<Part>) -> Message {
    Message {
        message_id: id.to_owned(),
        role: Role::User.into(),
        parts,
        ..Message::default()
    }
}

/// A request whose message is the last one of `history`.
pub fn request(history: Vec<Message>) -> RequestContext {
    request_on(Task {
        id: TASK_ID.to_owned(),
        context_id: CONTEXT_ID.to_owned(),
        history,
        ..Task::default()
    })
}

/// A request whose message is the last one of the history of `task`.
pub fn request_on(task: Task) -> RequestContext {
    let call = CallContext::detached(Principal::anonymous(), Arc::from("request-1"));
    let message = Arc::new(task.history.last().expect("a message").clone());
    let follow_up = task.history.len() > 1;
    let reader = Arc::new(OneTask(task));
    let mut request = RequestContext::new(&call, Arc::from(TASK_ID), Arc::from(CONTEXT_ID), message, reader);
    request.follow_up = follow_up;
    request
}

/// Everything that the agent writes until it returns or, if it doesn't, until a week is over.
pub async fn run(agent: &impl AgentExecutor, request: RequestContext) -> Vec<Seen> {
    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    // A short queue, so that the agents meet back-pressure.
    let (updater, updates) = channel(Arc::from(TASK_ID), Arc::from(CONTEXT_ID), 2);
    let execution = tokio::time::timeout(WEEK, agent.execute(request, updater));
    let (result, seen) = tokio::join!(execution, collect(updates));
    if let Ok(result) = result {
        result.expect("the agent does not fail");
    }
    seen
}

async fn collect(mut updates: UpdateReceiver) -> Vec<Seen> {
    let start = Instant::now();
    let mut seen = Vec::new();
    while let Some(update) = updates.recv().await {
        seen.push(Seen {
            after: start.elapsed(),
            update: *update,
        });
    }
    seen
}

/// What the agent writes in answer to one text on a new task, one line per update.
pub async fn answers(agent: &impl AgentExecutor, id: &str, said: &str) -> Vec<String> {
    lines(&run(agent, request(vec![user_message(id, vec![text(said)])])).await)
}

pub fn lines(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| line(&seen.update)).collect()
}

/// The time of each update in milliseconds.
pub fn times_ms(seen: &[Seen]) -> Vec<u128> {
    seen.iter().map(|seen| seen.after.as_millis()).collect()
}

/// An update in one line: the state and the words, or how the chunk joins and what it holds.
pub fn line(update: &TaskUpdate) -> String {
    match update {
        TaskUpdate::Status {
            state, message: None, ..
        } => format!("{state:?}"),
        TaskUpdate::Status {
            state,
            message: Some(message),
            ..
        } => {
            assert_eq!(message.task_id, TASK_ID);
            format!("{state:?}: {}", words(message))
        }
        TaskUpdate::Artifact {
            artifact,
            append,
            last_chunk,
            ..
        } => {
            let kind = match (append, last_chunk) {
                (false, true) => "Artifact",
                (false, false) => "First",
                (true, false) => "Next",
                (true, true) => "Last",
            };
            format!(
                "{kind}: {}",
                artifact
                    .parts
                    .iter()
                    .map(describe)
                    .collect::<Vec<_>>()
                    .join(" | ")
            )
        }
        TaskUpdate::Reply(message) => {
            assert_eq!(message.task_id, "");
            format!("Reply: {}", words(message))
        }
    }
}

fn words(message: &Message) -> String {
    assert_eq!(
        (message.role(), message.context_id.as_str()),
        (Role::Agent, CONTEXT_ID)
    );
    assert!(!message.message_id.is_empty());
    message.parts.iter().map(describe).collect::<Vec<_>>().join(" | ")
}

fn describe(part: &Part) -> String {
    match part.content.as_ref().expect("a part has content") {
        Content::Text(text) => text.clone(),
        Content::Raw(raw) => format!("raw {} {} {raw:?}", part.filename, part.media_type),
        Content::Url(url) => format!("url {} {} {url}", part.filename, part.media_type),
        Content::Data(data) => format!("data {data:?}"),
    }
}

/// What every demo card has to have before the runtime adds the interfaces.
pub fn check_card(card: &AgentCard) {
    assert!(!card.name.is_empty() && !card.description.is_empty() && !card.version.is_empty());
    assert!(card.supported_interfaces.is_empty());
    assert!(!card.default_input_modes.is_empty() && !card.default_output_modes.is_empty());
    assert!(card.capabilities.is_some());
    assert!(!card.skills.is_empty());
    for skill in &card.skills {
        assert!(!skill.id.is_empty() && !skill.name.is_empty() && !skill.description.is_empty());
        assert!(!skill.tags.is_empty() && !skill.examples.is_empty());
    }
}
