//! Exchanges whose bodies are streams: calls to other agents.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Builder, Client};
use tower::Service;

use super::client::{OURS, cause};
use super::connector::Connector;
use super::{EgressPolicy, Error, HangUp};

/// A body that can be sent.
pub trait ChannelBody: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static {}

impl<B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static> ChannelBody for B {}

/// Why a body can't be sent.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sends requests under one policy and hands the answer over while it comes. Neither time nor size are limited here but
/// for the head of the answer: the caller knows what it waits for. Redirects are answers like any other. Clones share
/// their connections.
pub struct EgressChannel<B> {
    policy: Arc<EgressPolicy>,
    client: Client<Connector, B>,
    connector: Connector,
    builder: Builder,
}

impl<B> Clone for EgressChannel<B> {
    fn clone(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            client: self.client.clone(),
            connector: self.connector.clone(),
            builder: self.builder.clone(),
        }
    }
}

impl<B: ChannelBody> EgressChannel<B> {
    pub(super) fn new(policy: EgressPolicy, builder: Builder, connector: Connector) -> Self {
        Self {
            policy: Arc::new(policy),
            client: builder.build(connector.clone()),
            connector,
            builder,
        }
    }

    /// The policy of this channel: what it checks a URL with before it goes into a request.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Sends a request for the head of its answer, behind which the body comes. The address is judged when it is connected
    /// to; headers that belong to the connection are taken out, but for `te`, which gRPC needs.
    ///
    /// # Errors
    /// See [`Error`]. Behind [`Error::Http`] the host may have got the request; behind the others it has not.
    pub async fn exchange(&self, request: Request<B>) -> Result<Response<Incoming>, Error> {
        Self::over(&self.client, request).await
    }

    /// The same on a connection that nothing else uses, within the same number of them, which ends with the answer, or when
    /// `hang_up` says so. A host that answers before it has read the request may never read the rest, and who has given up
    /// has to be able to leave.
    ///
    /// # Errors
    /// As for [`EgressChannel::exchange`].
    pub async fn exchange_apart(
        &self,
        request: Request<B>,
        hang_up: HangUp,
    ) -> Result<Response<Incoming>, Error> {
        let connector = Connector {
            hang_up: Some(hang_up),
            ..self.connector.clone()
        };
        Self::over(&self.builder.build(connector), request).await
    }

    async fn over(
        client: &Client<Connector, B>,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, Error> {
        for name in OURS.iter().filter(|name| **name != http::header::TE) {
            request.headers_mut().remove(name);
        }
        client.request(request).await.map_err(|error| cause(&error))
    }
}

impl<B: ChannelBody> Service<Request<B>> for EgressChannel<B> {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let channel = self.clone();
        Box::pin(async move { channel.exchange(request).await })
    }
}
