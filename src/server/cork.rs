//! Fewer and larger writes: what a connection says in one turn leaves in one write.
//!
//! HTTP/2 flushes behind every DATA frame, so that a unary answer costs two system calls and four answers cost eight,
//! and system calls are the largest part of what a small request costs. Between hyper and the socket, a
//! [`Corked`] stream collects; its [`Cork`] lets all of it go when the connection's turn is over.
//!
//! A turn is over when the task of the connection gives its thread away and no request is open, or when all that was
//! ready to run beside it has run: requests that came in one packet are answered in one. Nothing waits for company
//! that is not there: no timer is involved, and a lone answer leaves as early as it would have.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pause::Pause;
use super::requests::OpenRequests;

/// What may wait for the end of a turn; beyond it the connection waits for the socket, as it would without a cork.
const HELD_MAX: usize = 64 * 1024;
/// A write of this size goes straight to the socket if nothing is held: copying it would cost more than a call.
const DIRECT_MIN: usize = 16 * 1024;
/// A buffer that has grown beyond this is given back when it is empty: most connections are idle.
const KEPT_MAX: usize = 4 * 1024;

/// The stream that a connection reads from and writes to.
pub(super) struct Corked<IO>(Arc<Mutex<Held<IO>>>);

/// Lets go what a [`Corked`] stream holds.
pub(super) struct Cork<IO> {
    held: Arc<Mutex<Held<IO>>>,
    open: OpenRequests,
    pause: Pause,
}

struct Held<IO> {
    io: IO,
    bytes: Vec<u8>,
    /// How many of `bytes` are written already.
    written: usize,
    /// Set once a write has failed: nothing that follows can arrive.
    failed: Option<io::ErrorKind>,
}

/// Puts a cork on the stream of a connection with these requests.
pub(super) fn cork<IO>(io: IO, open: OpenRequests) -> (Corked<IO>, Cork<IO>) {
    let held = Arc::new(Mutex::new(Held {
        io,
        bytes: Vec::new(),
        written: 0,
        failed: None,
    }));
    let cork = Cork {
        held: Arc::clone(&held),
        open,
        pause: Pause::new(),
    };
    (Corked(held), cork)
}

impl<IO: AsyncWrite + Unpin> Cork<IO> {
    /// Writes what is held if the turn is over; else `cx` is woken when it is.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) {
        let held = lock(&self.held);
        if held.bytes.is_empty() || held.failed.is_some() {
            return;
        }
        if !self.open.any() {
            self.pause.forsake();
            release(held, cx);
        } else if self.pause.poll_over(cx).is_ready() {
            release(held, cx);
        }
    }

    /// Writes what is held, whatever else there may be: the connection is over.
    pub(super) fn end(&self, cx: &mut Context<'_>) {
        release(lock(&self.held), cx);
    }
}

/// Writes what is held as far as the socket takes it. What it does not take now follows when `cx` is woken; a failure
/// shows when the connection reads or writes next, for which it is woken too.
fn release<IO: AsyncWrite + Unpin>(mut held: MutexGuard<'_, Held<IO>>, cx: &mut Context<'_>) {
    if held.bytes.is_empty() || held.failed.is_some() {
        return;
    }
    if let Poll::Ready(Err(_)) = held.poll_release(cx) {
        cx.waker().wake_by_ref();
    }
}

/// Both halves are used by the one task that drives the connection, so the lock is always free.
fn lock<IO>(held: &Mutex<Held<IO>>) -> MutexGuard<'_, Held<IO>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<IO> Held<IO> {
    fn check(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Remembers a failure for whoever asks next.
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.failed = Some(error.kind()))
    }

    /// Takes as much as there is room for.
    fn take(&mut self, slices: &[IoSlice<'_>]) -> usize {
        let before = self.bytes.len();
        for slice in slices {
            let room = HELD_MAX.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        self.bytes.len() - before
    }

    fn clear(&mut self) {
        self.written = 0;
        if self.bytes.capacity() > KEPT_MAX {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }
}

impl<IO: AsyncWrite + Unpin> Held<IO> {
    /// Writes until nothing is held and the stream below has passed everything on.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.note(flushed))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            let written = match ready!(Pin::new(&mut self.io).poll_write(cx, rest)) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written,
            };
            self.written += self.note(written)?;
        }
        self.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.bytes.len() >= HELD_MAX {
            ready!(self.poll_drain(cx))?;
        }
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.bytes.is_empty() && size >= DIRECT_MIN {
            let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
            return Poll::Ready(self.note(written));
        }
        Poll::Ready(Ok(self.take(slices)))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Corked<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        held.check()?;
        Pin::new(&mut held.io).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Corked<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Says yes and leaves the writing to the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(lock(&self.0).check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        ready!(held.poll_drain(cx))?;
        Pin::new(&mut held.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// A stream of a connection without requests.
    fn cork<IO>(io: IO) -> (Corked<IO>, Cork<IO>) {
        super::cork(io, OpenRequests::default())
    }

    async fn turn<IO: AsyncWrite + Unpin>(cork: &mut Cork<IO>) {
        poll_fn(|cx| {
            cork.poll_turn(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// What has arrived, without waiting.
    async fn arrived(end: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
        let mut space = vec![0; 4 * HELD_MAX];
        let mut buffer = ReadBuf::new(&mut space);
        poll_fn(|cx| {
            while Pin::new(&mut *end).poll_read(cx, &mut buffer).is_ready() && buffer.remaining() > 0 {}
            Poll::Ready(())
        })
        .await;
        buffer.filled().to_vec()
    }

    #[tokio::test]
    async fn a_turn_leaves_when_it_is_over() {
        let (ours, mut theirs) = duplex(HELD_MAX);
        let (mut corked, mut cork) = cork(ours);
        corked.write_all(b"one ").await.unwrap();
        corked.flush().await.unwrap();
        corked.write_all(b"two").await.unwrap();
        assert!(arrived(&mut theirs).await.is_empty());
        turn(&mut cork).await;
        assert_eq!(arrived(&mut theirs).await, b"one two");
    }

    #[tokio::test]
    async fn with_requests_open_a_turn_waits_for_what_is_ready() {
        let (ours, mut theirs) = duplex(HELD_MAX);
        let open = OpenRequests::default();
        let request = open.one_more();
        let (mut corked, mut cork) = super::cork(ours, open);
        corked.write_all(b"one ").await.unwrap();
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            if polls == 1 {
                // An answer that was ready already wakes the connection.
                assert!(Pin::new(&mut corked).poll_write(cx, b"two").is_ready());
                cx.waker().wake_by_ref();
            }
            cork.poll_turn(cx);
            if lock(&cork.held).bytes.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        assert!(polls > 1);
        assert_eq!(arrived(&mut theirs).await, b"one two");
        corked.write_all(b"three").await.unwrap();
        turn(&mut cork).await;
        assert!(arrived(&mut theirs).await.is_empty());
        drop(request);
        turn(&mut cork).await;
        assert_eq!(arrived(&mut theirs).await, b"three");
    }

    #[tokio::test]
    async fn the_end_of_a_connection_waits_for_nothing() {
        let (ours, mut theirs) = duplex(HELD_MAX);
        let open = OpenRequests::default();
        let _request = open.one_more();
        let (mut corked, cork) = super::cork(ours, open);
        corked.write_all(b"last words").await.unwrap();
        poll_fn(|cx| {
            cork.end(cx);
            Poll::Ready(())
        })
        .await;
        assert_eq!(arrived(&mut theirs).await, b"last words");
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_follows_later() {
        let (ours, mut theirs) = duplex(1_000);
        let (mut corked, mut cork) = cork(ours);
        let said: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        corked.write_all(&said).await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < said.len() {
            turn(&mut cork).await;
            heard.extend(arrived(&mut theirs).await);
        }
        assert_eq!(heard, said);
        assert!(
            lock(&cork.held).bytes.capacity() <= KEPT_MAX,
            "the space is given back"
        );
    }

    #[tokio::test]
    async fn no_more_is_held_than_may_be() {
        let (ours, _theirs) = duplex(1);
        let (mut corked, cork) = cork(ours);
        let chunk = vec![7; DIRECT_MIN - 1];
        let mut taken = 0;
        poll_fn(|cx| {
            while let Poll::Ready(written) = Pin::new(&mut corked).poll_write(cx, &chunk) {
                taken += written.unwrap();
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(taken, HELD_MAX);
        assert_eq!(lock(&cork.held).bytes.len(), HELD_MAX);
    }

    #[tokio::test]
    async fn large_writes_are_not_copied() {
        let (ours, mut theirs) = duplex(2 * DIRECT_MIN);
        let (mut corked, cork) = cork(ours);
        corked.write_all(&vec![7; DIRECT_MIN]).await.unwrap();
        assert_eq!(lock(&cork.held).bytes.capacity(), 0);
        assert_eq!(arrived(&mut theirs).await.len(), DIRECT_MIN);
    }

    #[tokio::test]
    async fn closing_says_everything_first() {
        let (ours, mut theirs) = duplex(100);
        let (mut corked, _cork) = cork(ours);
        corked.write_all(&[7; 1_000]).await.unwrap();
        let mut heard = Vec::new();
        let (closed, read) = tokio::join!(corked.shutdown(), theirs.read_to_end(&mut heard));
        closed.unwrap();
        assert_eq!(read.unwrap(), 1_000);
    }

    #[tokio::test]
    async fn a_failed_write_shows_everywhere() {
        let (ours, theirs) = duplex(100);
        let (mut corked, mut cork) = cork(ours);
        corked.write_all(b"lost").await.unwrap();
        drop(theirs);
        turn(&mut cork).await;
        assert!(corked.write_all(b"more").await.is_err());
        assert!(corked.flush().await.is_err());
        assert!(corked.read(&mut [0; 1]).await.is_err());
    }
}
