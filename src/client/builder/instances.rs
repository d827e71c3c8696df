//! Which interfaces of a card are used, and what is shown to each of them.

use std::sync::Arc;

use super::ClientBuilder;
use crate::client::card::{Policies, ResolvedCard, choose, place_of};
use crate::client::credential::{Authorize, Given, Plan, Showing};
use crate::client::pool::Pool;
use crate::client::transport::{Transport, transport};
use crate::client::{Connections, Error, Instance, Target};

impl ClientBuilder {
    /// The interfaces that calls may go to, all of the binding that was chosen: the best one, and others of the agent that
    /// are as good: with the same tenant, and shown the same credentials, as a task is its owner's only. An interface that
    /// can't be used is left out unless all are.
    ///
    /// # Errors
    /// As [`ClientBuilder::client`].
    pub async fn instances(&self, resolved: &ResolvedCard) -> Result<Vec<Instance>, Error> {
        let chosen = choose(&resolved.card, &self.prefer)?;
        let pool = Pool::new(self.configs().await?.clone(), self.network.clone());
        let mut pool = pool.tapped(self.tap.clone());
        let policies = Policies::of(self.policy.clone());
        let (mut instances, mut failed) = (Vec::<Instance>::new(), None);
        for interface in chosen {
            let Some(binding) = Target::binding_of(interface) else {
                continue;
            };
            let first = instances.first().map(|first| &*first.target);
            let is_other = first.is_some_and(|first| first.binding != binding);
            if is_other || instances.len() >= self.settings.instances_max {
                break;
            }
            let place = place_of(interface, &resolved.card, &resolved.source);
            let reached = resolved.source.policy(&place, resolved.is_inner, &policies);
            let (policy, url) = match reached {
                Ok(allowed) => allowed,
                Err(error) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            };
            let target = Target {
                binding,
                url,
                tenant: interface.tenant.clone(),
                version: self.version.clone(),
                card: Some(resolved.card.clone()),
            };
            if !self
                .parameters
                .are_for(&target.url, resolved.named_origin.as_deref())
            {
                failed = failed.or(Some(Error::Credential(format!(
                    "the service parameters are not given for {}, which only the card names",
                    target.origin()
                ))));
                continue;
            }
            let shown = self.shown(&target, resolved);
            if first
                .is_some_and(|first| first.tenant != target.tenant || self.shown(first, resolved) != shown)
            {
                continue;
            }
            let connections = pool.of(&self.settings, policy, shown.0);
            match self.instance(target, resolved, connections, shown.0) {
                Ok(instance) => instances.push(instance),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if instances.is_empty() => Err(error),
            _ => Ok(instances),
        }
    }

    /// As whom this client comes to an interface: whether with its certificate, and with which of its credentials.
    fn shown(&self, target: &Target, resolved: &ResolvedCard) -> (bool, Vec<bool>) {
        let (url, named) = (&target.url, resolved.named_origin.as_deref());
        let has_certificate = self.tls.as_ref().is_some_and(|tls| tls.cert_file.is_some());
        let is_fit = url.scheme_str() == Some("https") && Given::is_named(url, named);
        let given = self.credentials.iter().map(|given| given.is_for(url, named));
        (has_certificate && is_fit, given.collect())
    }

    fn instance(
        &self,
        target: Target,
        resolved: &ResolvedCard,
        connections: &Connections,
        has_certificate: bool,
    ) -> Result<Instance, Error> {
        let showing = Showing {
            given: &self.credentials,
            named: resolved.named_origin.as_deref(),
            parameter_origins: &self.parameters.origins,
            allowed_headers: &self.allowed_headers,
            has_certificate,
        };
        let plan = Plan::of(&target, showing)?;
        let mut binding = transport(&target, connections, &self.settings);
        if let Some(tap) = &self.tap {
            binding = tap.around(binding, &target);
        }
        Ok(Instance {
            target: Arc::new(target),
            transport: Transport::new(Authorize::new(binding, plan)),
        })
    }
}
