//! Files that are larger than anybody would like to have in memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use a2ad::client::layers::{LayerSettings, stack};
use a2ad::client::upload::{Content, ContentReader, FileContent, Uploads};
use a2ad::client::{Client, ClientSettings, Error, Instance, Target};
use a2ad::context::Binding;
use a2ad::error::Kind;
use a2ad::pb::{
    AgentCapabilities, AgentCard, AgentExtension, ListTasksRequest, Message, Part, SendMessageRequest, part,
    stream_response,
};
use a2ad::service::IDEMPOTENCY_EXTENSION;
use a2ad::shutdown::Shutdown;
use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::harness::{client, client_of, on_each_binding, transport_of};
use super::script::Script;
use crate::sockets::soon;
use crate::support::messages::{message, send_of, task, text};
use crate::support::world::{Scenario, World};

on_each_binding!(
    a_large_file_arrives_as_it_is,
    a_file_that_is_too_large_is_refused_in_the_words_of_the_agent,
    a_file_that_shrinks_begins_nothing_and_is_not_sent_again,
    an_agent_that_takes_nothing_is_given_up_and_little_was_read,
    a_refusal_leaves_nothing_open,
);

/// What the buffers of both sockets, and those between them, may hold.
const BUFFERS_BYTES: u64 = 32 << 20;

/// As many zeros as it says, or fewer; it knows how often it was opened and closed, and how much of it was read.
#[derive(Clone, Debug)]
struct Zeros {
    length: u64,
    has: u64,
    opened: Arc<AtomicUsize>,
    closed: Arc<Semaphore>,
    read: Arc<AtomicU64>,
}

impl Zeros {
    fn new(length: u64) -> Self {
        Self {
            length,
            has: length,
            opened: Arc::default(),
            closed: Arc::new(Semaphore::new(0)),
            read: Arc::default(),
        }
    }

    fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Content for Zeros {
    fn name(&self) -> &str {
        "zeros"
    }

    fn length(&self) -> u64 {
        self.length
    }

    async fn open(&self) -> io::Result<ContentReader> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let counted = Counted {
            reader: Box::pin(tokio::io::repeat(0).take(self.has)),
            closed: self.closed.clone(),
            read: self.read.clone(),
        };
        Ok(Box::pin(counted))
    }
}

struct Counted {
    reader: ContentReader,
    closed: Arc<Semaphore>,
    read: Arc<AtomicU64>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.closed.add_permits(1);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.reader.as_mut().poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        self.read.fetch_add(read as u64, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

/// A send of one content, and a text behind it.
fn sending(id: &str, content: impl Content) -> (SendMessageRequest, Uploads) {
    let (mut message, mut uploads) = (message(id, "hold"), Uploads::default());
    uploads.attach(&mut message, named(), content);
    message.parts.push(text("behind"));
    (send_of("", message), uploads)
}

fn named() -> Part {
    Part {
        filename: "big.bin".to_owned(),
        media_type: "text/plain".to_owned(),
        ..Part::default()
    }
}

/// Bytes of which no two pieces are the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Compares without printing megabytes.
fn assert_arrived(said: &Message, bytes: &[u8]) {
    assert_eq!(said.parts.len(), 3);
    let Some(part::Content::Raw(raw)) = &said.parts[1].content else {
        panic!("the file came as something else");
    };
    assert!(raw[..] == *bytes, "{} bytes of {}", raw.len(), bytes.len());
    let without = Part {
        content: None,
        ..said.parts[1].clone()
    };
    assert_eq!(without, named());
    assert_eq!(said.parts[2], text("behind"));
}

async fn a_large_file_arrives_as_it_is(binding: Binding) {
    let world = Scenario::new().set(|config| {
        config.server.body_bytes_max = 16 << 20;
        config.limits.part_bytes_max = 16 << 20;
    });
    let world = world.start().await;
    let client = client(world.address, binding, "puppet").await;
    world.puppet.allow(2);
    let bytes = noise((8 << 20) + 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.bin");
    std::fs::write(&path, &bytes).unwrap();
    let file = FileContent::of(&path).await.unwrap();
    let (request, uploads) = sending("m-1", file.clone());
    let done = task(
        soon("the answer", client.send_with(request, uploads))
            .await
            .unwrap(),
    );
    assert_arrived(&done.history[0], &bytes);
    let (request, uploads) = sending("m-2", file);
    let begun = client.send_streaming_with(request, uploads);
    let mut events = soon("the stream", begun).await.unwrap();
    let first = soon("the task", events.next()).await.unwrap().unwrap();
    let Some(stream_response::Payload::Task(begun)) = first.response.payload else {
        panic!("a stream begins with its task");
    };
    assert_arrived(&begun.history[0], &bytes);
    while let Some(event) = soon("the next event", events.next()).await {
        event.unwrap();
    }
}

async fn count_tasks(client: &Client) -> i32 {
    let all = client.tasks(ListTasksRequest::default()).await.unwrap();
    all.total_size
}

async fn a_file_that_is_too_large_is_refused_in_the_words_of_the_agent(binding: Binding) {
    let world = World::new().await;
    let client = layered(&format!("http://{}", world.address), binding, "puppet").await;
    let zeros = Zeros::new(256 << 20);
    let (request, uploads) = sending("m", zeros.clone());
    let error = soon("a refusal", client.send_with(request, uploads))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Some(Kind::ResourceExhausted), "{error:?}");
    assert!(error.to_string().contains("4194304"), "{error}");
    assert_eq!(
        zeros.opened.load(Ordering::SeqCst),
        1,
        "it is no smaller the next time"
    );
    assert!(zeros.read() < BUFFERS_BYTES, "{} bytes were read", zeros.read());
    assert_eq!(count_tasks(&client).await, 0);
}

async fn a_file_that_shrinks_begins_nothing_and_is_not_sent_again(binding: Binding) {
    let world = World::new().await;
    let client = layered(&format!("http://{}", world.address), binding, "puppet").await;
    for has in [0, 1_000_000, (1 << 20) - 1, (1 << 20) + 1] {
        let zeros = Zeros {
            has,
            ..Zeros::new(1 << 20)
        };
        let (request, uploads) = sending("m", zeros.clone());
        let error = soon("an error", client.send_with(request, uploads))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Content { name, .. } if name == "zeros"),
            "{has}: {error:?}"
        );
        assert_eq!(zeros.opened.load(Ordering::SeqCst), 1, "{has}");
    }
    assert_eq!((count_tasks(&client).await, world.puppet.runs()), (0, 0));
}

async fn an_agent_that_takes_nothing_is_given_up_and_little_was_read(binding: Binding) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    Shutdown::new().spawn_unstoppable("host", async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let settings = ClientSettings {
        upload_idle_timeout: Duration::from_millis(500),
        ..ClientSettings::default()
    };
    let client = client_of(&url, binding, "", &settings).await;
    let zeros = Zeros::new(256 << 20);
    let (request, uploads) = sending("m", zeros.clone());
    let error = soon("an error", client.send_with(request, uploads))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Stalled(limit) if limit.as_millis() == 500),
        "{error:?}"
    );
    assert!(zeros.read() < BUFFERS_BYTES, "{} bytes were read", zeros.read());
}

/// An agent with all layers around it, whose card says that it runs sends once.
async fn layered(url: &str, binding: Binding, tenant: &str) -> Client {
    let capabilities = AgentCapabilities {
        extensions: vec![AgentExtension {
            uri: IDEMPOTENCY_EXTENSION.to_owned(),
            ..AgentExtension::default()
        }],
        ..AgentCapabilities::default()
    };
    let card = AgentCard {
        capabilities: Some(capabilities),
        ..AgentCard::default()
    };
    let target = Target {
        binding,
        url: url.parse().unwrap(),
        tenant: tenant.to_owned(),
        version: "1.0".to_owned(),
        card: Some(Arc::new(card)),
    };
    let instance = Instance {
        transport: transport_of(&target, "1.0").await,
        target: Arc::new(target.clone()),
    };
    let layers = stack(vec![instance], &LayerSettings::default(), Vec::new());
    Client::new(target, layers)
}

#[tokio::test]
async fn what_is_made_again_is_read_again() {
    let count = AtomicUsize::new(0);
    let script = Script::new(move |_| {
        let answer = Response::builder().header("content-type", "application/json");
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => answer.status(503).body(Full::default()).unwrap(),
            _ => {
                let task = r#"{"task":{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}}"#;
                answer.body(Full::new(Bytes::from(task))).unwrap()
            }
        }
    });
    let script = script.await;
    let client = layered(&script.url(), Binding::HttpJson, "").await;
    let zeros = Zeros::new(1_000_000);
    let (request, uploads) = sending("m", zeros.clone());
    soon("the answer", client.send_with(request, uploads))
        .await
        .unwrap();
    let got = script.got();
    assert_eq!((got.len(), zeros.opened.load(Ordering::SeqCst)), (2, 2));
    for one in &got {
        assert_eq!(one.head.headers["content-length"], one.body.len().to_string());
        let sent: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
        let raw = sent["message"]["parts"][1]["raw"].as_str().unwrap();
        let raw = base64::engine::general_purpose::STANDARD.decode(raw).unwrap();
        assert!(raw == vec![0; 1_000_000]);
    }
    let keys = got.iter().map(|one| &one.head.headers["idempotency-key"]);
    assert_eq!(keys.collect::<std::collections::HashSet<_>>().len(), 1);
}

/// A host that refuses a request behind its head by gRPC or HTTP/1.1, reads no more, and leaves the connection open.
async fn refusing(binding: Binding) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    Shutdown::new().spawn_unstoppable("host", async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if binding == Binding::Grpc {
                Shutdown::new().spawn_unstoppable("connection", refuse_grpc(stream));
                continue;
            }
            let answer = "HTTP/1.1 413 Content Too Large\r\ncontent-type: application/json\r\n\
                          content-length: 2\r\n\r\n{}";
            refuse(&mut stream, answer).await;
            open.push(stream);
        }
    });
    url
}

async fn refuse_grpc(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut unread = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let answer = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "8")
            .header("grpc-message", "no more than a crumb");
        respond.send_response(answer.body(()).unwrap(), true).unwrap();
        unread.push((request, respond));
    }
}

/// n: 3 refusals on each of 3 bindings, over the one connection that the client may have.
async fn a_refusal_leaves_nothing_open(binding: Binding) {
    let url = refusing(binding).await;
    let settings = ClientSettings {
        connections_max: 1,
        ..ClientSettings::default()
    };
    let client = client_of(&url, binding, "", &settings).await;
    for _ in 0..3 {
        let zeros = Zeros::new(64 << 20);
        let (request, uploads) = sending("m", zeros.clone());
        let error = soon("a refusal", client.send_with(request, uploads))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Some(Kind::ResourceExhausted), "{error:?}");
        soon("the end of the file", zeros.closed.acquire())
            .await
            .unwrap()
            .forget();
    }
}

#[tokio::test]
async fn what_is_too_large_is_sent_once() {
    for binding in [Binding::HttpJson, Binding::JsonRpc] {
        let script = Script::saying(413, &[], "").await;
        let client = layered(&script.url(), binding, "").await;
        let (request, uploads) = sending("m", Zeros::new(1_000_000));
        let error = soon("a refusal", client.send_with(request, uploads))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Some(Kind::ResourceExhausted), "{error:?}");
        let (request, _) = sending("m", Zeros::new(0));
        soon("a refusal", client.send(request)).await.unwrap_err();
        assert_eq!(script.got().len(), 2, "one of each");
    }
}

/// A host that answers when it has read the head of a request, and closes with all the rest unread.
async fn hasty(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    Shutdown::new().spawn_unstoppable("host", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            Shutdown::new().spawn_unstoppable("connection", async move { refuse(&mut stream, answer).await });
        }
    });
    url
}

async fn refuse(stream: &mut TcpStream, answer: &'static str) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    // Whoever has gone already wants no answer.
    let _ = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn what_breaks_before_the_end_was_not_sent() {
    let url = hasty("").await;
    for binding in [Binding::HttpJson, Binding::JsonRpc] {
        let client = client_of(&url, binding, "", &ClientSettings::default()).await;
        let (request, uploads) = sending("m", Zeros::new(64 << 20));
        let error = soon("an error", client.send_with(request, uploads))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Unreachable { cause, .. } if cause.contains("before the end")),
            "{error:?}"
        );
    }
}

/// n: 40 refusals on 2 bindings.
#[tokio::test]
async fn a_refusal_is_read_even_if_the_connection_breaks_behind_it() {
    let url = hasty(
        "HTTP/1.1 413 Content Too Large\r\ncontent-type: application/json\r\ncontent-length: 55\r\n\
         connection: close\r\n\r\n{\"error\":{\"code\":413,\"message\":\"no more than a crumb\"}}",
    )
    .await;
    for binding in [Binding::HttpJson, Binding::JsonRpc] {
        let client = client_of(&url, binding, "", &ClientSettings::default()).await;
        for _ in 0..20 {
            let zeros = Zeros::new(64 << 20);
            let (request, uploads) = sending("m", zeros.clone());
            let error = soon("a refusal", client.send_with(request, uploads))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Some(Kind::ResourceExhausted), "{error:?}");
            if binding == Binding::HttpJson {
                assert!(error.to_string().contains("no more than a crumb"), "{error}");
            }
            assert!(zeros.read() < zeros.length, "the answer came before the end");
        }
    }
}
