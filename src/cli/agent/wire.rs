//! `--debug`: what goes over the wire, on standard error, and never a credential (a2a-cli specification 7.2 and 12.1).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use a2ad::client::{Answer, Call, Error, EventStream, Reply, Request, Target, transport::Transport};
use a2ad::config::{MASK, Secret};
use a2ad::pb::json;
use futures_util::StreamExt as _;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use tower::Service;

use super::options::Options;
use super::page::one_line;

/// The most letters of one message that are shown.
const LETTERS_MAX: usize = 16 << 10;
/// A service parameter is hidden where its value occurs elsewhere too, unless it is shorter than this.
const LETTERS_MIN: usize = 6;

/// Parameters that carry no credential; the values of all others that go out are hidden.
const SHOWN: [&str; 10] = [
    "a2a-extensions",
    "a2a-version",
    "a2ad-budget",
    "a2ad-first-generation",
    "a2ad-hops",
    "a2ad-last-generation",
    "idempotency-key",
    "traceparent",
    "x-request-id",
    "x-trace-id",
];
/// Members of messages whose names speak of a secret.
const HIDDEN: [&str; 9] = [
    "token",
    "secret",
    "password",
    "credential",
    "authorization",
    "apikey",
    "api_key",
    "api-key",
    "cookie",
];
/// Members whose names only sound like it.
const OPEN: [&str; 2] = ["pageToken", "nextPageToken"];

/// Writes what happens to standard error.
#[derive(Clone)]
pub struct Wire(Arc<[Secret<String>]>);

impl Wire {
    /// Knows the secrets of these options, and hides them wherever they occur.
    pub fn new(options: &Options) -> Self {
        let credentials = &options.credentials;
        let given = credentials.bearer.iter().chain(&credentials.api_key).cloned();
        let parameters = options.to.svc_param.iter().filter_map(|(_, value)| {
            let text = value.to_str().ok()?;
            (text.len() >= LETTERS_MIN).then(|| Secret::new(text.to_owned()))
        });
        let plain: Vec<Secret<String>> = given.chain(parameters).collect();
        // As they stand in JSON, where quotes are escaped.
        let escaped = plain
            .iter()
            .map(|secret| Secret::new(secret.expose().escape_debug().to_string()));
        Self(escaped.chain(plain.iter().cloned()).collect())
    }

    /// One line.
    pub fn say(&self, text: &str) {
        tell!("debug: {}", one_line(&self.without_secrets(text)));
    }

    /// The binding of an agent, whose calls are shown.
    pub fn around(self, inner: Transport, target: &Target) -> Transport {
        let place = format!("{} {}", target.binding.as_str(), target.url);
        Transport::new(Shown {
            inner,
            place: place.into(),
            wire: self,
        })
    }

    fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &*self.0 {
            if text.contains(&**secret.expose()) {
                text = text.replace(&**secret.expose(), MASK);
            }
        }
        text
    }

    fn parameters(&self, sign: char, parameters: &HeaderMap) {
        for (name, value) in parameters {
            let speaks_of_secret = HIDDEN.iter().any(|word| name.as_str().contains(word));
            let is_known = SHOWN.contains(&name.as_str());
            // What goes out may be a credential under any name; what comes in is the agent's.
            let shown = !value.is_sensitive() && (is_known || (sign == '<' && !speaks_of_secret));
            let value = if shown {
                value.to_str().unwrap_or("(bytes)")
            } else {
                MASK
            };
            self.say(&format!("{sign} {name}: {value}"));
        }
    }

    fn message<T: Serialize>(&self, sign: char, message: &T) {
        let value = json::to_vec(message)
            .ok()
            .and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        let Some(mut value) = value else { return };
        hide(&mut value);
        let mut text = self.without_secrets(&value.to_string());
        if let Some((end, _)) = text.char_indices().nth(LETTERS_MAX) {
            let left_out = text.len() - end;
            text.truncate(end);
            text.push_str(&format!(" … {left_out} bytes more"));
        }
        self.say(&format!("{sign} {text}"));
    }

    fn request(&self, request: &Request) {
        match request {
            Request::SendMessage(message) | Request::SendStreamingMessage(message) => {
                self.message('>', message);
            }
            Request::GetTask(message) => self.message('>', message),
            Request::ListTasks(message) => self.message('>', message),
            Request::CancelTask(message) => self.message('>', message),
            Request::SubscribeToTask(message, _) => self.message('>', message),
            Request::CreateTaskPushNotificationConfig(message) => self.message('>', message),
            Request::GetTaskPushNotificationConfig(message) => self.message('>', message),
            Request::ListTaskPushNotificationConfigs(message) => self.message('>', message),
            Request::DeleteTaskPushNotificationConfig(message) => self.message('>', message),
            Request::GetExtendedAgentCard(message) => self.message('>', message),
        }
    }

    fn answer(&self, answer: Answer) -> Answer {
        match &answer {
            Answer::Sent(message) => self.message('<', message),
            Answer::Task(message) => self.message('<', message),
            Answer::Tasks(message) => self.message('<', message),
            Answer::PushConfig(message) => self.message('<', message),
            Answer::PushConfigs(message) => self.message('<', message),
            Answer::Card(message) => self.message('<', message),
            Answer::Deleted => self.say("< {}"),
            Answer::Events(_) => {}
        }
        match answer {
            Answer::Events(events) => {
                let wire = self.clone();
                Answer::Events(EventStream::new(events.inspect(move |event| match event {
                    Ok(event) => wire.message('<', &event.response),
                    Err(error) => wire.say(&format!("! {error}")),
                })))
            }
            answer => answer,
        }
    }
}

/// Hides the texts of members whose names speak of a secret.
fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let lower = name.to_ascii_lowercase();
                let is_secret =
                    HIDDEN.iter().any(|word| lower.contains(word)) && !OPEN.contains(&name.as_str());
                match member {
                    Value::String(text) if is_secret => MASK.clone_into(text),
                    member => hide(member),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(hide),
        _ => {}
    }
}

/// A binding whose calls are shown.
#[derive(Clone)]
struct Shown {
    inner: Transport,
    place: Arc<str>,
    wire: Wire,
}

impl Service<Call> for Shown {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let wire = self.wire.clone();
        wire.say(&format!("> {} by {}", call.method().as_str(), self.place));
        wire.parameters('>', &call.parameters);
        for (name, _) in &call.query {
            wire.say(&format!("> ?{name}={MASK}"));
        }
        wire.request(&call.request);
        for (part, content) in call.uploads.iter() {
            let (length, name) = (content.length(), content.name());
            wire.say(&format!(
                "> part {part} is sent behind it: {length} bytes of {name}"
            ));
        }
        let begun = Instant::now();
        let reply = self.inner.call(call);
        Box::pin(async move {
            match reply.await {
                Ok(reply) => {
                    wire.say(&format!("< answered after {:?}", begun.elapsed()));
                    wire.parameters('<', &reply.parameters);
                    Ok(Reply {
                        answer: wire.answer(reply.answer),
                        ..reply
                    })
                }
                Err(error) => {
                    wire.say(&format!("! failed after {:?}: {error}", begun.elapsed()));
                    if let Error::Agent(error) = &error {
                        wire.say(&format!(
                            "! {} {:?} {:?} {:?}",
                            error.code, error.kind, error.metadata, error.violations
                        ));
                    }
                    Err(error)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_speak_of_secrets_are_hidden_at_every_depth() {
        let mut value = serde_json::json!({
            "pageToken": "shown", "token": "hidden", "list": [{"Authorization": "hidden", "text": "shown"}],
            "authentication": {"scheme": "shown", "credentials": "hidden"}, "secrets": {"a": "shown"},
        });
        hide(&mut value);
        let text = value.to_string();
        assert_eq!(
            (text.matches("hidden").count(), text.matches("shown").count()),
            (0, 4)
        );
    }
}
