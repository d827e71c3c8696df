//! The echo agent: gives back what it receives, whatever kind of parts that is, and says how much it was.
//!
//! It is the agent to read first, and the one that measures what the runtime itself costs: it writes exactly
//! one artifact and one status and never waits for anything else.

use std::fmt;
use std::sync::Arc;

use a2ad::agent::{AgentError, AgentExecutor, RequestContext, TaskUpdater};
use a2ad::pb::part::Content;
use a2ad::pb::{AgentCapabilities, AgentCard, AgentSkill, Artifact, Part};

/// Returns every message as an artifact named `echo` and completes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoAgent;

#[async_trait::async_trait]
impl AgentExecutor for EchoAgent {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        let analysis = Tally::of(&request.message.parts).to_string();
        // The message is taken apart if nobody else holds it; only otherwise are its parts copied.
        let parts =
            Arc::try_unwrap(request.message).map_or_else(|shared| shared.parts.clone(), |own| own.parts);
        updater.artifact(echo_of(parts)).await?;
        updater.complete_with(&analysis).await?;
        Ok(())
    }
}

/// What the agent says about itself; the runtime adds the interfaces.
pub fn card() -> AgentCard {
    AgentCard {
        name: "Echo".to_owned(),
        description: "Returns every part of a message unchanged and counts what it received".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            ..AgentCapabilities::default()
        }),
        default_input_modes: vec!["*/*".to_owned()],
        default_output_modes: vec!["*/*".to_owned()],
        skills: vec![AgentSkill {
            id: "echo".to_owned(),
            name: "Echo".to_owned(),
            description: "Text, bytes, links and data come back as an artifact, with a short analysis"
                .to_owned(),
            tags: vec!["echo".to_owned(), "demo".to_owned()],
            examples: vec!["hello world".to_owned()],
            ..AgentSkill::default()
        }],
        ..AgentCard::default()
    }
}

/// A task is echoed once and then complete, so the artifact needs no id of its own making.
fn echo_of(parts: Vec<Part>) -> Artifact {
    Artifact {
        artifact_id: "echo".to_owned(),
        name: "echo".to_owned(),
        parts,
        ..Artifact::default()
    }
}

/// What was counted in a message.
#[derive(Default)]
struct Tally {
    texts: usize,
    characters: usize,
    words: usize,
    raws: usize,
    urls: usize,
    data: usize,
}

impl Tally {
    fn of(parts: &[Part]) -> Self {
        let mut tally = Self::default();
        for part in parts {
            match &part.content {
                Some(Content::Text(text)) => tally.count_text(text),
                Some(Content::Raw(_)) => tally.raws += 1,
                Some(Content::Url(_)) => tally.urls += 1,
                Some(Content::Data(_)) => tally.data += 1,
                None => {}
            }
        }
        tally
    }

    fn count_text(&mut self, text: &str) {
        self.texts += 1;
        self.characters += text.chars().count();
        self.words += words(text);
    }
}

/// The words of a text. Most texts are ASCII, for which bytes are enough.
fn words(text: &str) -> usize {
    if text.is_ascii() {
        let is_word = |word: &&[u8]| !word.is_empty();
        return text
            .as_bytes()
            .split(u8::is_ascii_whitespace)
            .filter(is_word)
            .count();
    }
    text.split_whitespace().count()
}

/// `echo: 11 characters, 2 words, 1 raw part`: text in characters and words, the other kinds in parts.
impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("echo:")?;
        let mut separator = "";
        for (count, present, unit) in [
            (self.characters, self.texts > 0, "character"),
            (self.words, self.texts > 0, "word"),
            (self.raws, self.raws > 0, "raw part"),
            (self.urls, self.urls > 0, "url part"),
            (self.data, self.data > 0, "data part"),
        ] {
            if present {
                let plural = if count == 1 { "" } else { "s" };
                write!(out, "{separator} {count} {unit}{plural}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}
