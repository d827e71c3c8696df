//! Responses over HTTP/2 that nobody reads.
//!
//! HTTP/2 has a window for each response: when a client lets one run full, that response waits and the rest of the
//! connection goes on. hyper then leaves a frame in its hand and the body alone until there is room again, so the body
//! can't end itself. Here the body marks when hyper takes a frame and when it comes back for more, and the task that
//! sends the response looks at the mark and at the clock: dropping that task resets the stream.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::stall::Stall;

/// Larger frames go out in pieces: the next one is asked for when the last one had room, so that this is what a
/// response that is not read keeps in buffers, and a long answer that nobody reads is noticed as one.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// What happened to the response body that was polled last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A frame was handed out, and waits until there is room for it.
    Handed,
    /// hyper came back for more: there was room for all so far.
    Taken,
}

thread_local! {
    /// Set by the body and read by the task around it within one and the same poll. Not shared memory: a task and its
    /// body are polled together on one thread.
    static MARK: Cell<Option<Mark>> = const { Cell::new(None) };
}

pin_project! {
    /// A response body in pieces that marks when they are taken.
    pub(super) struct MarkedBody<B> {
        #[pin]
        inner: B,
        // The rest of a frame that is larger than a piece.
        rest: Bytes,
    }
}

impl<B> MarkedBody<B> {
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for MarkedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        MARK.set(Some(Mark::Taken));
        if this.rest.is_empty() {
            let data = match ready!(this.inner.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            };
            *this.rest = data;
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES_MAX));
        MARK.set(Some(Mark::Handed));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

pin_project! {
    /// The task of one HTTP/2 response, which ends when the client has left a piece of it unread for too long.
    pub(super) struct PatientResponse<F> {
        #[pin]
        task: F,
        limit: Duration,
        stall: Stall,
    }
}

impl<F> PatientResponse<F> {
    /// The task of a response, whose body is a [`MarkedBody`]; a piece of it may wait for `limit`.
    pub(super) fn new(task: F, limit: Duration) -> Self {
        Self {
            task,
            limit,
            stall: Stall::new(limit),
        }
    }
}

impl<F: Future<Output = ()>> Future for PatientResponse<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        MARK.set(None);
        if this.task.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match MARK.take() {
            Some(Mark::Handed) => this.stall.begin(),
            Some(Mark::Taken) => this.stall.end(),
            // The body was not asked: what waited still waits.
            None => {}
        }
        ready!(this.stall.poll_over(cx));
        tracing::info!(limit = ?this.limit, "a client left a response unread; it is reset");
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, poll_fn};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn frames(count: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames = stream::iter((0..count).map(|_| Ok(Frame::data(Bytes::from_static(b"event")))));
        MarkedBody::new(StreamBody::new(frames.chain(stream::pending())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_finds_no_room_ends_its_task() {
        let begun = Instant::now();
        let task = async {
            frames(1).frame().await;
            pending::<()>().await;
        };
        PatientResponse::new(task, LIMIT).await;
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_body_is_waited_for_and_a_slow_client_too() {
        let task = async {
            let mut body = frames(3);
            for _ in 0..3 {
                body.frame().await;
                sleep(LIMIT * 9 / 10).await;
            }
            body.frame().await;
        };
        let over = tokio::time::timeout(100 * LIMIT, PatientResponse::new(task, LIMIT));
        assert!(over.await.is_err(), "a stream without events stays open");
    }

    #[tokio::test(start_paused = true)]
    async fn another_task_on_the_thread_changes_nothing() {
        let stalled = PatientResponse::new(
            async {
                frames(1).frame().await;
                pending::<()>().await;
            },
            LIMIT,
        );
        let busy = async {
            loop {
                let mut body = frames(1);
                body.frame().await;
                let _ = futures_util::poll!(Box::pin(body.frame()));
                sleep(Duration::from_secs(1)).await;
            }
        };
        let busy = PatientResponse::new(busy, LIMIT);
        let begun = Instant::now();
        tokio::select! {
            biased;
            () = busy => panic!("it is read"),
            () = stalled => {}
        }
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test]
    async fn large_frames_go_out_in_pieces_of_the_same_memory() {
        let data = Bytes::from(vec![7; 2 * PIECE_BYTES_MAX + 1]);
        let mut body = MarkedBody::new(Full::new(data.clone()));
        let mut pieces = Vec::new();
        assert_eq!(body.size_hint().exact(), Some(data.len() as u64));
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            let left = data.len() - pieces.iter().map(Bytes::len).sum::<usize>();
            assert_eq!(body.size_hint().exact(), Some(left as u64));
            assert_eq!(body.is_end_stream(), left == 0);
        }
        let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PIECE_BYTES_MAX, PIECE_BYTES_MAX, 1]);
        assert_eq!(pieces[0].as_ptr(), data.as_ptr());
    }

    #[tokio::test]
    async fn trailers_pass() {
        let trailers = http::HeaderMap::from_iter([(http::header::TE, http::HeaderValue::from_static("x"))]);
        let body = Full::new(Bytes::from_static(b"x")).with_trailers(async { Some(Ok(trailers)) });
        let mut body = std::pin::pin!(MarkedBody::new(body));
        let mut frames = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            frames.push(frame.unwrap().is_trailers());
        }
        assert_eq!(frames, [false, true]);
    }
}
