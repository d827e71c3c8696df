//! Bodies that are larger or deeper than they look.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::victim::Victim;
use crate::sockets::soon;
use crate::support::wire::Dial;
use crate::support::wire::http::raw_grpc;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 32 MiB in 32 KiB.
fn bomb() -> Vec<u8> {
    gzip(&vec![b' '; 32 << 20])
}

#[tokio::test]
async fn a_bomb_over_grpc_is_refused() {
    let victim = Victim::start(&[]).await;
    let bomb = bomb();
    let mut body = vec![1];
    body.extend_from_slice(&u32::try_from(bomb.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&bomb);
    let mut headers = HeaderMap::new();
    headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    victim
        .under(async {
            for _ in 0..10 {
                let path = "/lf.a2a.v1.A2AService/SendMessage";
                let reply = raw_grpc(&Dial::Clear, victim.address(), path, &headers, body.clone()).await;
                assert_eq!(reply.header("grpc-status"), "8", "{reply:?}");
            }
        })
        .await;
}

/// A field with so many bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encode_length_delimiter(bytes.len(), &mut field).unwrap();
    field.extend_from_slice(bytes);
    field
}

#[tokio::test]
async fn floods_of_small_things_over_grpc_are_refused() {
    let victim = Victim::start(&[]).await;
    let small = |number: u8| [number << 3 | 2, 0].repeat(2_000_000);
    let (parts, extensions, values) = (small(5), small(7), field(5, &field(4, &field(6, &small(1)))));
    for message in [parts, extensions, values] {
        let request = field(2, &message);
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(request.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&request);
        victim
            .under(async {
                let path = "/lf.a2a.v1.A2AService/SendMessage";
                let reply = raw_grpc(&Dial::Clear, victim.address(), path, &HeaderMap::new(), body).await;
                assert_eq!(reply.header("grpc-status"), "3", "{reply:?}");
                let told = reply.header("grpc-message").replace("%20", " ");
                assert!(told.contains("holds more than 100000 values"), "{told}");
            })
            .await;
    }
}

/// One request over a connection of its own: the status and the body of the answer, unless it was lost because the
/// server hung up on what it did not want to read.
async fn exchange(victim: &Victim, path: &str, encoding: &str, body: &[u8]) -> Option<(u16, Value)> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\na2a-version: 1.0\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (mut tcp, mut answer) = (victim.connect().await, Vec::new());
    tcp.write_all(head.as_bytes()).await.unwrap();
    let _ = soon("room for the body", tcp.write_all(body)).await;
    let _ = soon("the end of the answer", tcp.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.get("HTTP/1.1 ".len()..)?.get(..3)?.parse().unwrap();
    let body = answer.split_once("\r\n\r\n").expect("a whole head").1;
    Some((status, serde_json::from_str(body).unwrap()))
}

/// Of a batch every answer.
fn is_error(told: &Value) -> bool {
    match told.as_array() {
        Some(answers) => answers.iter().all(|answer| answer.get("error").is_some()),
        None => told.get("error").is_some(),
    }
}

#[tokio::test]
async fn a_bomb_and_giant_and_deep_json_are_refused() {
    let (victim, bomb) = (Victim::start(&[]).await, bomb());
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    let wide = format!(
        "{{\"message\":{{\"metadata\":{{\"a\":[{}1]}}}}}}",
        "1,".repeat(1_000_000)
    );
    for path in ["/", "/message:send"] {
        for (encoding, body, is_too_large) in [
            ("gzip", bomb.clone(), true),
            ("identity", vec![b' '; 5 << 20], true),
            ("identity", deep("[", "]"), false),
            ("identity", deep("{\"a\":", "}"), false),
            ("identity", wide.clone().into_bytes(), false),
        ] {
            victim
                .under(async {
                    for _ in 0..3 {
                        let answer = exchange(&victim, path, encoding, &body).await;
                        let Some((status, told)) = answer else {
                            assert!(is_too_large, "{path}: no answer");
                            continue;
                        };
                        // JSON-RPC answers with 200 what it can tell in its own words.
                        let is_right = if is_too_large {
                            status == 413
                        } else {
                            matches!(status, 200 | 400)
                        };
                        assert!(is_right && is_error(&told), "{path}: {status} {told}");
                    }
                })
                .await;
        }
    }
}
