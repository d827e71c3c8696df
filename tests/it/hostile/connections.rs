//! Connections beyond measure.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames;
use super::rude::Rude;
use super::victim::{Caller, Victim};
use crate::binary::Server;
use crate::sockets::soon;

/// Opens connections that say nothing.
async fn crowd(victim: &Victim, count: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(victim.connect().await);
    }
    crowd
}

async fn is_closed(tcp: &mut TcpStream) -> bool {
    matches!(
        soon("the end of a connection", tcp.read(&mut [0])).await,
        Ok(0) | Err(_)
    )
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_room_for_others() {
    let victim = Victim::start(&[
        "server.connections_max=100",
        "server.connections_per_address_max=50",
    ])
    .await;
    victim
        .under(async {
            let mut crowd = crowd(&victim, 300).await;
            let rest = join_all(crowd[100..].iter_mut().map(is_closed)).await;
            assert!(
                rest.iter().all(|closed| *closed),
                "one address has more than its share"
            );
            // New connections of others.
            for _ in 0..20 {
                Caller::connect(victim.address()).await.call().await;
            }
        })
        .await;
}

/// With 128 open files there are 64 places, of which one address has its share.
#[tokio::test]
async fn a_flood_does_not_exhaust_descriptors() {
    let server = Server::start_after("ulimit -n 128", &["--database", "memory"]);
    let victim = Victim::of(server).await;
    victim
        .under(async {
            let _crowd = crowd(&victim, 300).await;
            for _ in 0..20 {
                Caller::connect(victim.address()).await.call().await;
            }
        })
        .await;
}

/// One address may have all places: then the others wait until silence is given up, and nothing breaks.
#[tokio::test]
async fn a_full_house_is_served_again_when_silence_is_given_up() {
    let server = Server::start_after(
        "ulimit -n 128",
        &[
            "--database",
            "memory",
            "--set",
            "server.connections_per_address_max=10000",
            "--set",
            "server.header_timeout_ms=500",
        ],
    );
    let victim = Victim::of(server).await;
    victim
        .under(async {
            let mut crowd = crowd(&victim, 200).await;
            Caller::connect(victim.address()).await.call().await;
            let closed = join_all(crowd.iter_mut().map(is_closed)).await;
            assert!(closed.iter().all(|closed| *closed));
        })
        .await;
}

#[tokio::test]
async fn who_breaks_the_rules_again_and_again_is_shut_out() {
    const BREACHES: usize = 3;
    let victim = Victim::start(&["server.breaches_per_address_max=3"]).await;
    victim
        .under(async {
            let mut before = victim.connect().await;
            for _ in 0..BREACHES {
                let mut rude = Rude::open(victim.address()).await;
                rude.say(&frames::rapid_reset(100)).await;
                rude.end().await;
            }
            // The last breach is noted a moment behind the end of its connection.
            loop {
                let mut tcp = victim.connect().await;
                let _ = tcp
                    .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    .await;
                let mut answer = Vec::new();
                let _ = soon("the end of a connection", tcp.read_to_end(&mut answer)).await;
                if answer.is_empty() {
                    break;
                }
            }
            // What was open stays open, and others are served.
            before
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            let mut answer = [0; 12];
            soon("an answer", before.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            Caller::connect(victim.address()).await.call().await;
        })
        .await;
}

/// Bytes that are no HTTP count too; a head that is only too large does not.
#[tokio::test]
async fn junk_is_a_breach_and_size_is_none() {
    for (text, is_breach) in [
        ("\x01\x02\x03\r\n\r\n".to_owned(), true),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)), false),
    ] {
        let victim = Victim::start(&["server.breaches_per_address_max=3"]).await;
        let mut refused = false;
        for _ in 0..20 {
            let mut tcp = victim.connect().await;
            let _ = tcp.write_all(text.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = soon("the end of a connection", tcp.read_to_end(&mut answer)).await;
            refused |= answer.is_empty();
        }
        if is_breach {
            assert!(refused);
        }
        let mut tcp = victim.connect().await;
        let _ = tcp
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await;
        let mut answer = Vec::new();
        let _ = soon("an answer", tcp.read_to_end(&mut answer)).await;
        assert_eq!(
            answer.is_empty(),
            is_breach,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}
