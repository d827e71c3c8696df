//! The HTTP+JSON binding (specification section 11).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::response::Parts;
use http::{HeaderValue, Method as Verb};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tower::Service;

use super::http::{Envelope, Http, LAST_EVENT_ID, Outgoing, encode, uri};
use super::sse::SseEvent;
use super::stream::ERROR;
use super::{errors, message};
use crate::access::Method;
use crate::client::connections::Connections;
use crate::client::settings::ClientSettings;
use crate::client::upload::Marks;
use crate::client::{Call, Error, Reply, Request, Target};
use crate::pb::StreamResponse;

/// The protocol's own label of JSON (specification 14.1.1).
const A2A_JSON: &str = "application/a2a+json";

/// What stands in the paths; a query has the rest.
const IN_PATH: [&str; 3] = ["tenant", "id", "taskId"];

const CONFIG_ID: &str = "the id of the push configuration";

/// Calls by HTTP+JSON to one agent.
#[derive(Clone)]
pub(super) struct HttpJson(Http);

impl HttpJson {
    pub(super) fn new(target: &Target, connections: &Connections, settings: &ClientSettings) -> Self {
        Self(Http::new(target, connections, settings))
    }

    async fn make(self, mut call: Call) -> Result<Reply, Error> {
        let method = call.method();
        let Route { verb, path } = route(&call.request)?;
        let marks = Marks::place(&call.uploads, &mut call.request)?;
        let mut json = Vec::new();
        message::write(&call.request, &mut json)?;
        let base = self.0.url();
        let path = format!("{}{path}", base.path().trim_end_matches('/'));
        let (body, pairs) = match verb {
            // All that it says is in the path.
            Verb::POST if method == Method::SubscribeToTask => (None, Vec::new()),
            Verb::POST => (Some((marks.cut(json)?, A2A_JSON)), Vec::new()),
            _ => (None, pairs(&json)?),
        };
        let uri = uri(base, &path, &pairs, &call.query)?;
        let mut headers = call.parameters;
        if let Request::SubscribeToTask(_, Some(generation)) = call.request {
            headers.insert(LAST_EVENT_ID, HeaderValue::from(generation));
        }
        let outgoing = Outgoing {
            verb,
            uri,
            headers,
            body,
            pace: call.uploads.pace().clone(),
            accept: match method.is_streaming() {
                true => "text/event-stream, application/a2a+json, application/json",
                false => "application/a2a+json, application/json",
            },
        };
        self.0.perform(method, outgoing, Plain).await
    }
}

impl Service<Call> for HttpJson {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(self.clone().make(call))
    }
}

/// Where a request goes.
struct Route {
    verb: Verb,
    path: Path,
}

/// The route of a request (specification 11.3), behind the tenant if it names one.
///
/// # Errors
/// [`Error::Unsendable`] without an id, because the path would be another one.
fn route(request: &Request) -> Result<Route, Error> {
    let tasks = |tenant: &str, id: &str| -> Result<Path, Error> {
        Path::of(tenant)?.then("/tasks").id("the id of the task", id)
    };
    let configs =
        |tenant: &str, id: &str| Ok::<_, Error>(tasks(tenant, id)?.then("/pushNotificationConfigs"));
    let (verb, path) = match request {
        Request::SendMessage(message) => (Verb::POST, Path::of(&message.tenant)?.then("/message:send")),
        Request::SendStreamingMessage(message) => {
            (Verb::POST, Path::of(&message.tenant)?.then("/message:stream"))
        }
        Request::GetTask(message) => (Verb::GET, tasks(&message.tenant, &message.id)?),
        Request::ListTasks(message) => (Verb::GET, Path::of(&message.tenant)?.then("/tasks")),
        Request::CancelTask(message) => (Verb::POST, tasks(&message.tenant, &message.id)?.then(":cancel")),
        Request::SubscribeToTask(message, _) => (
            Verb::POST,
            tasks(&message.tenant, &message.id)?.then(":subscribe"),
        ),
        Request::CreateTaskPushNotificationConfig(message) => {
            (Verb::POST, configs(&message.tenant, &message.task_id)?)
        }
        Request::ListTaskPushNotificationConfigs(message) => {
            (Verb::GET, configs(&message.tenant, &message.task_id)?)
        }
        Request::GetTaskPushNotificationConfig(message) => {
            let path = configs(&message.tenant, &message.task_id)?;
            (Verb::GET, path.id(CONFIG_ID, &message.id)?)
        }
        Request::DeleteTaskPushNotificationConfig(message) => {
            let path = configs(&message.tenant, &message.task_id)?;
            (Verb::DELETE, path.id(CONFIG_ID, &message.id)?)
        }
        Request::GetExtendedAgentCard(message) => {
            (Verb::GET, Path::of(&message.tenant)?.then("/extendedAgentCard"))
        }
    };
    Ok(Route { verb, path })
}

/// A path that is being made.
struct Path(String);

impl Path {
    fn of(tenant: &str) -> Result<Self, Error> {
        let path = Self(String::new());
        match tenant {
            "" => Ok(path),
            _ => path.id("the tenant", tenant),
        }
    }

    fn then(mut self, literal: &str) -> Self {
        self.0.push_str(literal);
        self
    }

    /// One segment. Empty ones and dots mean another path to whatever stands between here and the agent.
    fn id(mut self, what: &str, id: &str) -> Result<Self, Error> {
        if matches!(id, "" | "." | "..") {
            return Err(Error::Unsendable(format!(
                "{what} is {id:?}, which can't stand in a path"
            )));
        }
        self.0.push('/');
        encode(id, &mut self.0);
        Ok(self)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The fields of a request that are not in the path, for the query (specification 11.5).
fn pairs(json: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let fields: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| Error::Unsendable(format!("it has no form for a query: {error}")))?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let all = fields.into_iter().map(|(name, value)| (name, text(value)));
    Ok(all
        .filter(|(name, value)| !IN_PATH.contains(&name.as_str()) && !value.is_empty())
        .collect())
}

/// Answers stand for themselves, and so do events.
#[derive(Clone, Copy)]
struct Plain;

impl Envelope for Plain {
    fn open<'a>(&self, head: &Parts, body: &'a [u8]) -> Result<&'a [u8], Error> {
        if head.status.is_success() {
            return Ok(body);
        }
        let error = match serde_json::from_slice(body) {
            Ok(value) => errors::http_json(head, &value),
            // A proxy writes what it likes.
            Err(_) => errors::bare(head),
        };
        Err(error.into())
    }

    fn open_event(&self, head: &Parts, event: &SseEvent) -> Result<Option<StreamResponse>, Error> {
        let data = event.data.as_slice();
        let found = message::event(data);
        if matches!(found, Ok(Some(_))) || !(event.name == ERROR || is_error(data)) {
            return found;
        }
        if data.len() > errors::BYTES_MAX {
            return Err(Error::TooLarge {
                what: "the error of the agent",
                limit: errors::BYTES_MAX,
            });
        }
        match serde_json::from_slice(data) {
            Ok(value) => Err(errors::http_json(head, &value).into()),
            Err(error) => Err(Error::Malformed(format!("its error can't be read: {error}"))),
        }
    }
}

/// The members by which an error is known, as they are written: what is too large is not taken apart.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// Whether an event is the error that a stream ends with, whatever its name.
fn is_error(data: &[u8]) -> bool {
    let Ok(members) = serde_json::from_slice::<Members<'_>>(data) else {
        return false;
    };
    let begins = |member: Option<&RawValue>, is_it: fn(u8) -> bool| {
        member.is_some_and(|value| value.get().bytes().next().is_some_and(is_it))
    };
    let is_number = |first: u8| first == b'-' || first.is_ascii_digit();
    begins(members.error, |first| first == b'{')
        || begins(members.code, is_number) && begins(members.message, |first| first == b'"')
}
