//! Bodies whose bytes are counted, for quotas of bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Body;
use crate::quota::Traffic;

pin_project! {
    /// A body that tells how many bytes go through it.
    pub(super) struct MeteredBody<B> {
        #[pin]
        inner: B,
        traffic: Option<Arc<Traffic>>,
        count: fn(&Traffic, u64),
    }
}

/// A request that is counted, if there is anything to count it for; the answer is by [`response`].
pub(super) fn request<B>(mut request: Request<B>, traffic: Option<Arc<Traffic>>) -> Request<MeteredBody<B>> {
    if let Some(traffic) = &traffic {
        request.extensions_mut().insert(traffic.clone());
    }
    request.map(|inner| MeteredBody {
        inner,
        traffic,
        count: Traffic::received,
    })
}

/// An answer that is counted.
pub(super) fn response(response: Response<Body>, traffic: Arc<Traffic>) -> Response<Body> {
    response.map(|inner| {
        Body::new(MeteredBody {
            inner,
            traffic: Some(traffic),
            count: Traffic::sent,
        })
    })
}

impl<B> http_body::Body for MeteredBody<B>
where
    B: http_body::Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(traffic)) = (&polled, this.traffic)
            && let Some(data) = frame.data_ref()
        {
            (this.count)(traffic, data.remaining() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
