//! The three bindings, spoken by hand where it matters: the bytes of every frame are kept as they came.

use std::net::SocketAddr;
use std::time::Duration;

use a2ad::pb::stream_response::Payload;
use a2ad::pb::{
    CancelTaskRequest, SendMessageRequest, SendMessageResponse, StreamResponse, SubscribeToTaskRequest, Task,
    json, send_message_response,
};
use a2ad::shutdown::Shutdown;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;

use super::history::Binding;

/// After it a client does not know.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
const SERVICE: &str = "/lf.a2a.v1.A2AService";

/// What a client has instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server said no, for this reason.
    Refused(String),
    /// The call may have taken effect or not.
    Unknown(String),
}

type Outcome<T> = Result<T, Failure>;

/// A client of one server.
pub struct Client {
    pub binding: Binding,
    address: SocketAddr,
    channel: Option<Channel>,
}

/// The events of a stream.
pub enum Events {
    Grpc {
        frames: Streaming<Bytes>,
        generation: u64,
    },
    Sse {
        binding: Binding,
        body: Incoming,
        text: BytesMut,
    },
}

/// An event as it came.
pub struct Seen {
    pub generation: u64,
    pub payload: Payload,
    /// The event's protobuf form.
    pub event: Vec<u8>,
    pub bytes: Bytes,
}

impl Client {
    pub async fn connect(address: SocketAddr, binding: Binding) -> Outcome<Self> {
        let channel = match binding {
            Binding::Grpc => {
                let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
                Some(within(endpoint.connect()).await?)
            }
            Binding::JsonRpc | Binding::HttpJson => None,
        };
        Ok(Self {
            binding,
            address,
            channel,
        })
    }

    pub async fn send(&self, request: &SendMessageRequest, key: Option<&str>) -> Outcome<Task> {
        let headers = headers(&[("idempotency-key", key)]);
        let response: SendMessageResponse = match &self.channel {
            Some(channel) => grpc(channel, "SendMessage", request, headers).await?,
            None => {
                self.json("SendMessage", "/message:send", request, headers)
                    .await?
            }
        };
        match response.payload {
            Some(send_message_response::Payload::Task(task)) => Ok(task),
            other => Err(Failure::Refused(format!("{other:?} is not a task"))),
        }
    }

    pub async fn cancel(&self, task: &str) -> Outcome<Task> {
        let request = CancelTaskRequest {
            id: task.to_owned(),
            ..CancelTaskRequest::default()
        };
        let path = format!("/tasks/{task}:cancel");
        match &self.channel {
            Some(channel) => grpc(channel, "CancelTask", &request, headers(&[])).await,
            None => self.json("CancelTask", &path, &request, headers(&[])).await,
        }
    }

    pub async fn send_streaming(&self, request: &SendMessageRequest, key: Option<&str>) -> Outcome<Events> {
        let headers = headers(&[("idempotency-key", key)]);
        self.stream("SendStreamingMessage", "/message:stream", request, headers)
            .await
    }

    /// With a cursor: what came after that generation. Without: the task first.
    pub async fn subscribe(&self, agent: &str, task: &str, cursor: Option<u64>) -> Outcome<Events> {
        let request = SubscribeToTaskRequest {
            tenant: agent.to_owned(),
            id: task.to_owned(),
        };
        let cursor = cursor.map(|cursor| cursor.to_string());
        let name = match self.binding {
            Binding::Grpc => "a2ad-last-generation",
            Binding::JsonRpc | Binding::HttpJson => "last-event-id",
        };
        let path = format!("/tasks/{task}:subscribe");
        self.stream(
            "SubscribeToTask",
            &path,
            &request,
            headers(&[(name, cursor.as_deref())]),
        )
        .await
    }

    async fn stream<R: Message + serde::Serialize + 'static>(
        &self,
        method: &'static str,
        path: &str,
        request: &R,
        headers: HeaderMap,
    ) -> Outcome<Events> {
        if let Some(channel) = &self.channel {
            let mut client = tonic::client::Grpc::new(channel.clone());
            within(client.ready()).await?;
            let call = client.server_streaming(grpc_request(request, headers), grpc_path(method), Raw);
            let (metadata, frames, _) = answered(call).await?.into_parts();
            let generation = metadata
                .get("a2ad-first-generation")
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .unwrap_or_default();
            return Ok(Events::Grpc { frames, generation });
        }
        let response = self.exchange(method, path, request, headers).await?;
        let is_stream = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        if !is_stream {
            let body = within(response.into_body().collect()).await?.to_bytes();
            return Err(refusal(&body));
        }
        Ok(Events::Sse {
            binding: self.binding,
            body: response.into_body(),
            text: BytesMut::new(),
        })
    }

    async fn json<R, A>(&self, method: &str, path: &str, request: &R, headers: HeaderMap) -> Outcome<A>
    where
        R: serde::Serialize,
        A: serde::de::DeserializeOwned,
    {
        let response = self.exchange(method, path, request, headers).await?;
        let body = within(response.into_body().collect()).await?.to_bytes();
        let message = unwrapped(self.binding, &body).ok_or_else(|| refusal(&body))?;
        json::from_slice(message).map_err(|error| Failure::Refused(format!("{error}: {body:?}")))
    }

    /// One request over a connection of its own.
    async fn exchange<R: serde::Serialize>(
        &self,
        method: &str,
        path: &str,
        request: &R,
        headers: HeaderMap,
    ) -> Outcome<Response<Incoming>> {
        let message = json::to_vec(request).expect("a request is JSON");
        let (path, body) = match self.binding {
            Binding::HttpJson => (path, message),
            Binding::JsonRpc | Binding::Grpc => ("/rpc", envelope(method, &message)),
        };
        let mut request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        request.headers_mut().extend(headers);
        let tcp = within(TcpStream::connect(self.address)).await?;
        let (mut send, connection) = within(http1::handshake(TokioIo::new(tcp))).await?;
        Shutdown::new().spawn_unstoppable("client", async move {
            // What breaks the connection shows itself in its one request.
            let _ = connection.await;
        });
        within(send.send_request(request)).await
    }
}

impl Events {
    /// The next event; `None` at a good end.
    pub async fn next(&mut self) -> Option<Outcome<Seen>> {
        let next = async {
            match self {
                Self::Grpc { frames, generation } => next_grpc(frames, generation).await,
                Self::Sse { binding, body, text } => next_sse(*binding, body, text).await,
            }
        };
        let late = |_| Some(Err(Failure::Unknown("no event in time".to_owned())));
        tokio::time::timeout(CALL_TIME_MAX, next)
            .await
            .unwrap_or_else(late)
    }
}

async fn next_grpc(frames: &mut Streaming<Bytes>, generation: &mut u64) -> Option<Outcome<Seen>> {
    let bytes = match frames.message().await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return None,
        Err(status) => return Some(Err(failure(&status))),
    };
    let at = *generation;
    *generation += 1;
    Some(match StreamResponse::decode(bytes.clone()) {
        Ok(event) => seen(at, event, bytes),
        Err(error) => Err(Failure::Refused(format!("an event does not decode: {error}"))),
    })
}

async fn next_sse(binding: Binding, body: &mut Incoming, text: &mut BytesMut) -> Option<Outcome<Seen>> {
    loop {
        if let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let event = text.split_to(end + 2).freeze();
            if let Some(found) = event_of(binding, &event) {
                return Some(found);
            }
            continue;
        }
        match body.frame().await {
            Some(Ok(frame)) => text.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            Some(Err(error)) => return Some(Err(Failure::Unknown(error.to_string()))),
            None if text.is_empty() => return None,
            None => {
                return Some(Err(Failure::Unknown(
                    "the stream ended inside an event".to_owned(),
                )));
            }
        }
    }
}

/// One event of an SSE stream; nothing for a comment.
fn event_of(binding: Binding, event: &Bytes) -> Option<Outcome<Seen>> {
    let text = std::str::from_utf8(event).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let data = Bytes::copy_from_slice(field("data: ")?.as_bytes());
    let generation = field("id: ").and_then(|id| id.parse().ok()).unwrap_or_default();
    let Some(message) = unwrapped(binding, &data) else {
        return Some(Err(refusal(&data)));
    };
    Some(match json::from_slice::<StreamResponse>(message) {
        // The envelope around an event names the request, so only the event itself is the same on every stream.
        Ok(event) => seen(generation, event, Bytes::copy_from_slice(message)),
        Err(error) => Err(Failure::Refused(format!("an event does not decode: {error}"))),
    })
}

fn seen(generation: u64, event: StreamResponse, bytes: Bytes) -> Outcome<Seen> {
    let encoded = event.encode_to_vec();
    let payload = event
        .payload
        .ok_or_else(|| Failure::Refused("an empty event".to_owned()))?;
    Ok(Seen {
        generation,
        payload,
        event: encoded,
        bytes,
    })
}

fn headers(more: &[(&'static str, Option<&str>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("a2a-version", HeaderValue::from_static("1.0"));
    for (name, value) in more {
        if let Some(value) = value {
            headers.insert(*name, value.parse().expect("a header"));
        }
    }
    headers
}

fn envelope(method: &str, params: &[u8]) -> Vec<u8> {
    let params = String::from_utf8_lossy(params);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into_bytes()
}

/// The message in an answer, unless the answer is an error.
fn unwrapped(binding: Binding, body: &[u8]) -> Option<&[u8]> {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    match (binding, answer.error) {
        (_, Some(_)) => None,
        (Binding::HttpJson, None) => Some(body),
        (_, None) => answer.result.map(|result| result.get().as_bytes()),
    }
}

/// An error of a JSON binding.
fn refusal(body: &[u8]) -> Failure {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    of_reason(reason_in(&json), &String::from_utf8_lossy(body))
}

fn reason_in(json: &Value) -> Option<&str> {
    match json {
        Value::Object(fields) => match fields.get("reason") {
            Some(Value::String(reason)) => Some(reason),
            _ => fields.values().find_map(reason_in),
        },
        Value::Array(items) => items.iter().find_map(reason_in),
        _ => None,
    }
}

fn failure(status: &Status) -> Failure {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    of_reason(reason, &format!("{:?}: {}", status.code(), status.message()))
}

/// Without a reason it was not the server that answered, but a connection that broke. A conflict is somebody else who was
/// quicker, a server for example that took the task over: the answer says to ask again.
fn of_reason(reason: Option<&str>, text: &str) -> Failure {
    match reason {
        Some("UNAVAILABLE" | "DEADLINE_EXCEEDED" | "CONFLICT") | None => Failure::Unknown(text.to_owned()),
        Some(reason) => Failure::Refused(reason.to_owned()),
    }
}

async fn within<T, E: std::fmt::Display>(work: impl Future<Output = Result<T, E>>) -> Outcome<T> {
    match tokio::time::timeout(CALL_TIME_MAX, work).await {
        Ok(result) => result.map_err(|error| Failure::Unknown(error.to_string())),
        Err(_) => Err(Failure::Unknown("no answer in time".to_owned())),
    }
}

async fn answered<T>(work: impl Future<Output = Result<T, Status>>) -> Outcome<T> {
    match tokio::time::timeout(CALL_TIME_MAX, work).await {
        Ok(result) => result.map_err(|status| failure(&status)),
        Err(_) => Err(Failure::Unknown("no answer in time".to_owned())),
    }
}

async fn grpc<R, A>(channel: &Channel, method: &str, request: &R, headers: HeaderMap) -> Outcome<A>
where
    R: Message + 'static,
    A: Message + Default,
{
    let mut client = tonic::client::Grpc::new(channel.clone());
    within(client.ready()).await?;
    let call = client.unary(grpc_request(request, headers), grpc_path(method), Raw);
    let bytes = answered(call).await?.into_inner();
    A::decode(bytes).map_err(|error| Failure::Refused(format!("an answer does not decode: {error}")))
}

fn grpc_path(method: &str) -> PathAndQuery {
    format!("{SERVICE}/{method}").parse().expect("a path")
}

fn grpc_request<R: Message>(message: &R, headers: HeaderMap) -> tonic::Request<Bytes> {
    let mut request = tonic::Request::new(Bytes::from(message.encode_to_vec()));
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy)]
struct Raw;

struct RawCoder;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCoder;
    type Decoder = RawCoder;

    fn encoder(&mut self) -> Self::Encoder {
        RawCoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        RawCoder
    }
}

impl Encoder for RawCoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
