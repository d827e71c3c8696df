//! The JSON-RPC 2.0 binding (specification 9), with notifications and batches.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self as futures, StreamExt as _};
use http::{HeaderMap, Response, StatusCode};
use serde_json::value::RawValue;
use tower::BoxError;

use super::envelope::{self, NO_ID, Refused, Request, Root};
use super::media::{self, Media};
use super::operation::{Answer, Operation, Outcome, Source};
use super::router::Names;
use super::stream::{self, Envelope};
use super::{body, render, reply};
use crate::api::{Api, Body};
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::execution::EventStream;
use crate::service::Method;

/// What all requests of one HTTP request have in common.
struct Exchange<'a> {
    api: &'a Api,
    call: Result<CallContext, Error>,
    request_id: &'a Arc<str>,
}

/// What came of one request.
enum Reply<'a> {
    /// It was a notification.
    Nothing,
    Result {
        json: Vec<u8>,
        activated: Vec<String>,
    },
    Stream {
        id: &'a str,
        events: EventStream,
        activated: Vec<String>,
    },
    Error {
        id: &'a str,
        error: Error,
    },
}

/// One request of a batch that is being answered.
type Call<'a> = Pin<Box<dyn Future<Output = Reply<'a>> + Send + 'a>>;

impl<'a> From<Refused<'a>> for Reply<'a> {
    fn from(Refused { id, error }: Refused<'a>) -> Self {
        Self::Error { id, error: *error }
    }
}

/// Answers an HTTP request of this binding.
pub(super) async fn answer<B>(
    api: &Api,
    call: Result<CallContext, Error>,
    request_id: &Arc<str>,
    headers: &HeaderMap,
    body: B,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let exchange = Exchange {
        api,
        call,
        request_id,
    };
    if let Err(error) = &exchange.call
        && matches!(error.kind, Kind::Unauthenticated | Kind::Unavailable)
    {
        // Nobody who is not known gets us to read what they send.
        return exchange.refuse(NO_ID, error);
    }
    let text = match read(api, headers, body).await {
        Ok(text) => text,
        Err(error) => return exchange.refuse(NO_ID, &error),
    };
    match envelope::root(&text, api.settings().batch_requests_max) {
        Ok(Root::One(text)) => exchange.respond(exchange.reply(text, true).await),
        // Boxed, so that a single request does not carry the room that a batch needs.
        Ok(Root::Many(entries, count)) => Box::pin(exchange.batch(&entries, count)).await,
        Err(error) => exchange.refuse(NO_ID, &error),
    }
}

async fn read<B>(api: &Api, headers: &HeaderMap, body: B) -> Result<Bytes, Error>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    // Without a body there is nothing that a JSON-RPC request could be, whatever its media type.
    media::check(headers, body.is_end_stream())?;
    body::read_plain(headers, body, api.settings().body_bytes_max).await
}

/// A response that is nothing but the error; `id` is JSON text.
pub(super) fn refuse(id: &str, error: &Error, request_id: &str) -> Response<Body> {
    let object = render::json_rpc_object(error, id, request_id);
    let mut response = reply::json(render::json_rpc_status(error), Media::Json, object);
    render::set_headers(response.headers_mut(), error);
    response
}

impl Exchange<'_> {
    fn respond(&self, reply: Reply<'_>) -> Response<Body> {
        let (mut response, activated) = match reply {
            Reply::Nothing => return reply::empty(StatusCode::NO_CONTENT),
            Reply::Error { id, error } => return self.refuse(id, &error),
            Reply::Result { json, activated } => (reply::json(StatusCode::OK, Media::Json, json), activated),
            Reply::Stream {
                id,
                events,
                activated,
            } => {
                let keepalive = self.api.settings().sse_keepalive;
                let expired = events.cursor_expired();
                let envelope = Envelope::JsonRpc(id.into());
                (
                    stream::answer(events, envelope, self.request_id.clone(), keepalive, expired),
                    activated,
                )
            }
        };
        reply::set_extensions(response.headers_mut(), &activated);
        response
    }

    fn refuse(&self, id: &str, error: &Error) -> Response<Body> {
        refuse(id, error, self.request_id)
    }

    /// Answers the entries of a batch in their order, some of them at the same time.
    async fn batch(&self, entries: &[&RawValue], count: usize) -> Response<Body> {
        let settings = self.api.settings();
        if count == 0 {
            return self.refuse(
                NO_ID,
                &Error::new(Kind::InvalidRequest, "a batch has at least one request"),
            );
        }
        if count > settings.batch_requests_max {
            let limit = settings.batch_requests_max;
            let message = format!("the batch has {count} requests; at most {limit} are allowed");
            return self.refuse(NO_ID, &Error::too_large(message));
        }
        let exchanges = self.share_out(entries);
        let calls: Vec<Call<'_>> = exchanges
            .iter()
            .zip(entries)
            .map(|(exchange, entry)| Box::pin(exchange.reply(entry.get().as_bytes(), false)) as Call<'_>)
            .collect();
        let concurrency = settings.batch_concurrency_max.max(1);
        let replies = futures::iter(calls).buffered(concurrency).collect().await;
        self.respond(self.join(&exchanges, replies))
    }

    /// An exchange for each entry of a batch, which pays for its own bytes and no other's.
    fn share_out(&self, entries: &[&RawValue]) -> Vec<Self> {
        let traffic = self.call.as_ref().ok().and_then(|call| call.traffic.as_ref());
        let lengths: Vec<usize> = entries.iter().map(|entry| entry.get().len()).collect();
        let mut shares = traffic
            .map(|traffic| traffic.share_out(&lengths))
            .unwrap_or_default()
            .into_iter();
        let exchange = |_| {
            let traffic = shares.next().map(Arc::new);
            Self {
                call: self.call.clone().map(|call| CallContext { traffic, ..call }),
                ..*self
            }
        };
        entries.iter().map(exchange).collect()
    }

    /// The answers of a batch as one, each paid for by its own entry.
    fn join(&self, exchanges: &[Self], replies: Vec<Reply<'_>>) -> Reply<'static> {
        let mut json = Vec::new();
        let mut extensions = Vec::new();
        for (exchange, reply) in exchanges.iter().zip(replies) {
            let object = match reply {
                Reply::Nothing | Reply::Stream { .. } => continue,
                Reply::Error { id, error } => render::json_rpc_object(&error, id, self.request_id),
                Reply::Result { json, activated } => {
                    extensions.extend(activated);
                    Bytes::from(json)
                }
            };
            json.push(if json.is_empty() { b'[' } else { b',' });
            json.extend_from_slice(&object);
            exchange.sends(object.len() + 1);
        }
        if json.is_empty() {
            return Reply::Nothing;
        }
        json.push(b']');
        extensions.sort_unstable();
        extensions.dedup();
        Reply::Result {
            json,
            activated: extensions,
        }
    }

    /// Charges what is sent for an entry of a batch.
    fn sends(&self, bytes: usize) {
        if let Ok(CallContext {
            traffic: Some(traffic),
            ..
        }) = &self.call
        {
            traffic.sent(bytes as u64);
        }
    }

    async fn reply<'t>(&self, text: &'t [u8], may_stream: bool) -> Reply<'t> {
        let request = match envelope::read(text) {
            Ok(request) => request,
            Err(refused) => return refused.into(),
        };
        let Some(id) = request.id else {
            self.notify(&request).await;
            return Reply::Nothing;
        };
        match self.perform(&request, id, may_stream).await {
            Err(error) => Reply::Error { id, error },
            Ok(Outcome {
                answer: Answer::Stream(events),
                activated,
            }) => Reply::Stream {
                id,
                events,
                activated,
            },
            Ok(Outcome {
                answer: Answer::Json(mut json),
                activated,
            }) => {
                json.extend_from_slice(envelope::END);
                Reply::Result { json, activated }
            }
        }
    }

    async fn perform(&self, request: &Request<'_>, id: &str, may_stream: bool) -> Result<Outcome, Error> {
        /// Room for a task of the usual size, so that the buffer grows once at most.
        const BYTES_AHEAD: usize = 1_024;
        let method = self.method(request)?;
        if method.is_streaming() && !may_stream {
            let message = "a stream can't be part of a batch; send this request by itself";
            return Err(Error::new(Kind::InvalidRequest, message));
        }
        let mut out = Vec::with_capacity(BYTES_AHEAD);
        envelope::begin_result(&mut out, id);
        self.operation(request, method)?.perform(out).await
    }

    /// Executes a request that nobody waits for: what it would stream is not made, and its errors are not told.
    async fn notify(&self, request: &Request<'_>) {
        let method = match self.method(request) {
            Ok(Method::SendStreamingMessage) => Ok(Method::SendMessage),
            Ok(Method::SubscribeToTask) => return,
            other => other,
        };
        let outcome = match method.and_then(|method| self.operation(request, method)) {
            Ok(operation) => operation.perform(Vec::new()).await.err(),
            Err(error) => Some(error),
        };
        if let Some(error) = outcome {
            tracing::debug!(request.id = %self.request_id, rpc.method = %request.method, %error, "a notification failed");
        }
    }

    fn method(&self, request: &Request<'_>) -> Result<Method, Error> {
        // The version first: an older one has other method names, and its callers should hear about the version.
        let call = self.call.as_ref().map_err(Error::clone)?;
        self.api.service().check_version(call)?;
        Method::from_name(&request.method).ok_or_else(|| {
            let known: String = request.method.chars().take(64).collect();
            Error::new(Kind::MethodNotFound, "there is no such method").with("method", known)
        })
    }

    fn operation<'s>(&'s self, request: &'s Request<'_>, method: Method) -> Result<Operation<'s>, Error> {
        Ok(Operation {
            api: self.api,
            call: self.call.as_ref().map_err(Error::clone)?,
            method,
            source: request
                .params
                .map_or(Source::Empty, |params| Source::Json(params.as_bytes())),
            names: Names::default(),
        })
    }
}
