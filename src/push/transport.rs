//! What carries a delivery: the way out, and what signs.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};

use crate::egress::{EgressClient, Error, Refusal};

/// What counts of a receiver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status; redirects are answers like any other.
    pub status: StatusCode,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
}

/// Brings requests to receivers.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The form in which a URL is sent.
    ///
    /// # Errors
    /// What the URL must be, and is not.
    fn target(&self, url: &str) -> Result<Uri, Refusal>;

    /// Sends a request, for the head of its answer.
    ///
    /// # Errors
    /// Why there is none.
    async fn post(&self, request: Request<Bytes>) -> Result<Answer, Error>;
}

#[async_trait]
impl Transport for EgressClient {
    fn target(&self, url: &str) -> Result<Uri, Refusal> {
        self.policy().check(url)
    }

    async fn post(&self, request: Request<Bytes>) -> Result<Answer, Error> {
        let head = self.send_for_head(request).await?;
        let retry_after = head.headers().get(header::RETRY_AFTER);
        Ok(Answer {
            status: head.status(),
            retry_after: retry_after
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        })
    }
}

/// What is signed of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'a> {
    /// The method.
    pub method: &'a str,
    /// The target, as it is sent.
    pub target: &'a Uri,
    /// The media type of the body.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The id of the delivery.
    pub delivery_id: &'a str,
    /// The time, in seconds since 1970.
    pub at_s: i64,
}

/// Signs deliveries, so that receivers know whose they are.
pub trait Signer: Send + Sync + 'static {
    /// The headers that carry the signature; none when it can't be made.
    fn sign(&self, delivery: &ToSign<'_>) -> Vec<(HeaderName, HeaderValue)>;
}
