//! A receiver of push notifications on this machine, that answers as the test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::pb::{StreamResponse, json};
use a2ad::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use super::messages::{Event, label};
use crate::sockets::soon;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// When it came, in steps of its receiver.
    pub began: usize,
    /// When it was over, if it is.
    pub ended: Option<End>,
}

/// How a request ended, written down before the sender can know of it.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// In steps of the receiver.
    pub at: usize,
    /// Whether the answer was a success.
    pub is_taken: bool,
}

impl Received {
    /// A header; its name in lower case.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    /// The id of the delivery.
    pub fn id(&self) -> &str {
        self.header("a2a-notification-id")
    }

    pub fn event(&self) -> Event {
        let response: StreamResponse = json::from_str(&self.body).unwrap();
        response.payload.expect("an event")
    }

    /// What the event is about, in one word.
    pub fn label(&self) -> String {
        label(&self.event())
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// By a status.
    Status(u16),
    /// By a status and a header.
    With(u16, String),
    /// By 200, once the semaphore allows it.
    When(Arc<Semaphore>),
    /// By 200 after a while, if the sender waits for so long.
    After(Duration),
    /// Never, with the connection open.
    Never,
    /// Never: this side says that it has nothing more to say, and goes on to read.
    HalfClosed,
    /// By something that is no HTTP.
    Garbage,
    /// By the head of a 200 whose body never comes.
    HeadOnly,
}

type Decide = dyn Fn(usize, &Received) -> Answer + Send + Sync;

/// The receiver; it goes on until its test ends.
#[derive(Clone)]
pub struct Webhook {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    decide: Box<Decide>,
    seen: Mutex<Seen>,
    news: Notify,
}

#[derive(Default)]
struct Seen {
    received: Vec<Received>,
    /// Requests that came and requests that ended so far.
    steps: usize,
    /// Connections that the sender closed before it had its answer.
    broken: usize,
}

impl Webhook {
    /// Answers each request as `decide` says, which gets its number from 0.
    pub async fn new(decide: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), decide).await
    }

    /// The same at an address.
    pub async fn at(
        address: SocketAddr,
        decide: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            decide: Box::new(decide),
            seen: Mutex::default(),
            news: Notify::new(),
        });
        let accepting = state.clone();
        Shutdown::new().spawn("webhook", async move {
            while let Ok((stream, _)) = listener.accept().await {
                Shutdown::new().spawn("webhook connection", accepting.clone().serve(stream));
            }
        });
        Self { address, state }
    }

    /// Takes everything.
    pub async fn good() -> Self {
        Self::new(|_, _| Answer::Status(200)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.seen.lock().unwrap().received.clone()
    }

    /// The events that came so far, each in one word.
    pub fn labels(&self) -> Vec<String> {
        self.received().iter().map(Received::label).collect()
    }

    /// Waits until so many requests have come; all of them.
    pub async fn wait(&self, count: usize) -> Vec<Received> {
        self.until(&format!("{count} deliveries"), |seen| {
            seen.received.len() >= count
        })
        .await;
        self.received()
    }

    /// Waits until the sender has closed so many connections before it had its answer.
    pub async fn broken(&self, count: usize) {
        self.until("broken connections", |seen| seen.broken >= count)
            .await;
    }

    async fn until(&self, what: &str, so: impl Fn(&Seen) -> bool) {
        let watch = async {
            loop {
                let news = self.state.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if so(&self.state.seen.lock().unwrap()) {
                    return;
                }
                news.await;
            }
        };
        soon(what, watch).await;
    }
}

impl State {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        while let Some(received) = next(&mut stream, &mut bytes).await {
            let (number, answer) = {
                let mut seen = self.seen.lock().unwrap();
                let began = seen.step();
                seen.received.push(Received {
                    began,
                    ..received.clone()
                });
                let number = seen.received.len() - 1;
                (number, (self.decide)(number, &received))
            };
            self.news.notify_waiters();
            let goes_on = self.answer(&mut stream, number, answer).await;
            self.end(number, false);
            if !goes_on {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    async fn answer(&self, stream: &mut TcpStream, number: usize, answer: Answer) -> bool {
        let (status, header) = match answer {
            Answer::Status(status) => (status, String::new()),
            Answer::With(status, header) => (status, format!("{header}\r\n")),
            Answer::When(go) => {
                let mut byte = [0; 1];
                tokio::select! {
                    permit = go.acquire() => permit.unwrap().forget(),
                    _ = stream.read(&mut byte) => {
                        self.broken();
                        return false;
                    }
                }
                (200, String::new())
            }
            Answer::After(pause) => {
                let mut byte = [0; 1];
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stream.read(&mut byte) => {
                        self.broken();
                        return false;
                    }
                }
                (200, String::new())
            }
            Answer::Never => return self.silent(stream).await,
            Answer::HalfClosed => {
                let _ = stream.shutdown().await;
                return self.silent(stream).await;
            }
            Answer::Garbage => {
                let _ = stream.write_all(b"\x16\x03\x01 not at all\r\n\r\n").await;
                return false;
            }
            Answer::HeadOnly => {
                self.end(number, true);
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
                    .await;
                return self.silent(stream).await;
            }
        };
        self.end(number, (200..300).contains(&status));
        let text = format!("HTTP/1.1 {status} X\r\n{header}Content-Length: 0\r\n\r\n");
        stream.write_all(text.as_bytes()).await.is_ok()
    }

    /// Reads until the other side closes.
    async fn silent(&self, stream: &mut TcpStream) -> bool {
        let mut rest = [0; 1_024];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
        self.broken();
        false
    }

    /// Once for each request; what is said later of it counts no more.
    fn end(&self, number: usize, is_taken: bool) {
        let mut seen = self.seen.lock().unwrap();
        if seen.received[number].ended.is_none() {
            let at = seen.step();
            seen.received[number].ended = Some(End { at, is_taken });
        }
    }

    fn broken(&self) {
        self.seen.lock().unwrap().broken += 1;
        self.news.notify_waiters();
    }
}

impl Seen {
    fn step(&mut self) -> usize {
        self.steps += 1;
        self.steps
    }
}

/// The next request of a connection; `None` at its end.
async fn next(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Received> {
    loop {
        if let Some((received, length)) = parse(bytes) {
            bytes.drain(..length);
            return Some(received);
        }
        let mut piece = [0; 16 * 1_024];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// A whole request and its length.
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let body = bytes.get(end + 4..end + 4 + length)?;
    let body = String::from_utf8(body.to_vec()).unwrap();
    let received = Received {
        path,
        headers,
        body,
        began: 0,
        ended: None,
    };
    Some((received, end + 4 + length))
}

/// A while in which something that must not come would have come.
pub async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
