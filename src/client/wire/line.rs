//! The line to one agent: a channel of the egress guard, and whoever looks at what goes over it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service;

use super::{Exchange, Seen, Tap, Way};
use crate::egress::{ChannelBody, EgressChannel, Error, HangUp};

/// The body of an answer.
pub(in crate::client) type Inbound = Tapped<Incoming>;

/// A channel that may be tapped. Clones share its connections.
pub(in crate::client) struct Line<B> {
    channel: EgressChannel<Tapped<B>>,
    tap: Option<Arc<dyn Tap>>,
}

impl<B> Clone for Line<B> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
            tap: self.tap.clone(),
        }
    }
}

impl<B> Line<B>
where
    B: Body<Data = Bytes> + Unpin,
    Tapped<B>: ChannelBody,
{
    /// Nobody looks yet.
    pub(in crate::client) fn new(channel: EgressChannel<Tapped<B>>) -> Self {
        Self { channel, tap: None }
    }

    /// The same, looked at by `tap`.
    pub(in crate::client) fn tapped(self, tap: Option<Arc<dyn Tap>>) -> Self {
        Self { tap, ..self }
    }

    /// Sends a request for the head of its answer, as [`EgressChannel::exchange`] does; one that has a [`HangUp`] among its
    /// extensions, as [`EgressChannel::exchange_apart`] does.
    ///
    /// # Errors
    /// See [`Error`].
    pub(in crate::client) async fn exchange(&self, request: Request<B>) -> Result<Response<Inbound>, Error> {
        let exchange = self.tap.as_ref().and_then(|tap| tap.exchange());
        let (mut head, body) = request.into_parts();
        let hang_up: Option<HangUp> = head.extensions.remove();
        see(&exchange, Seen::Request(&head));
        let body = Tapped::new(body, Way::Out, exchange.clone());
        let request = Request::from_parts(head, body);
        let response = match hang_up {
            Some(hang_up) => self.channel.exchange_apart(request, hang_up).await?,
            None => self.channel.exchange(request).await?,
        };
        let (head, body) = response.into_parts();
        see(&exchange, Seen::Response(&head));
        Ok(Response::from_parts(head, Tapped::new(body, Way::In, exchange)))
    }
}

impl<B> Service<Request<B>> for Line<B>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    Tapped<B>: ChannelBody,
{
    type Response = Response<Inbound>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let line = self.clone();
        Box::pin(async move { line.exchange(request).await })
    }
}

fn see(exchange: &Option<Arc<dyn Exchange>>, seen: Seen<'_>) {
    if let Some(exchange) = exchange {
        exchange.see(seen);
    }
}

/// A body that may be tapped.
pub(in crate::client) struct Tapped<B> {
    body: B,
    way: Way,
    /// Nobody looks, or it was seen to its end.
    exchange: Option<Arc<dyn Exchange>>,
}

impl<B> Tapped<B> {
    fn new(body: B, way: Way, exchange: Option<Arc<dyn Exchange>>) -> Self {
        Self { body, way, exchange }
    }

    fn end(&mut self) {
        see(&self.exchange.take(), Seen::End(self.way));
    }
}

impl<B> Drop for Tapped<B> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tapped<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if this.exchange.is_none() {
            return Poll::Ready(frame);
        }
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                see(&this.exchange, Seen::Data(this.way, data));
            } else if let Some(trailers) = frame.trailers_ref() {
                see(&this.exchange, Seen::Trailers(trailers));
            }
        }
        // A request is seen whole before its answer; what sends it may let go of it later.
        if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
            this.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Exchange for Log {
        fn see(&self, seen: Seen<'_>) {
            let text = match seen {
                Seen::Data(_, data) => String::from_utf8_lossy(data).into_owned(),
                Seen::End(way) => format!("end {way:?}"),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(text);
        }
    }

    fn log(log: &Arc<Log>) -> Vec<String> {
        log.0.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn a_body_is_seen_whole_and_its_end_once() {
        let seen = Arc::new(Log::default());
        let full = Full::new(Bytes::from_static(b"all"));
        let body = Tapped::new(full, Way::Out, Some(seen.clone()));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "all");
        assert_eq!(log(&seen), ["all", "end Out"]);
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_on_ends_where_it_was_left() {
        let seen = Arc::new(Log::default());
        let pieces = ["one", "two"].map(|text| Ok::<_, std::io::Error>(Frame::data(Bytes::from(text))));
        let stream = StreamBody::new(futures_util::stream::iter(pieces));
        let mut body = Tapped::new(stream, Way::In, Some(seen.clone()));
        body.frame().await.unwrap().unwrap();
        assert_eq!(log(&seen), ["one"]);
        drop(body);
        assert_eq!(log(&seen), ["one", "end In"]);
    }
}
