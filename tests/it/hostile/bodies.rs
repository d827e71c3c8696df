//! Bodies that are larger or deeper than they look.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue};

use super::victim::Victim;
use crate::support::wire::http::{Reply, exchange, raw_grpc, request};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 64 MiB in 64 KiB.
fn bomb() -> Vec<u8> {
    gzip(&vec![b' '; 64 << 20])
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
                let reply = raw_grpc(victim.address(), path, &headers, body.clone()).await;
                assert_eq!(reply.header("grpc-status"), "8", "{reply:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_bomb_and_giant_and_deep_json_are_refused() {
    let victim = Victim::start(&[]).await;
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    let wide = format!(
        "{{\"message\":{{\"metadata\":{{\"a\":[{}1]}}}}}}",
        "1,".repeat(1_000_000)
    );
    let mut compressed = HeaderMap::new();
    compressed.insert("content-encoding", HeaderValue::from_static("gzip"));
    let plain = HeaderMap::new();
    for path in ["/", "/message:send"] {
        for (headers, body, statuses) in [
            (&compressed, bomb(), [413, 413]),
            (&plain, vec![b' '; 5 << 20], [413, 413]),
            (&plain, deep("[", "]"), [400, 200]),
            (&plain, deep("{\"a\":", "}"), [400, 200]),
            (&plain, wide.clone().into_bytes(), [400, 200]),
        ] {
            let mut headers = headers.clone();
            headers.insert("a2a-version", HeaderValue::from_static("1.0"));
            victim
                .under(async {
                    for _ in 0..3 {
                        let sent = request("POST", path, &headers, body.clone());
                        let reply = Reply::read(exchange(victim.address(), sent).await).await;
                        assert!(statuses.contains(&reply.status), "{path}: {reply:?}");
                        assert!(reply.json().get("error").is_some(), "{path}: {reply:?}");
                    }
                })
                .await;
        }
    }
}
