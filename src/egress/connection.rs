//! One connection, in the clear or by TLS.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;

use super::hang_up::HungUp;

/// What both kinds can do.
trait Io: Read + Write + Unpin + Send {}

impl<T: Read + Write + Unpin + Send> Io for T {}

/// The address that an answer came from: one of the extensions of each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A connection with its place among those that may be open.
pub(super) struct EgressConnection {
    io: Box<dyn Io>,
    is_http2: bool,
    /// Nothing can be written any more.
    is_deaf: bool,
    /// Whether to end, whatever there is to do.
    hung_up: Option<HungUp>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

impl EgressConnection {
    pub(super) fn plain(stream: TcpStream, peer: Peer, place: OwnedSemaphorePermit) -> Self {
        Self {
            io: Box::new(TokioIo::new(stream)),
            is_http2: false,
            is_deaf: false,
            hung_up: None,
            peer,
            _place: place,
        }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, peer: Peer, place: OwnedSemaphorePermit) -> Self {
        Self {
            is_http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            io: Box::new(TokioIo::new(stream)),
            is_deaf: false,
            hung_up: None,
            peer,
            _place: place,
        }
    }

    /// The same, which ends when it is told to.
    pub(super) fn until(self, hung_up: Option<HungUp>) -> Self {
        Self { hung_up, ..self }
    }

    /// Whether it is to end. Polled by all that is done on it, so that whatever waits is woken.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.hung_up.as_mut().is_some_and(|hung_up| hung_up.is_over(cx))
    }

    /// Whether what is written is thrown away.
    fn is_deaf(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_deaf = self.is_deaf || self.is_over(cx);
        self.is_deaf
    }

    /// What a write came to. A host that has enough of a request may answer, and close before it has read all of it: what it
    /// has said is still to be read, and gets lost if the connection ends by what can't be written. So that is thrown away,
    /// as far as anything of it is still written before the end is read.
    fn written<T>(&mut self, result: io::Result<T>, thrown_away: T) -> io::Result<T> {
        match result {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                self.is_deaf = true;
                Ok(thrown_away)
            }
            result => result,
        }
    }
}

impl Connection for EgressConnection {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.peer);
        if self.is_http2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for EgressConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.io).poll_read(cx, buffer)
    }
}

impl Write for EgressConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf(cx) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = ready!(Pin::new(&mut *self.io).poll_write(cx, bytes));
        Poll::Ready(self.written(result, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf(cx) {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut *self.io).poll_flush(cx));
        Poll::Ready(self.written(result, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut *self.io).poll_shutdown(cx);
        // A host that reads nothing does not read that it is over either.
        if self.is_over(cx) {
            Poll::Ready(Ok(()))
        } else {
            ended
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::Duration;

    use hyper::rt::ReadBuf;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::Semaphore;

    use super::super::HangUp;
    use super::*;

    /// For what can be written at once.
    const PAUSE: Duration = Duration::from_millis(500);

    async fn read(connection: &mut EgressConnection) -> io::Result<Vec<u8>> {
        let mut room = [0; 8];
        let mut buffer = ReadBuf::new(&mut room);
        poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, buffer.unfilled())).await?;
        Ok(buffer.filled().to_vec())
    }

    #[tokio::test]
    async fn what_a_host_said_before_it_closed_is_read_though_nothing_can_be_written() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut host, _) = listener.accept().unwrap();
        // What a host has not read makes its close a reset.
        stream.write_all(b"unread").await.unwrap();
        host.write_all(b"no").unwrap();
        drop(host);
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let mut connection = EgressConnection::plain(stream, Peer(Ipv4Addr::LOCALHOST.into()), place);
        let mut is_over = false;
        while !is_over {
            // Once more behind the write that failed.
            is_over = connection.is_deaf;
            let written = poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, b"more")).await;
            assert_eq!(written.unwrap(), 4);
            tokio::task::yield_now().await;
        }
        poll_fn(|cx| Pin::new(&mut connection).poll_flush(cx))
            .await
            .unwrap();
        assert_eq!(read(&mut connection).await.unwrap(), b"no");
        assert_eq!(read(&mut connection).await.unwrap_or_default(), b"");
    }

    #[tokio::test]
    async fn what_waits_to_be_written_ends_with_the_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_host, _) = listener.accept().unwrap();
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let hang_up = HangUp::default();
        let peer = Peer(IpAddr::from([127, 0, 0, 1]));
        let connection = EgressConnection::plain(stream, peer, place);
        let mut connection = connection.until(Some(HungUp::of(hang_up.clone())));
        let bytes = vec![0; 1 << 20];
        let mut write = async || poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, &bytes)).await;
        // Until the buffers of both sockets are full.
        while tokio::time::timeout(PAUSE, write()).await.is_ok() {}
        let ends = async {
            tokio::task::yield_now().await;
            hang_up.now();
        };
        let (written, ()) = tokio::join!(write(), ends);
        assert_eq!(written.unwrap(), bytes.len());
        assert_eq!(read(&mut connection).await.unwrap(), b"");
    }
}
