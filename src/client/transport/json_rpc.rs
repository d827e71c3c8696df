//! The JSON-RPC binding (specification section 9).

use std::pin::Pin;
use std::task::{Context, Poll};

use http::response::Parts;
use http::{HeaderValue, Method as Verb};
use serde::Deserialize;
use serde_json::value::RawValue;
use tower::Service;

use super::http::{Envelope, Http, LAST_EVENT_ID, Outgoing, uri};
use super::sse::SseEvent;
use super::stream::ERROR;
use super::{errors, message};
use crate::client::connections::Connections;
use crate::client::settings::ClientSettings;
use crate::client::upload::Marks;
use crate::client::{Call, Error, Reply, Request, Target};
use crate::pb::StreamResponse;

/// Every HTTP request has one answer, so that nothing has to be told apart by it.
const ID: &str = "1";

/// What stands for a result that is not there.
const NULL: &str = "null";

/// Calls by JSON-RPC to one agent.
#[derive(Clone)]
pub(super) struct JsonRpc(Http);

impl JsonRpc {
    pub(super) fn new(target: &Target, connections: &Connections, settings: &ClientSettings) -> Self {
        Self(Http::new(target, connections, settings))
    }

    async fn make(self, mut call: Call) -> Result<Reply, Error> {
        let method = call.method();
        let url = self.0.url();
        let uri = uri(url, url.path(), &[], &call.query)?;
        let name = method.as_str();
        let mut body = format!(r#"{{"jsonrpc":"2.0","id":{ID},"method":"{name}","params":"#).into_bytes();
        let marks = Marks::place(&call.uploads, &mut call.request)?;
        message::write(&call.request, &mut body)?;
        body.push(b'}');
        let mut headers = call.parameters;
        if let Request::SubscribeToTask(_, Some(generation)) = call.request {
            headers.insert(LAST_EVENT_ID, HeaderValue::from(generation));
        }
        let outgoing = Outgoing {
            verb: Verb::POST,
            uri,
            headers,
            body: Some((marks.cut(body)?, "application/json")),
            pace: call.uploads.pace().clone(),
            accept: match method.is_streaming() {
                true => "text/event-stream, application/json",
                false => "application/json",
            },
        };
        self.0.perform(method, outgoing, JsonRpcEnvelope).await
    }
}

impl Service<Call> for JsonRpc {
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

/// The response object of JSON-RPC 2.0.
#[derive(Clone, Copy)]
struct JsonRpcEnvelope;

/// Its members, each as it was written. One that is `null` counts as absent, but for the id.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Envelope for JsonRpcEnvelope {
    fn open<'a>(&self, head: &Parts, body: &'a [u8]) -> Result<&'a [u8], Error> {
        let is_success = head.status.is_success();
        let response: Response<'a> = match serde_json::from_slice(body) {
            Ok(response) => response,
            Err(_) if !is_success => return Err(errors::bare(head).into()),
            Err(error) => {
                let why = errors::brief(&error.to_string());
                return Err(Error::Malformed(format!("it is no JSON-RPC response: {why}")));
            }
        };
        if let Some(error) = response.error {
            return Err(refusal(head, error));
        }
        if !is_success {
            return Err(errors::bare(head).into());
        }
        match response.id.map(RawValue::get) {
            Some(ID) => Ok(response.result.map_or(NULL, RawValue::get).as_bytes()),
            _ => Err(Error::Malformed("it answers another JSON-RPC request".to_owned())),
        }
    }

    fn open_event(&self, head: &Parts, event: &SseEvent) -> Result<Option<StreamResponse>, Error> {
        match message::event(self.open(head, &event.data)?)? {
            None if event.name == ERROR => Err(Error::Malformed(
                "its stream ended with an error that says nothing".to_owned(),
            )),
            found => Ok(found),
        }
    }
}

fn refusal(head: &Parts, error: &RawValue) -> Error {
    if error.get().len() > errors::BYTES_MAX {
        return Error::TooLarge {
            what: "the error of the agent",
            limit: errors::BYTES_MAX,
        };
    }
    match serde_json::from_str(error.get()) {
        Ok(value) => errors::json_rpc(head, &value).into(),
        Err(error) => Error::Malformed(format!("its error can't be read: {error}")),
    }
}
