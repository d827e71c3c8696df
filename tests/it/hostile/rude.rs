//! A connection of HTTP/2 on which anything can be said.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames::{self, RST_STREAM};
use crate::sockets::soon;

const GOAWAY: u8 = 7;

/// ENHANCE_YOUR_CALM (RFC 9113 section 7).
pub const CALM: u32 = 11;
/// CANCEL.
pub const CANCEL: u32 = 8;

pub struct Rude {
    tcp: TcpStream,
    read: Vec<u8>,
}

/// A frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Said {
    /// The code of RST_STREAM, and of GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap()))
    }
}

impl Rude {
    pub async fn open(address: SocketAddr) -> Self {
        let mut tcp = soon("a connection", TcpStream::connect(address)).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.write_all(&frames::hello()).await.unwrap();
        Self {
            tcp,
            read: Vec::new(),
        }
    }

    /// Says something; the server may have hung up already.
    pub async fn say(&mut self, bytes: &[u8]) {
        let _ = soon("room for what is said", self.tcp.write_all(bytes)).await;
    }

    /// Says something byte by byte until the server hangs up, reading on the side.
    pub async fn drip(mut self, bytes: &[u8], pause: Duration) -> Vec<Said> {
        for byte in bytes {
            if self.tcp.write_all(&[*byte]).await.is_err() {
                break;
            }
            let read = tokio::time::timeout(pause, self.tcp.read_buf(&mut self.read)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                break;
            }
        }
        self.end().await
    }

    /// Reads until something holds for what was said.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&[Said]) -> bool) -> Vec<Said> {
        loop {
            let said = parse(&self.read);
            if holds(&said) {
                return said;
            }
            let read = soon(what, self.tcp.read_buf(&mut self.read)).await;
            assert!(
                !matches!(read, Ok(0) | Err(_)),
                "{what} did not happen before the end: {said:?}"
            );
        }
    }

    /// What the server says until it hangs up, which it must.
    pub async fn end(mut self) -> Vec<Said> {
        let read = async { while !matches!(self.tcp.read_buf(&mut self.read).await, Ok(0) | Err(_)) {} };
        soon("the end of the connection", read).await;
        parse(&self.read)
    }
}

/// The frames that have come whole.
fn parse(mut bytes: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        said.push(Said {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload: payload.to_vec(),
        });
        bytes = rest;
    }
    said
}

/// The code with which the server has ended the connection, if it has said one.
pub fn goaway(said: &[Said]) -> Option<u32> {
    let mut goaways = said.iter().filter(|frame| frame.kind == GOAWAY);
    goaways.next_back().and_then(Said::code)
}

/// How many streams it has reset.
pub fn resets(said: &[Said]) -> usize {
    said.iter().filter(|frame| frame.kind == RST_STREAM).count()
}
