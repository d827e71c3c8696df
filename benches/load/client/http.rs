//! HTTP/1.1 with keep-alive: one request written, one answer read, no more.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Outcome;

/// Longer heads are not answers to these requests.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// One connection, which has one request in flight at most.
pub struct Connection {
    tcp: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        Ok(Self {
            tcp,
            buffer: Vec::with_capacity(HEAD_BYTES_MAX),
        })
    }

    /// Sends a request; the body of the answer, which must be a success with something in it.
    pub async fn call(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.tcp.write_all(request).await?;
        self.buffer.clear();
        let (head, body) = loop {
            if let Some(ends) = ends(&self.buffer)? {
                break ends;
            }
            self.fill().await?;
        };
        while self.buffer.len() < head + body {
            self.fill().await?;
        }
        if body == 0 || self.buffer.len() > head + body {
            return Err(format!(
                "not one answer with one body: {}",
                String::from_utf8_lossy(&self.buffer)
            )
            .into());
        }
        Ok(&self.buffer[head..])
    }

    async fn fill(&mut self) -> Outcome {
        match self.tcp.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// The lengths of head and body, as soon as the head is whole.
fn ends(buffer: &[u8]) -> Outcome<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return match buffer.len() {
            0..=HEAD_BYTES_MAX => Ok(None),
            _ => Err("the head of an answer does not end".into()),
        };
    };
    let head = std::str::from_utf8(&buffer[..end])?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("not a success: {}", String::from_utf8_lossy(buffer)).into());
    }
    let length = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.next().ok_or("an answer without Content-Length")?;
    Ok(Some((end + 4, length.trim().parse()?)))
}

/// A request as it goes out every time.
pub fn request(address: SocketAddr, path: &str, content_type: &str, body: &str) -> Bytes {
    let length = body.len();
    Bytes::from(format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {content_type}\r\na2a-version: 1.0\r\n\
         content-length: {length}\r\n\r\n{body}"
    ))
}
