//! Heads of requests that are small on the wire and large in memory, or just large.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::frames::{self, CONTINUATION, END_HEADERS, END_STREAM, HEADERS, frame, header};
use super::rude::{Rude, Said, goaway};
use super::victim::Victim;
use crate::sockets::soon;

/// True when a stream was reset, or its answer begins with another status than 200, which is one byte (RFC 7541 appendix
/// A, entry 8).
fn is_refused(said: &[Said], stream: u32) -> bool {
    const OK: u8 = 0x80 | 8;
    let mut frames = said.iter().filter(|frame| frame.stream == stream);
    frames
        .any(|frame| frame.code().is_some() || (frame.kind == HEADERS && frame.payload.first() != Some(&OK)))
}

#[tokio::test]
async fn references_to_a_long_header_are_refused() {
    let victim = Victim::start(&[]).await;
    victim
        .under(async {
            let mut rude = Rude::open(victim.address()).await;
            for stream in frames::streams(20) {
                // 10,000 bytes on the wire, 39 MB of headers.
                rude.say(&frames::hpack_bomb(stream, 10_000)).await;
                rude.until("a refusal", |said| {
                    is_refused(said, stream) || goaway(said).is_some()
                })
                .await;
            }
        })
        .await;
}

#[tokio::test]
async fn many_headers_and_a_giant_one_are_refused() {
    let victim = Victim::start(&[]).await;
    let many: Vec<u8> = (0..2_000).flat_map(|n| header(&format!("x-{n}"), "1")).collect();
    let giant = header("x-giant", &"x".repeat(60_000));
    for fields in [many, giant] {
        victim
            .under(async {
                let mut rude = Rude::open(victim.address()).await;
                let head = [frames::get("/healthz"), fields].concat();
                let mut pieces = head.chunks(16_000).peekable();
                let mut kind = HEADERS;
                while let Some(piece) = pieces.next() {
                    let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
                    let end = if kind == HEADERS { END_STREAM } else { 0 };
                    rude.say(&frame(kind, last | end, 1, piece)).await;
                    kind = CONTINUATION;
                }
                rude.until("a refusal", |said| is_refused(said, 1) || goaway(said).is_some())
                    .await;
            })
            .await;
    }
}

#[tokio::test]
async fn a_giant_head_of_http1_is_refused() {
    let victim = Victim::start(&[]).await;
    victim
        .under(async {
            for line in [
                "x-giant: ".to_owned() + &"x".repeat(1 << 20),
                "x: 1\r\n".repeat(10_000),
            ] {
                let mut tcp = victim.connect().await;
                let head = format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n");
                let _ = tcp.write_all(head.as_bytes()).await;
                let mut answer = Vec::new();
                let _ = soon("the end of the connection", tcp.read_to_end(&mut answer)).await;
                let answer = String::from_utf8_lossy(&answer);
                assert!(
                    answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
                    "{answer}"
                );
            }
        })
        .await;
}
