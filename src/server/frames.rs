//! A limit to HTTP/2 frames that cost us work and the client nothing.
//!
//! HTTP/2 lets a client send frames for ever that carry no request and no data: PING and SETTINGS, each of which we
//! answer, PRIORITY, RST_STREAM, WINDOW_UPDATE, empty DATA, and frames of types that nobody knows. h2 counts only some
//! of them, and keeps a thread of ours busy with the others for as long as they come. Here they are counted before h2
//! sees them. Clients that read much send many for good reason (credit, and pings by which they measure the way), so
//! what we send earns more of them; a limit by the clock alone would hit the fastest readers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The bytes of a frame's head (RFC 9113 section 4.1).
const HEAD_BYTES: usize = 9;
/// What a client sends before its first frame (RFC 9113 section 3.4).
const PREFACE_BYTES: u32 = 24;
/// Every so many bytes that we send earn the client one frame.
const BYTES_PER_FRAME: u64 = 64;

/// An HTTP/2 stream of bytes whose reading fails with [`io::ErrorKind::InvalidData`] when too many idle frames come.
pub(super) struct FrameWatch<IO> {
    io: IO,
    frames: Frames,
    budget: Budget,
}

impl<IO> FrameWatch<IO> {
    /// At most so many frames a second, beside those that are earned. The stream begins with the client's preface.
    pub(super) fn new(io: IO, per_s_max: u32) -> Self {
        Self {
            io,
            frames: Frames::default(),
            budget: Budget::new(per_s_max, Instant::now()),
        }
    }

    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        let idle = self.frames.idle_in(bytes);
        if idle == 0 || self.budget.spend(idle, Instant::now) {
            return Ok(());
        }
        let text = "too many HTTP/2 frames without a request or data (server.control_frames_per_s_max)";
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }

    fn earn(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.budget.earn(*bytes as u64);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for FrameWatch<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.check(&buffer.filled()[before..])?;
        }
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for FrameWatch<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.earn(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.earn(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Where in the client's frames the bytes stand that have come so far.
struct Frames {
    head: [u8; HEAD_BYTES],
    /// How much of the next head has come.
    head_bytes: usize,
    /// How much of the present frame is still to come; of the preface at first.
    rest: u32,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            rest: PREFACE_BYTES,
        }
    }
}

impl Frames {
    /// How many idle frames begin in these bytes.
    fn idle_in(&mut self, mut bytes: &[u8]) -> u64 {
        let mut idle = 0;
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.rest as usize);
            self.rest -= u32::try_from(skipped).unwrap_or(self.rest);
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEAD_BYTES - self.head_bytes);
            self.head[self.head_bytes..][..taken].copy_from_slice(&bytes[..taken]);
            self.head_bytes += taken;
            bytes = &bytes[taken..];
            if self.head_bytes == HEAD_BYTES {
                let [a, b, c, kind, flags, ..] = self.head;
                self.rest = u32::from_be_bytes([0, a, b, c]);
                self.head_bytes = 0;
                idle += u64::from(is_idle(kind, flags, self.rest));
            }
        }
        idle
    }
}

/// True for a frame that brings neither a request nor a piece of one. The length of what h2 takes for one head is
/// limited there.
fn is_idle(kind: u8, flags: u8, length: u32) -> bool {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const CONTINUATION: u8 = 9;
    const END_STREAM: u8 = 1;
    match kind {
        DATA => length == 0 && flags & END_STREAM == 0,
        HEADERS | CONTINUATION => false,
        _ => true,
    }
}

/// How many idle frames may still come: a second's worth at most, and those that were earned.
struct Budget {
    per_s: u64,
    left: u64,
    earned_bytes: u64,
    filled: Instant,
}

impl Budget {
    fn new(per_s_max: u32, now: Instant) -> Self {
        let per_s = u64::from(per_s_max.max(1));
        Self {
            per_s,
            left: per_s,
            earned_bytes: 0,
            filled: now,
        }
    }

    fn earn(&mut self, bytes: u64) {
        // As many as the clock gives in a minute: whoever has read for hours may not save it up.
        self.earned_bytes = (self.earned_bytes + bytes).min(60 * self.per_s * BYTES_PER_FRAME);
    }

    /// Takes `frames`; false when there are not so many. The clock is asked only when it matters.
    fn spend(&mut self, frames: u64, now: impl FnOnce() -> Instant) -> bool {
        if self.left < frames {
            let now = now();
            let gained = now.duration_since(self.filled).as_micros() * u128::from(self.per_s) / 1_000_000;
            self.left = self
                .per_s
                .min(self.left + u64::try_from(gained).unwrap_or(u64::MAX));
            self.filled = now;
        }
        let given = frames.min(self.left);
        let cost = (frames - given) * BYTES_PER_FRAME;
        if cost > self.earned_bytes {
            return false;
        }
        self.left -= given;
        self.earned_bytes -= cost;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn idle_frames_are_told_however_the_bytes_are_cut() {
        let frames = [
            PREFACE.to_vec(),
            frame(4, 0, &[0; 6]),
            frame(1, 4, &[7; 300]),
            frame(0, 0, &[7; 1]),
            frame(0, 0, &[]),
            frame(0, 1, &[]),
            frame(9, 4, &[]),
            frame(3, 0, &[0; 4]),
            frame(6, 0, &[0; 8]),
            frame(200, 0, &[7; 70_000]),
        ]
        .concat();
        for step in [1, 7, 9, 64, frames.len()] {
            let mut seen = Frames::default();
            let idle: u64 = frames.chunks(step).map(|bytes| seen.idle_in(bytes)).sum();
            assert_eq!(idle, 5, "in steps of {step}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_an_error_and_the_same_slowly_is_none() {
        let pings = |count| [PREFACE.to_vec(), frame(6, 0, &[0; 8]).repeat(count)].concat();
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut watch = FrameWatch::new(server, 100);
        client.write_all(&pings(101)).await.unwrap();
        let error = watch.read(&mut [0; 1 << 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);

        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut watch = FrameWatch::new(server, 100);
        client.write_all(&pings(100)).await.unwrap();
        assert_ne!(watch.read(&mut [0; 1 << 16]).await.unwrap(), 0);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.write_all(&frame(6, 0, &[0; 8]).repeat(50)).await.unwrap();
            assert_ne!(watch.read(&mut [0; 1 << 16]).await.unwrap(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_earns_frames() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut watch = FrameWatch::new(server, 10);
        watch.write_all(&[0; 64 * 90]).await.unwrap();
        let pings = [PREFACE.to_vec(), frame(8, 0, &[0; 4]).repeat(100)].concat();
        client.write_all(&pings).await.unwrap();
        assert_ne!(watch.read(&mut [0; 1 << 16]).await.unwrap(), 0);
        client.write_all(&frame(8, 0, &[0; 4])).await.unwrap();
        assert!(watch.read(&mut [0; 1 << 16]).await.is_err());
    }
}
