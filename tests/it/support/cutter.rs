//! A wire to a server that breaks after so many bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use a2ad::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy in front of one server.
pub struct Cutter {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    /// How many bytes of the server the next connections let through.
    limits: Mutex<VecDeque<usize>>,
    passed: Mutex<Vec<usize>>,
    cut: watch::Sender<u64>,
}

impl Cutter {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let shared = Arc::new(Shared {
            server,
            limits: Mutex::default(),
            passed: Mutex::default(),
            cut: watch::Sender::new(0),
        });
        let address = listener.local_addr().unwrap();
        let (accepting, spawner) = (shared.clone(), Shutdown::new());
        spawner.clone().spawn("cutter", async move {
            while let Ok((client, _)) = listener.accept().await {
                spawner.spawn("wire", wire(client, accepting.clone()));
            }
        });
        Self { address, shared }
    }

    /// The next connections break when the server has said so many bytes.
    pub fn cut_after(&self, limits: &[usize]) {
        *self.shared.limits.lock().unwrap() = limits.iter().copied().collect();
    }

    /// Breaks the connections that there are.
    pub fn cut_now(&self) {
        self.shared.cut.send_modify(|cuts| *cuts += 1);
    }

    /// How many bytes of the server each ended connection has let through.
    pub fn passed(&self) -> Vec<usize> {
        self.shared.passed.lock().unwrap().clone()
    }
}

async fn wire(client: TcpStream, shared: Arc<Shared>) {
    let limit = shared.limits.lock().unwrap().pop_front().unwrap_or(usize::MAX);
    let mut cut = shared.cut.subscribe();
    let Ok(server) = TcpStream::connect(shared.server).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut passed = 0;
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = cut.changed() => {}
        () = async {
            let mut bytes = vec![0; 4_096];
            while passed < limit {
                let room = bytes.len().min(limit - passed);
                match from_server.read(&mut bytes[..room]).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        passed += count;
                        if to_client.write_all(&bytes[..count]).await.is_err() {
                            return;
                        }
                    }
                }
            }
        } => {}
    }
    shared.passed.lock().unwrap().push(passed);
}
