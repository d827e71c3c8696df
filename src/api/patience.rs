//! Request bodies that must not dawdle.
//!
//! A caller that sends half a request holds one of the places for requests in flight, and so does one that sends it byte
//! by byte. The time starts when the body has nothing to give, so a body that is there already never touches a timer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tonic::codegen::StdError;

pin_project! {
    /// A body each of whose pieces must come within a time, and all of them at some rate.
    pub(super) struct PatientBody<B> {
        #[pin]
        inner: B,
        patience: Duration,
        bytes_per_s_min: usize,
        received: u64,
        // When the body was waited for first.
        begun: Option<Instant>,
        deadline: Option<Pin<Box<Sleep>>>,
    }
}

/// The next piece of a body did not come in time, or too little had come by then.
#[derive(Debug, thiserror::Error)]
#[error(
    "the body came too slowly: within {0:?} each piece must come, and then all of it at a rate (server.body_bytes_per_s_min)"
)]
struct TooSlow(Duration);

impl<B> PatientBody<B> {
    /// A body whose next piece may take `patience`, and which must have come with this rate on average once it has taken
    /// longer than that; 0 for any rate.
    pub(super) fn new(inner: B, patience: Duration, bytes_per_s_min: usize) -> Self {
        Self {
            inner,
            patience,
            bytes_per_s_min,
            received: 0,
            begun: None,
            deadline: None,
        }
    }
}

/// When the next piece is too late.
fn deadline(begun: Instant, patience: Duration, received: u64, bytes_per_s_min: usize) -> Instant {
    let next = Instant::now() + patience;
    match received.saturating_mul(1_000).checked_div(bytes_per_s_min as u64) {
        Some(earned_ms) => next.min(begun + patience + Duration::from_millis(earned_ms)),
        None => next,
    }
}

impl<B> Body for PatientBody<B>
where
    B: Body,
    B::Error: Into<StdError>,
{
    type Data = B::Data;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            *this.deadline = None;
            if let Some(Ok(frame)) = &frame {
                *this.received += frame.data_ref().map_or(0, |data| data.remaining() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = *this.patience;
        let begun = *this.begun.get_or_insert_with(Instant::now);
        let (received, rate) = (*this.received, *this.bytes_per_s_min);
        let deadline = this.deadline.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(deadline(
                begun, patience, received, rate,
            )))
        });
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(TooSlow(patience)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_in_the_middle_is_given_up() {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"half")));
        let pieces = stream::iter([piece()]).chain(stream::pending());
        let mut body = PatientBody::new(StreamBody::new(pieces), PATIENCE, 0);
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        let begun = tokio::time::Instant::now();
        assert!(body.frame().await.is_some_and(|frame| frame.is_err()));
        assert!(begun.elapsed() >= PATIENCE);
    }

    /// Ten pieces of so many bytes, every 15 seconds; how long they were taken for.
    async fn dripping(bytes: usize, bytes_per_s_min: usize) -> (bool, Duration) {
        let pieces = stream::unfold(0, |sent| async move {
            tokio::time::sleep(PATIENCE / 2).await;
            let piece = Bytes::from(vec![b'x'; bytes]);
            (sent < 10).then(|| (Ok::<_, Infallible>(Frame::data(piece)), sent + 1))
        });
        let body = PatientBody::new(StreamBody::new(Box::pin(pieces)), PATIENCE, bytes_per_s_min);
        let begun = Instant::now();
        (body.collect().await.is_ok(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_has_to_come_at_some_rate() {
        assert!(dripping(1, 0).await.0, "any rate will do");
        assert!(dripping(15 * 1_024, 1_024).await.0);
        let (is_whole, taken) = dripping(1, 1_024).await;
        assert!(!is_whole && taken.as_secs() == 30, "{taken:?}");
        // Half the rate: 30 s, and what two pieces earn by then, and what is earned in that.
        let (is_whole, taken) = dripping(15 * 512, 1_024).await;
        assert!(!is_whole && (45..=60).contains(&taken.as_secs()), "{taken:?}");
    }

    #[test]
    fn what_is_known_of_the_body_stays_known() {
        let body = PatientBody::new(Full::new(Bytes::new()), PATIENCE, 0);
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }
}
