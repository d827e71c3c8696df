//! Who calls, asked once for each request, and again while its stream is open.

use std::sync::Arc;
use std::time::Duration;

use super::Api;
use super::call::Origin;
use crate::access::Caller;
use crate::access::CredentialKind;
use crate::audit::Stranger;
use crate::auth::{Authenticator, Failure, Presented};
use crate::error::Error;
use crate::execution::EventStream;

impl Api {
    /// The caller of a request.
    ///
    /// # Errors
    /// UNAUTHENTICATED with a challenge, or UNAVAILABLE.
    pub(super) async fn caller(&self, origin: &Origin<'_>) -> Result<Arc<Caller>, Error> {
        let presented = Presented {
            headers: origin.headers,
            certificate: origin.peer.and_then(|peer| peer.identity.as_ref()),
        };
        let authenticator = self.authenticator();
        let caller = authenticator.authenticate(presented).await;
        caller.map_err(|failure| {
            self.record(origin, &failure);
            authenticator.error(&failure)
        })
    }

    /// Notes a credential that was turned away. That one can't be verified at the moment is not held against it.
    fn record(&self, origin: &Origin<'_>, failure: &Failure) {
        let Failure::Refused { kind, reason } = failure else {
            return;
        };
        self.service().audit().authentication_failed(Stranger {
            peer: origin.peer.and_then(|peer| peer.addr),
            binding: origin.binding,
            credential: *kind,
            reason: reason.as_str(),
            request_id: origin.request_id.clone(),
            trace: origin.trace(),
        });
    }

    /// A stream that ends when the credential of its caller does: at its expiry, and within
    /// [`ApiSettings::credential_interval`](super::ApiSettings) of its revocation. A connection's certificate is watched
    /// with the connection. The end is recorded.
    pub(super) fn guarded(&self, events: EventStream, caller: &Arc<Caller>) -> EventStream {
        if caller.expires_ms.is_none() && caller.credential.kind != CredentialKind::ApiKey {
            return events;
        }
        let interval = self.settings().credential_interval;
        events.until(end_of(self.authenticator().clone(), caller.clone(), interval))
    }
}

/// Resolves once the credential of a caller has ended, with the word for it.
async fn end_of(
    authenticator: Authenticator,
    caller: Arc<Caller>,
    interval: Duration,
) -> (&'static str, Error) {
    loop {
        tokio::time::sleep(authenticator.time_left(&caller).min(interval)).await;
        if let Err(reason) = authenticator.still_stands(&caller).await {
            let kind = caller.credential.kind;
            let error = authenticator.error(&Failure::Refused { kind, reason });
            return (reason.as_str(), error);
        }
    }
}
