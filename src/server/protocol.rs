//! Which protocol a client speaks, told by its first bytes.
//!
//! hyper-util's automatic server does the same, but it waits for these bytes for ever: a client that connects and
//! stays silent would hold its slot until the machine is restarted. Reading them here puts the wait under the
//! caller's time-out.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every HTTP/2 client sends first (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A protocol that we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads until it is clear what the client speaks, and gives the bytes back to be read again.
pub(super) async fn detect<IO>(mut io: IO) -> io::Result<(Protocol, Rewound<IO>)>
where
    IO: AsyncRead + Unpin,
{
    let mut space = [0; HTTP2_PREFACE.len()];
    let mut buffer = ReadBuf::new(&mut space);
    loop {
        let before = buffer.filled().len();
        poll_fn(|cx| Pin::new(&mut io).poll_read(cx, &mut buffer)).await?;
        let first = buffer.filled();
        if first.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let protocol = match HTTP2_PREFACE.strip_prefix(first) {
            Some([]) => Protocol::Http2,
            Some(_) => continue,
            None => Protocol::Http1,
        };
        return Ok((
            protocol,
            Rewound {
                first: Bytes::copy_from_slice(first),
                io,
            },
        ));
    }
}

/// A stream whose first bytes are read once more.
pub(super) struct Rewound<IO> {
    first: Bytes,
    io: IO,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Rewound<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let length = this.first.len().min(buffer.remaining());
        buffer.put_slice(&this.first[..length]);
        this.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Rewound<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell_and_are_not_lost() {
        let http2 = [HTTP2_PREFACE.as_slice(), b"rest"].concat();
        for (sent, expected) in [
            (http2.as_slice(), Protocol::Http2),
            (b"GET / HTTP/1.0\r\n\r\n", Protocol::Http1),
            (b"PUT / HTTP/1.0\r\n\r\n", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
        ] {
            let (protocol, mut rewound) = detect(sent).await.unwrap();
            assert_eq!(protocol, expected);
            let mut read = Vec::new();
            rewound.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, sent);
        }
    }

    #[tokio::test]
    async fn the_preface_may_come_byte_by_byte_and_must_come_whole() {
        let (mut client, server) = tokio::io::duplex(1);
        let send = async {
            tokio::io::AsyncWriteExt::write_all(&mut client, HTTP2_PREFACE)
                .await
                .unwrap();
        };
        let (detected, ()) = tokio::join!(detect(server), send);
        assert_eq!(detected.unwrap().0, Protocol::Http2);
        for cut in [0, 1, 23] {
            assert!(detect(&HTTP2_PREFACE[..cut]).await.is_err(), "{cut} bytes");
        }
    }
}
