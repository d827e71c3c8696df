//! A socket that is given up when its client takes nothing more from it.
//!
//! Where a client stops reading altogether, its kernel's and ours fill up and writing waits; what the connection holds
//! (its requests, their streams and their memory) would wait with it for as long as the client likes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stall::Stall;

/// Writing fails once nothing could be written for a time, which closes the connection.
#[derive(Debug)]
pub(super) struct PatientSocket<IO> {
    io: IO,
    limit: Duration,
    stall: Stall,
}

impl<IO> PatientSocket<IO> {
    /// A socket that waits at most `limit` for its client to take something.
    pub(super) fn new(io: IO, limit: Duration) -> Self {
        Self {
            io,
            limit,
            stall: Stall::new(limit),
        }
    }

    /// Looks at the clock if nothing was written.
    fn watched(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall.end();
            return written;
        }
        self.stall.go_on();
        self.stall.poll_over(cx).map(|()| {
            let limit = self.limit;
            let text = format!("the client took nothing of what was sent to it for {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for PatientSocket<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for PatientSocket<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// A socket keeps nothing back, so that there is nothing here that could wait.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (_client, server) = tokio::io::duplex(8);
        let (mut socket, begun) = (PatientSocket::new(server, LIMIT), Instant::now());
        let error = socket.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_little_now_and_then_is_served() {
        let (mut client, server) = tokio::io::duplex(8);
        let mut socket = PatientSocket::new(server, LIMIT);
        let read = async {
            let mut piece = [0; 8];
            for _ in 0..10 {
                tokio::time::sleep(LIMIT * 9 / 10).await;
                client.read_exact(&mut piece).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(socket.write_all(&[7; 80]), read);
        written.unwrap();
    }
}
