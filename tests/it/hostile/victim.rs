//! The program under attack, and the caller that must not notice.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};

use a2ad::shutdown::Shutdown;

use crate::binary::Server;
use crate::sockets::soon;

/// Resident memory may grow by so much under an attack: far less than what a bomb would take.
const GROWTH_BYTES_MAX: u64 = 96 << 20;
/// Calls that the healthy caller makes at least while an attack lasts.
const CALLS_MIN: u64 = 20;

/// Where the healthy caller connects from: the attackers are at 127.0.0.1.
const HEALTHY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

pub struct Victim {
    pub server: Server,
    resident_bytes: u64,
}

impl Victim {
    /// The program with the demo agents in memory and these settings. It forgives, so that each attack meets the limit
    /// that it is about; the test of breaches says otherwise.
    pub async fn start(settings: &[&str]) -> Self {
        let mut arguments = vec![
            "--database",
            "memory",
            "--set",
            "server.breaches_per_address_max=0",
        ];
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        Self::of(Server::start(&arguments)).await
    }

    pub async fn of(server: Server) -> Self {
        let mut victim = Self {
            server,
            resident_bytes: 0,
        };
        // What every process takes for its first calls is not the attack's.
        let mut caller = Caller::connect(victim.address()).await;
        for _ in 0..CALLS_MIN {
            caller.call().await;
        }
        victim.resident_bytes = victim.memory("VmRSS");
        victim
    }

    pub fn address(&self) -> SocketAddr {
        self.server.addr
    }

    pub async fn connect(&self) -> TcpStream {
        soon("a connection", TcpStream::connect(self.address()))
            .await
            .unwrap()
    }

    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib: u64 = line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Runs an attack beside a healthy caller, and looks at the program behind it.
    pub async fn under<T>(&self, attack: impl Future<Output = T>) -> T {
        let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut caller = Caller::connect(self.address()).await;
        let healthy = {
            let (over, calls) = (over.clone(), calls.clone());
            async move {
                while !over.load(Ordering::Relaxed) || calls.load(Ordering::Relaxed) < CALLS_MIN {
                    caller.call().await;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let attack = async {
            let outcome = attack.await;
            over.store(true, Ordering::Relaxed);
            outcome
        };
        let (outcome, ()) = tokio::join!(attack, healthy);
        Caller::connect(self.address()).await.call().await;
        let grown = self.memory("VmHWM").saturating_sub(self.resident_bytes);
        assert!(grown < GROWTH_BYTES_MAX, "the program grew by {grown} bytes");
        outcome
    }
}

/// A connection of somebody who means well.
pub struct Caller {
    send: http2::SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

impl Caller {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((HEALTHY, 0))).unwrap();
        let tcp = soon("a healthy connection", socket.connect(address))
            .await
            .unwrap();
        let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .unwrap();
        Shutdown::new().spawn_unstoppable("healthy caller", async move {
            let _ = connection.await;
        });
        Self { send, address }
    }

    /// One SendMessage, whose answer has to be right.
    pub async fn call(&mut self) {
        let body = r#"{"message":{"messageId":"1","role":"ROLE_USER","parts":[{"text":"is all well?"}]}}"#;
        let request = Request::post(format!("http://{}/message:send", self.address))
            .header("content-type", "application/json")
            .header("a2a-version", "1.0")
            .body(Full::from(body))
            .unwrap();
        let answer = soon("an answer for the healthy", self.send.send_request(request))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let body = soon("the rest of it", answer.into_body().collect())
            .await
            .unwrap()
            .to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(
            text.contains("TASK_STATE_COMPLETED") && text.contains("is all well?"),
            "{text}"
        );
    }
}
