//! An agent that does what its message says, step by step as the test allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::agent::{AgentError, AgentExecutor, CancelOutcome, RequestContext, TaskUpdater};
use a2ad::pb::part::Content;
use a2ad::pb::{AgentCapabilities, AgentCard, Artifact, Part};
use tokio::sync::Semaphore;

/// Commands are the first word of the text: `hold` works until the test lets it go and completes; `steps N` writes an
/// artifact for each step that the test allows, and `steps N BYTES` one of that size; `stubborn` is `hold` and refuses
/// to be canceled; `broken` appends to an artifact that does not exist; `seen` says what it knows of its request;
/// `panic` panics at once and `panic late` behind its first update; `fragile` is `hold` and panics when it is asked to
/// cancel.
#[derive(Clone)]
pub struct Puppet {
    go: Arc<Semaphore>,
    runs: Arc<AtomicUsize>,
}

impl Default for Puppet {
    fn default() -> Self {
        Self {
            go: Arc::new(Semaphore::new(0)),
            runs: Arc::default(),
        }
    }
}

impl Puppet {
    /// Lets the next `steps` steps happen.
    pub fn allow(&self, steps: usize) {
        self.go.add_permits(steps);
    }

    /// How often the agent was run.
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::Acquire)
    }

    async fn step(&self) {
        self.go.acquire().await.expect("never closed").forget();
    }
}

#[async_trait::async_trait]
impl AgentExecutor for Puppet {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        self.runs.fetch_add(1, Ordering::AcqRel);
        let text = request.text().into_owned();
        let (command, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match command {
            "broken" => updater.chunk(artifact("none", "x"), true, true).await?,
            "panic" => {
                if rest == "late" {
                    updater.working().await?;
                    tokio::task::yield_now().await;
                }
                panic!("on purpose");
            }
            "seen" => updater.artifact(artifact("seen", &seen(&request).await)).await?,
            _ => {
                updater.working().await?;
                let (count, bytes) = rest.split_once(' ').unwrap_or((rest, "1"));
                let text = "x".repeat(bytes.parse().unwrap_or(1));
                for step in 0..count.parse().unwrap_or(0) {
                    self.step().await;
                    updater.artifact(artifact(&format!("step-{step}"), &text)).await?;
                }
                self.step().await;
            }
        }
        updater.complete().await?;
        Ok(())
    }

    async fn cancel(&self, request: &RequestContext) -> CancelOutcome {
        assert!(!request.text().starts_with("fragile"), "on purpose");
        if request.text().starts_with("stubborn") {
            return CancelOutcome::Refused("not now".to_owned());
        }
        CancelOutcome::Canceled(None)
    }
}

async fn seen(request: &RequestContext) -> String {
    let referenced = request.referenced_tasks().await;
    let ids: Vec<&str> = referenced.iter().map(|task| task.id.as_str()).collect();
    format!(
        "extensions={} references={} trace={}",
        request.extensions.join("+"),
        ids.join("+"),
        request.trace.as_ref().map_or("none", |trace| trace.trace_id()),
    )
}

fn artifact(id: &str, text: &str) -> Artifact {
    let part = Part {
        content: Some(Content::Text(text.to_owned())),
        ..Part::default()
    };
    Artifact {
        artifact_id: id.to_owned(),
        name: id.to_owned(),
        parts: vec![part],
        ..Artifact::default()
    }
}

/// What the agent says about itself.
pub fn card() -> AgentCard {
    AgentCard {
        name: "Puppet".to_owned(),
        description: "Does what its message says".to_owned(),
        version: "1".to_owned(),
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            ..AgentCapabilities::default()
        }),
        default_input_modes: vec!["text/plain".to_owned()],
        default_output_modes: vec!["text/plain".to_owned()],
        ..AgentCard::default()
    }
}
