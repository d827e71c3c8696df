//! A wire to PostgreSQL that breaks where a test wants it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The message by which a client ends its transaction: a simple query, its length, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What happens to one COMMIT; the client loses its connection in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The server never sees it.
    Before,
    /// The server carries it out; its answer is lost.
    After,
    /// The client loses its connection first; then the server carries it out.
    Late,
    /// The server never sees it, and nobody is told: the connection ends when the server has had enough.
    Swallow,
}

/// The proxy in front of one server.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    next: Mutex<Vec<Break>>,
    broken: AtomicUsize,
    frozen: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let shared = Arc::new(Shared {
            server,
            next: Mutex::default(),
            broken: AtomicUsize::new(0),
            frozen: watch::Sender::new(false),
        });
        let address = listener.local_addr().unwrap();
        let (accepting, spawner) = (shared.clone(), Shutdown::new());
        spawner.clone().spawn("proxy", async move {
            while let Ok((client, _)) = listener.accept().await {
                spawner.spawn("wire", wire(client, accepting.clone()));
            }
        });
        Self { address, shared }
    }

    /// The URL of a database behind the proxy.
    pub fn url(&self, direct: &str) -> String {
        direct.replace(&self.shared.server.to_string(), &self.address.to_string())
    }

    /// The next COMMIT breaks like this.
    pub fn break_next(&self, how: Break) {
        self.shared.next.lock().unwrap().push(how);
    }

    /// Holds back everything that clients say from now on, or lets it go.
    pub fn freeze(&self, frozen: bool) {
        self.shared.frozen.send_replace(frozen);
    }

    /// Nothing breaks any more.
    pub fn mend(&self) {
        self.shared.next.lock().unwrap().clear();
    }

    /// How many COMMITs have been broken.
    pub fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::Acquire)
    }
}

impl Shared {
    async fn thawed(&self) {
        let mut frozen = self.frozen.subscribe();
        // The sender lives as long as this.
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }
}

async fn wire(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(shared.server).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let how = tokio::select! {
        how = requests(&mut from_client, &mut to_server, &shared) => how,
        () = answers(&mut from_server, &mut to_client) => None,
    };
    let Some(how) = how else { return };
    shared.broken.fetch_add(1, Ordering::AcqRel);
    match how {
        Break::Before | Break::Swallow => {}
        Break::After => {
            commit(&mut from_server, &mut to_server).await;
        }
        Break::Late => {
            drop((from_client, to_client));
            commit(&mut from_server, &mut to_server).await;
        }
    }
}

/// Lets the server commit, and waits until it says so.
async fn commit(from_server: &mut OwnedReadHalf, to_server: &mut OwnedWriteHalf) {
    to_server.write_all(COMMIT).await.unwrap();
    let mut answer = [0; 64];
    let length = from_server.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("COMMIT"), "{answer:?}");
}

/// Passes on what a client says, up to a COMMIT that is to break.
async fn requests(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, shared: &Shared) -> Option<Break> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
        if bytes[..length].ends_with(COMMIT) {
            let how = shared.next.lock().unwrap().pop();
            if how == Some(Break::Swallow) {
                shared.broken.fetch_add(1, Ordering::AcqRel);
                std::future::pending::<()>().await;
            }
            if how.is_some() {
                return how;
            }
        }
        shared.thawed().await;
        to.write_all(&bytes[..length]).await.ok()?;
    }
}

async fn answers(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) {
    let _ = tokio::io::copy(from, to).await;
}
