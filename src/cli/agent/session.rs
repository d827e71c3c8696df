//! What a command has at hand: its options, where they come from, where results go, and the task that it is about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use a2ad::client::upload::Pace;
use a2ad::context::Binding;

use super::config::{Setting, Sources};
use super::failure::{CREDENTIALS_HINT, Code, Failure};
use super::options::Options;
use super::out::{Format, Out};
use super::progress::Progress;
use super::secrets::Secrets;

/// One run of a command.
pub struct Session {
    pub options: Options,
    pub sources: Sources,
    pub out: Out,
    /// What `--timeout` counts from while a file is sent.
    pub pace: Pace,
    /// Whether the user was warned of what may give secrets away.
    pub is_warned: AtomicBool,
    /// Whether the token of a login is shown to the agent.
    pub is_signed_in: AtomicBool,
    /// The task that the command is about, as soon as it is known.
    task: Mutex<Option<String>>,
}

impl Session {
    pub fn new(options: Options, sources: Sources) -> Self {
        let secrets = Secrets::of(&options, &sources);
        Self::knowing(secrets, options, sources)
    }

    fn knowing(secrets: Secrets, options: Options, sources: Sources) -> Self {
        let out = Out {
            format: options.output.output,
            is_verbose: options.output.verbose,
            progress: Progress::new(options.output.debug, secrets.clone()),
            secrets,
        };
        Self {
            options,
            sources,
            out,
            pace: Pace::default(),
            is_warned: AtomicBool::default(),
            is_signed_in: AtomicBool::default(),
            task: Mutex::default(),
        }
    }

    /// The same by one binding.
    pub fn by(&self, binding: Binding) -> Self {
        let mut options = self.options.clone();
        options.to.transport = vec![binding];
        Self::knowing(self.out.secrets.clone(), options, self.sources.clone())
    }

    /// Remembers the task, so that a caller who has to give up is told how to go on.
    pub fn is_about(&self, task_id: &str) {
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(task_id.to_owned());
    }

    /// The command with these words, to the same agent in the same way. Secrets are not among what it names.
    pub fn command(&self, words: &[&str]) -> String {
        let mut line = vec!["a2ad".to_owned()];
        line.extend(words.iter().map(|word| quoted(word)));
        line.extend(to_the_same_agent(&self.options));
        line.join(" ")
    }

    /// Whether results are text.
    pub fn is_text(&self) -> bool {
        self.out.format == Format::Text
    }

    /// Whether several results are printed one by one, and not as one document.
    pub fn is_one_by_one(&self) -> bool {
        self.is_text() || self.options.output.stream
    }

    /// Whether anything is shown to the agent that says who one is.
    fn shows_credential(&self) -> bool {
        let (to, credentials) = (&self.options.to, &self.options.credentials);
        credentials.bearer.is_some()
            || credentials.api_key.is_some()
            || to.cert.is_some()
            || self.has_client()
            || self.is_signed_in.load(Ordering::Relaxed)
    }

    /// Whether there is a client of an authorization server.
    pub fn has_client(&self) -> bool {
        ["client-id", "client-secret"].into_iter().any(|name| {
            let setting = Setting::of(name);
            setting.is_some_and(|one| self.options.given.effective(one, &self.sources).0.is_some())
        })
    }

    /// The failure as it is for this caller: who showed no credential has none to correct.
    pub fn judged(&self, failure: Failure) -> Failure {
        if failure.code != Code::AuthFailed || self.shows_credential() {
            return failure;
        }
        Failure {
            code: Code::CredentialsMissing,
            hint: Some(CREDENTIALS_HINT.to_owned()),
            ..failure
        }
    }

    /// The time is over.
    pub fn timeout(&self, limit: Duration) -> Failure {
        let known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(id) => {
                let message = format!("task {id} has not ended within {limit:?}; it goes on");
                let hint = self.command(&["task", "get", id, "--wait"]);
                Failure::new(Code::Timeout, message).with_hint(hint)
            }
            None => Failure::new(Code::Timeout, format!("nothing came within {limit:?}"))
                .with_hint("wait longer with --timeout; --debug shows what was tried"),
        }
    }
}

/// The options of this command line that lead to the agent.
fn to_the_same_agent(all: &Options) -> Vec<String> {
    let mut options = Vec::new();
    if let Some(file) = &all.config {
        options.push(format!("--config {}", quoted(&file.to_string_lossy())));
    }
    for name in [
        "agent-card",
        "transport",
        "a2a-version",
        "extension",
        "ca",
        "cert",
        "key",
        "insecure",
        "credential-origin",
        "api-key-header",
    ] {
        for value in all.given.values(name) {
            match name {
                "agent-card" => options.push(format!("-a {}", quoted(value))),
                "insecure" => options.push(format!("--insecure={value}")),
                _ => options.push(format!("--{name} {}", quoted(value))),
            }
        }
    }
    options
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, shell) in [
            ("a-1", "a-1"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's $x", r"'it'\''s $x'"),
        ] {
            assert_eq!(quoted(word), shell);
        }
    }
}
