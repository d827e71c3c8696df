//! Who calls, asked once for each request, and again while its stream is open.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::Api;
use crate::access::Caller;
use crate::access::CredentialKind;
use crate::auth::{Authenticator, Failure, Presented, Reason};
use crate::error::Error;
use crate::execution::EventStream;
use crate::server::Peer;

impl Api {
    /// The caller of a request.
    ///
    /// # Errors
    /// UNAUTHENTICATED with a challenge, or UNAVAILABLE.
    pub(super) async fn caller(
        &self,
        headers: &HeaderMap,
        peer: Option<&Arc<Peer>>,
    ) -> Result<Arc<Caller>, Error> {
        let presented = Presented {
            headers,
            certificate: peer.and_then(|peer| peer.identity.as_ref()),
        };
        let authenticator = self.authenticator();
        let caller = authenticator.authenticate(presented).await;
        caller.map_err(|failure| authenticator.error(&failure))
    }

    /// A stream that ends when the credential of its caller does: at its expiry, and within
    /// [`ApiSettings::credential_interval`](super::ApiSettings) of its revocation. A connection's certificate is watched
    /// with the connection.
    pub(super) fn guarded(&self, events: EventStream, caller: &Arc<Caller>) -> EventStream {
        if caller.expires_ms.is_none() && caller.credential.kind != CredentialKind::ApiKey {
            return events;
        }
        let interval = self.settings().credential_interval;
        events.until(end_of(self.authenticator().clone(), caller.clone(), interval))
    }
}

/// Resolves once the credential of a caller has ended.
async fn end_of(authenticator: Authenticator, caller: Arc<Caller>, interval: Duration) -> Error {
    loop {
        tokio::time::sleep(interval).await;
        if !authenticator.still_stands(&caller).await {
            return authenticator.error(&Failure::Refused {
                kind: caller.credential.kind,
                reason: Reason::Expired,
            });
        }
    }
}
