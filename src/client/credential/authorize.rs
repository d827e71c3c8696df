//! The layer that puts credentials into calls.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Service, ServiceExt as _};

use super::Credential;
use super::plan::{Attachment, Plan};
use crate::access::Method;
use crate::client::transport::Transport;
use crate::client::{Call, Error, Reply};
use crate::error::Kind;

/// Puts what a plan says into each call, and makes it once more with new credentials where the agent does not take the
/// first: it has not looked at the call then, so that this is safe.
#[derive(Clone)]
pub(in crate::client) struct Authorize {
    inner: Transport,
    plan: Arc<Plan>,
}

impl Authorize {
    /// Around the binding of the interface that the plan is for.
    pub(in crate::client) fn new(inner: Transport, plan: Plan) -> Self {
        Self {
            inner,
            plan: Arc::new(plan),
        }
    }

    async fn make(self, mut call: Call) -> Result<Reply, Error> {
        let plan = &self.plan;
        plan.check(&call)?;
        // The extended card is asked for only with what a scheme of the public one takes (a2a-cli specification 12.4).
        let is_strict = call.method() == Method::GetExtendedAgentCard;
        let fitting = plan.attachments.iter();
        let fitting: Vec<&Attachment> = fitting.filter(|one| one.is_advertised || !is_strict).collect();
        let mut shown = Vec::with_capacity(fitting.len());
        for attachment in &fitting {
            let credential = attachment.provider.credential().await.map_err(of_provider)?;
            attachment.placement.put(&credential, &mut call)?;
            shown.push(credential);
        }
        if !fitting
            .iter()
            .any(|attachment| attachment.provider.is_renewable())
        {
            return self.inner.oneshot(call).await;
        }
        let refused = match self.inner.clone().oneshot(call.clone()).await {
            Err(error) if error.kind() == Some(Kind::Unauthenticated) => error,
            answered => return answered,
        };
        if renew(&fitting, &shown, &mut call).await? {
            self.inner.oneshot(call).await
        } else {
            Err(refused)
        }
    }
}

/// Puts what is new in place of what was shown; false when nothing is.
async fn renew(fitting: &[&Attachment], shown: &[Credential], call: &mut Call) -> Result<bool, Error> {
    let mut is_new = false;
    for (attachment, rejected) in fitting.iter().zip(shown) {
        if let Some(credential) = attachment.provider.renewed(rejected).await.map_err(of_provider)? {
            attachment.placement.put(&credential, call)?;
            is_new = true;
        }
    }
    Ok(is_new)
}

/// What a provider can't do at the moment says nothing of the agent: it must not look like the agent's own failure.
fn of_provider(error: Error) -> Error {
    match error {
        error if !error.is_transient() => error,
        error @ Error::TokenUnavailable(_) => error,
        error => Error::TokenUnavailable(error.to_string()),
    }
}

impl Service<Call> for Authorize {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(self.clone().make(call))
    }
}
