//! A host that answers with bytes, whatever they are, and counts what is taken of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::sockets::soon;

/// What goes out.
#[derive(Clone)]
pub struct Bytes {
    /// Behind each request.
    pub first: Vec<u8>,
    /// Behind that, over and over, as long as it is read.
    pub then: Vec<u8>,
    /// Between two of these.
    pub pause: Option<Duration>,
    /// Closes behind all of it, instead of waiting for the client to do so.
    pub closes: bool,
}

impl Bytes {
    pub fn new(first: impl Into<Vec<u8>>) -> Self {
        Self {
            first: first.into(),
            then: Vec::new(),
            pause: None,
            closes: false,
        }
    }

    pub fn then(mut self, then: &str) -> Self {
        self.then = then.as_bytes().to_vec();
        self
    }

    pub fn slowly(mut self) -> Self {
        self.pause = Some(Duration::from_millis(20));
        self
    }

    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

/// What the host has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    written: AtomicU64,
    heard: Mutex<Vec<u8>>,
    closed: Notify,
}

#[derive(Clone)]
pub struct RawHost {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

impl RawHost {
    pub async fn new(bytes: Bytes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = host.seen.clone();
        Shutdown::new().spawn_unstoppable("host", async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (bytes, seen) = (bytes.clone(), seen.clone());
                Shutdown::new().spawn_unstoppable("connection", async move {
                    serve(stream, &bytes, &seen).await;
                    seen.closed.notify_one();
                });
            }
        });
        host
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How much was written, which is no less than what was read at the other end.
    pub fn written(&self) -> u64 {
        self.seen.written.load(Ordering::SeqCst)
    }

    /// All that was said to it.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.seen.heard.lock().unwrap()).into_owned()
    }

    /// Waits until a connection is over.
    pub async fn closed(&self) {
        soon("the end of a connection", self.seen.closed.notified()).await;
    }
}

async fn serve(mut stream: TcpStream, bytes: &Bytes, seen: &Seen) {
    let mut piece = [0; 16 << 10];
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        seen.heard.lock().unwrap().extend_from_slice(&piece[..read]);
        if !write(&mut stream, &bytes.first, seen).await {
            return;
        }
        while !bytes.then.is_empty() {
            if let Some(pause) = bytes.pause {
                tokio::time::sleep(pause).await;
            }
            if !write(&mut stream, &bytes.then, seen).await {
                return;
            }
        }
        if bytes.closes {
            return;
        }
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8], seen: &Seen) -> bool {
    let is_written = stream.write_all(bytes).await.is_ok();
    seen.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    is_written
}
