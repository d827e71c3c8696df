//! Bytes on a connection of the server, from the first one on.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::World;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame, without which nothing else is read.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Bytes as they are. The connection ends, and the next one is served.
pub fn http1(input: &[u8]) {
    send(&[input]);
}

/// Frames behind what every HTTP/2 client begins with.
pub fn http2(input: &[u8]) {
    send(&[PREFACE, SETTINGS, input]);
}

fn send(pieces: &[&[u8]]) {
    World::with(|world| {
        world.wait(async {
            let mut tcp = TcpStream::connect(world.address).await.expect("a connection");
            // The server may hang up on what it reads; both ways the end comes.
            let _ = tcp.write_all(&pieces.concat()).await;
            let _ = tcp.shutdown().await;
            let _ = tcp.read_to_end(&mut Vec::new()).await;
            let mut next = TcpStream::connect(world.address).await.expect("a connection");
            let request = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            next.write_all(request).await.expect("a server that reads");
            let mut answer = Vec::new();
            next.read_to_end(&mut answer).await.expect("an answer");
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
        });
    });
}
