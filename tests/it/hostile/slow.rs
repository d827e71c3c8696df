//! Clients that take their time, so that what they hold is not there for others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use a2ad::tls::dev::Names;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::frames::{self, DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, frame};
use super::rude::{CANCEL, Rude, Said, resets};
use super::victim::Victim;
use crate::binary::Server;
use crate::mtls_sockets::Files;
use crate::sockets::soon;

/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(20);
/// Far beyond the time-outs that the tests set, far below what the bytes would take.
const ENOUGH: Duration = Duration::from_secs(15);

/// Sends a text byte by byte over HTTP/1.1 until the server answers or hangs up; the answer.
async fn drip(victim: &Victim, text: &[u8]) -> String {
    let (mut tcp, mut answer) = (victim.connect().await, Vec::new());
    let begun = Instant::now();
    for byte in text {
        if tcp.write_all(&[*byte]).await.is_err() {
            break;
        }
        if tokio::time::timeout(PAUSE, tcp.read_buf(&mut answer))
            .await
            .is_ok()
        {
            break;
        }
        assert!(begun.elapsed() < ENOUGH, "it is still listened to");
    }
    let _ = soon("the end of the connection", tcp.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_byte_by_byte_is_given_up() {
    let victim = Victim::start(&["server.header_timeout_ms=500"]).await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: {}", "a".repeat(4_000));
    let answer = victim.under(drip(&victim, head.as_bytes())).await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn a_body_byte_by_byte_is_given_up() {
    let victim = Victim::start(&["server.body_timeout_ms=500"]).await;
    let request = format!(
        "POST /message:send HTTP/1.1\r\nhost: a\r\na2a-version: 1.0\r\ncontent-type: application/json\r\n\
         content-length: 4000\r\n\r\n{}",
        " ".repeat(3_000)
    );
    let (head, body) = request.split_at(request.len() - 3_000);
    let answer = victim
        .under(async {
            let (mut tcp, mut answer) = (victim.connect().await, Vec::new());
            tcp.write_all(head.as_bytes()).await.unwrap();
            let begun = Instant::now();
            for byte in body.as_bytes() {
                if tcp.write_all(&[*byte]).await.is_err()
                    || tokio::time::timeout(PAUSE, tcp.read_buf(&mut answer))
                        .await
                        .is_ok()
                {
                    break;
                }
                assert!(begun.elapsed() < ENOUGH, "it is still listened to");
            }
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_body_of_http2_byte_by_byte_is_given_up() {
    let victim = Victim::start(&["server.body_timeout_ms=500"]).await;
    victim
        .under(async {
            let mut rude = Rude::open(victim.address()).await;
            rude.say(&frame(HEADERS, END_HEADERS, 1, &frames::grpc("GetTask")))
                .await;
            rude.say(&frame(DATA, 0, 1, &[0, 0, 0, 255, 255])).await;
            let begun = Instant::now();
            loop {
                rude.say(&frame(DATA, 0, 1, b"x")).await;
                let answered = |said: &[Said]| said.iter().any(|frame| frame.stream == 1 && frame.kind != 8);
                let waited = rude.until("an answer", answered);
                if tokio::time::timeout(PAUSE, waited).await.is_ok() {
                    break;
                }
                assert!(begun.elapsed() < ENOUGH, "it is still listened to");
            }
        })
        .await;
}

/// In the middle of a head nothing else can be said, not even the answer to a ping.
#[tokio::test]
async fn a_head_of_http2_that_stops_ends_the_connection() {
    let victim = Victim::start(&[
        "server.keepalive_interval_ms=300",
        "server.keepalive_timeout_ms=300",
    ])
    .await;
    victim
        .under(async {
            let rude = Rude::open(victim.address()).await;
            let head = frame(HEADERS, 0, 1, &frames::get("/healthz"));
            let begun = Instant::now();
            rude.drip(&head, PAUSE).await;
            assert!(begun.elapsed() < ENOUGH);
        })
        .await;
}

/// A program with TLS and few turns for handshakes.
fn with_tls(files: &Files, timeout: &str) -> Server {
    let mut arguments = vec!["--database", "memory"];
    let timeout = format!("server.handshake_timeout_ms={timeout}");
    for setting in [
        "tls.cert_file=server.pem",
        "tls.key_file=server.key",
        "tls.client_ca_file=ca.pem",
        "access.default=allow",
        "server.handshakes_pending_max=4",
        "server.handshakes_per_address_max=3",
        &timeout,
    ] {
        arguments.extend(["--set", setting]);
    }
    Server::start_in(&files.path(""), &arguments)
}

/// Connections that say the first bytes of a handshake and then nothing: more than there are turns.
async fn silent(server: &Server) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut tcp = TcpStream::connect(server.addr).await.unwrap();
        tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
            .await
            .unwrap();
        silent.push(tcp);
    }
    silent
}

/// A handshake of somebody else who means it.
async fn handshake(server: &Server, files: &Files) -> std::io::Result<()> {
    let client = files.client(&Names::spiffe("spiffe://example.org/a"));
    let connector = TlsConnector::from(Arc::new(files.config(Some(&client), &["h2"]).await));
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse().unwrap())?;
    let tcp = socket.connect(server.addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon("a handshake", connector.connect(name, tcp))
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_handshake_that_is_never_finished_is_given_up() {
    let files = Files::new();
    let server = with_tls(&files, "500");
    for mut tcp in silent(&server).await {
        let read = soon("the end of a handshake", tcp.read(&mut [0; 64])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    handshake(&server, &files).await.unwrap();
}

#[tokio::test]
async fn handshakes_that_are_never_finished_leave_turns_to_others() {
    let files = Files::new();
    let server = with_tls(&files, "600000");
    let mut silent = silent(&server).await;
    for _ in 0..5 {
        handshake(&server, &files).await.unwrap();
    }
    // None of them was given up to make room.
    for tcp in &mut silent {
        assert!(
            tcp.try_read(&mut [0; 64])
                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        );
    }
}

/// Windows of nothing: the answers are made and can't leave.
#[tokio::test]
async fn answers_that_are_never_taken_are_reset() {
    const STREAMS: u32 = 100;
    let victim = Victim::start(&["server.write_timeout_ms=500"]).await;
    victim
        .under(async {
            let mut rude = Rude::open(victim.address()).await;
            // SETTINGS_INITIAL_WINDOW_SIZE = 0.
            rude.say(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
            let head = frames::get("/openapi.json");
            let ask = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
            let all: Vec<u8> = frames::streams(STREAMS).flat_map(ask).collect();
            rude.say(&all).await;
            let said = rude
                .until("resets", |said| resets(said) == STREAMS as usize)
                .await;
            assert!(said.iter().filter_map(Said::code).all(|code| code == CANCEL));
        })
        .await;
}
