//! Calls, by their names and interfaces.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use a2ad::client::{Answer, Call, Error, EventStream, Reply, Request, Target, transport::Transport};
use a2ad::context::Binding;
use a2ad::pb::json;
use futures_util::StreamExt as _;
use serde::Serialize;
use tower::Service;

use super::Wire;

/// A binding whose calls are told.
#[derive(Clone)]
pub struct Told {
    inner: Transport,
    place: Arc<str>,
    /// The other bindings have texts, which the exchanges tell as they are.
    is_grpc: bool,
    wire: Wire,
}

impl Told {
    pub fn new(inner: Transport, target: &Target, wire: Wire) -> Self {
        Self {
            inner,
            place: format!("{} {}", target.binding.as_str(), target.url).into(),
            is_grpc: target.binding == Binding::Grpc,
            wire,
        }
    }

    fn message<T: Serialize>(&self, sign: char, message: &T) {
        if !self.is_grpc {
            return;
        }
        let json = json::to_vec(message).unwrap_or_default();
        self.wire.say_message(sign, &String::from_utf8_lossy(&json));
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

    /// What goes out behind the request. By the other bindings it stands in the body, which the exchange tells.
    fn uploads(&self, call: &Call) {
        if !self.is_grpc {
            return;
        }
        for (part, content) in call.uploads.iter() {
            let (length, name) = (content.length(), content.name());
            self.wire.say(&format!(
                "> part {part} is sent behind it: {length} bytes of {name}"
            ));
        }
    }

    fn answer(self, answer: Answer) -> Answer {
        match &answer {
            Answer::Sent(message) => self.message('<', message),
            Answer::Task(message) => self.message('<', message),
            Answer::Tasks(message) => self.message('<', message),
            Answer::PushConfig(message) => self.message('<', message),
            Answer::PushConfigs(message) => self.message('<', message),
            Answer::Card(message) => self.message('<', message),
            Answer::Deleted => self.message('<', &serde_json::json!({})),
            Answer::Events(_) => {}
        }
        match answer {
            Answer::Events(events) => {
                Answer::Events(EventStream::new(events.inspect(move |event| match event {
                    Ok(event) => self.message('<', &event.response),
                    Err(error) => self.wire.say(&format!("! {error}")),
                })))
            }
            answer => answer,
        }
    }

    fn failed(&self, error: &Error) {
        if let Error::Agent(error) = error {
            let (code, kind) = (&error.code, &error.kind);
            let text = format!("! {code} {kind:?} {:?} {:?}", error.metadata, error.violations);
            self.wire.say(&text);
        }
    }
}

impl Service<Call> for Told {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let told = self.clone();
        told.wire.secrets.learn_call(&call);
        told.wire
            .say(&format!("> {} by {}", call.method().as_str(), told.place));
        told.request(&call.request);
        told.uploads(&call);
        let begun = Instant::now();
        let reply = self.inner.call(call);
        Box::pin(async move {
            match reply.await {
                Ok(reply) => {
                    told.wire.say(&format!("< answered after {:?}", begun.elapsed()));
                    Ok(Reply {
                        answer: told.answer(reply.answer),
                        ..reply
                    })
                }
                Err(error) => {
                    told.wire
                        .say(&format!("! failed after {:?}: {error}", begun.elapsed()));
                    told.failed(&error);
                    Err(error)
                }
            }
        })
    }
}
