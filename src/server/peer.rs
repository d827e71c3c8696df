//! Who is at the other end of a connection, told to every request that comes over it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::{MapOk, TryFutureExt};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tower::Service;
use tower::util::{Oneshot, ServiceExt};

use super::proxies::TrustedProxies;
use super::response::MarkedBody;
use crate::tls::PeerIdentity;

/// The other end of a connection, or of the way behind it. It stands as `Arc<Peer>` in the extensions of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the request comes from: the other end of the connection, or behind a trusted proxy the client that it
    /// names, with port 0 if it names none. None where a request did not come over a socket.
    pub addr: Option<SocketAddr>,
    /// Who the caller is by its verified certificate.
    pub identity: Option<PeerIdentity>,
    /// True when the connection is encrypted.
    pub tls: bool,
}

/// The service of one connection: adds the peer, passes the request on, and marks what is read of the answer.
pub(super) struct PeerService<S> {
    pub(super) inner: S,
    pub(super) peer: Arc<Peer>,
    /// What the peer is believed in, if it is a proxy that we trust.
    pub(super) proxies: Option<Arc<TrustedProxies>>,
}

impl<S> PeerService<S> {
    /// Whom a request comes from.
    fn sender(&self, headers: &HeaderMap) -> Arc<Peer> {
        let proxies = self.proxies.as_ref();
        match proxies.and_then(|proxies| proxies.client(headers)) {
            // The certificate of the connection is the proxy's, and not that of whoever stands behind it.
            Some(client) => Arc::new(Peer {
                addr: Some(client),
                identity: None,
                tls: self.peer.tls,
            }),
            None => Arc::clone(&self.peer),
        }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for PeerService<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<MarkedBody<B>>;
    type Error = Infallible;
    // Named instead of boxed: this is on the path of every request.
    type Future = MapOk<Oneshot<S, Request<Incoming>>, fn(Response<B>) -> Response<MarkedBody<B>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let sender = self.sender(request.headers());
        request.extensions_mut().insert(sender);
        self.inner
            .clone()
            .oneshot(request)
            .map_ok(|response| response.map(MarkedBody::new))
    }
}
