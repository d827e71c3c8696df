//! What carries a delivery: the way out.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};

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
