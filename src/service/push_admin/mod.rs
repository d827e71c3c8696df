//! What operators do with push notifications that wait or could not be sent: `a2ad.admin.v1.PushService`.
//!
//! [`PushAdmin`] has one method per RPC, and no way around its guard: an operator is known, has a role that names the
//! operation, and sees what waits at the agents of that role, within its own organisation. Every call has its audit record,
//! with what it was for.

mod asked;
mod guard;

use std::sync::Arc;

use crate::access::AdminMethod;
use crate::audit::Audit;
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::pb::admin::{
    Delivery, DiscardDeliveriesRequest, DiscardDeliveriesResponse, GetDeliveryRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, RedeliverDeliveriesRequest, RedeliverDeliveriesResponse,
};
use crate::pb::inspect::{Inspect, InspectLimits};
use crate::push::Pushes;
use crate::quota::Quotas;
use crate::repository::{self, DeliveryFilter, PushRepository, PushStream, TaskRepository, Turn};
use crate::shutdown::{Finisher, Shutdown};

use asked::{Asked, page_token};

/// How calls of operators are bounded.
#[derive(Clone, Debug)]
pub struct PushAdminSettings {
    /// Depth and nodes of a message.
    pub inspect: InspectLimits,
    /// Deliveries on a page, or changed by one call, at most.
    pub page_size_max: u32,
}

/// What the operators' service works on.
pub struct PushAdminParts {
    /// What waits to be sent.
    pub push: Arc<dyn PushRepository>,
    /// Who sends it.
    pub pushes: Pushes,
    /// The tasks that it is of.
    pub tasks: Arc<dyn TaskRepository>,
    /// Where calls are recorded.
    pub audit: Audit,
    /// What callers may use.
    pub quotas: Quotas,
    /// The end of the server.
    pub shutdown: Shutdown,
    /// What makes changes whose callers may hang up.
    pub changes: Finisher,
    /// The limits.
    pub settings: PushAdminSettings,
}

/// The operations of operators. Cheap to clone.
#[derive(Clone)]
pub struct PushAdmin(Arc<PushAdminParts>);

impl PushAdmin {
    /// The operations over a repository.
    pub fn new(parts: PushAdminParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The sizes that a request may not exceed.
    pub fn inspect_limits(&self) -> &InspectLimits {
        &self.0.settings.inspect
    }

    /// List Deliveries.
    ///
    /// # Errors
    /// InvalidParams for sizes, texts and tokens that are not valid; UNAVAILABLE.
    pub async fn list_deliveries(
        &self,
        call: &CallContext,
        request: ListDeliveriesRequest,
    ) -> Result<ListDeliveriesResponse, Error> {
        let asked = Asked::of_list(&request, self.0.settings.page_size_max);
        self.operate(
            call,
            AdminMethod::ListDeliveries,
            &request,
            asked,
            |asked| async move {
                let push = &self.0.push;
                // One more than the page has says whether there is another page.
                let found = push.deliveries(&asked.filter, asked.after.as_ref(), asked.limit + 1);
                let mut found = found.await?;
                let is_last = found.len() <= asked.limit;
                found.truncate(asked.limit);
                let last = found.last().filter(|_| !is_last);
                Ok(ListDeliveriesResponse {
                    next_page_token: page_token(last.map(|last| &last.key)),
                    deliveries: found.iter().map(Delivery::from).collect(),
                })
            },
        )
        .await
    }

    /// Get Delivery.
    ///
    /// # Errors
    /// NOT_FOUND, InvalidParams, UNAVAILABLE.
    pub async fn get_delivery(
        &self,
        call: &CallContext,
        request: GetDeliveryRequest,
    ) -> Result<Delivery, Error> {
        let asked = Asked::of_name(&request.name);
        let method = AdminMethod::GetDelivery;
        self.operate(call, method, &request, asked, |asked| async move {
            let found = self.find(call, method, &asked.filter).await?;
            let (task_id, generation) = (&found.key.stream.task_id, found.key.generation);
            let after = generation.saturating_sub(1);
            let events = self.0.tasks.events(&found.scope, task_id, after, 1).await;
            // An event that can't be read is no reason to hide what waits because of it.
            let event = match events {
                Err(error @ repository::Error::Unavailable { .. }) => return Err(error.into()),
                events => events.ok().and_then(|events| events.into_iter().next()),
            };
            Ok(Delivery::from(&found).with_event(event.as_deref()))
        })
        .await
    }

    /// Redeliver Deliveries.
    ///
    /// # Errors
    /// InvalidParams where it is not said which ones, NOT_FOUND for a single one that is not there, UNAVAILABLE.
    pub async fn redeliver_deliveries(
        &self,
        call: &CallContext,
        request: RedeliverDeliveriesRequest,
    ) -> Result<RedeliverDeliveriesResponse, Error> {
        let asked = Asked::of_redelivery(&request, self.0.settings.page_size_max);
        let method = AdminMethod::RedeliverDeliveries;
        let turn = self.operate(call, method, &request, asked, |asked| async move {
            let filter = self.meant(call, method, &asked).await?;
            let (after, limit) = (asked.after.clone(), asked.limit);
            let push = self.0.push.clone();
            let redelivered = async move { push.redeliver(&filter, after.as_ref(), limit).await };
            there(&asked, self.change(redelivered).await?)
        });
        turn.await.map(|turn| RedeliverDeliveriesResponse {
            count: i32::try_from(turn.count).unwrap_or(i32::MAX),
            next_page_token: page_token(turn.next.as_ref()),
        })
    }

    /// Discard Deliveries.
    ///
    /// # Errors
    /// As for [`PushAdmin::redeliver_deliveries`].
    pub async fn discard_deliveries(
        &self,
        call: &CallContext,
        request: DiscardDeliveriesRequest,
    ) -> Result<DiscardDeliveriesResponse, Error> {
        let asked = Asked::of_discard(&request, self.0.settings.page_size_max);
        let method = AdminMethod::DiscardDeliveries;
        let turn = self.operate(call, method, &request, asked, |asked| async move {
            let filter = self.meant(call, method, &asked).await?;
            let (after, limit) = (asked.after.clone(), asked.limit);
            let push = self.0.push.clone();
            let discarded = async move { push.discard(&filter, after.as_ref(), limit).await };
            there(&asked, self.change(discarded).await?)
        });
        turn.await.map(|turn| DiscardDeliveriesResponse {
            count: i32::try_from(turn.count).unwrap_or(i32::MAX),
            next_page_token: page_token(turn.next.as_ref()),
        })
    }

    /// The way of every call: its record is opened, it is let in or not, it is served, and the record says how it ended.
    async fn operate<Q: Inspect, A, F>(
        &self,
        call: &CallContext,
        method: AdminMethod,
        request: &Q,
        mut asked: Asked,
        operation: impl FnOnce(Asked) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let record = self
            .0
            .audit
            .administration(call, method, asked.about(), &asked.words)?;
        let admitted = match self.admit(call, method, &mut asked) {
            Ok(()) => asked.check(request, &self.0.settings.inspect),
            Err(error) => Err(error),
        };
        let outcome = match admitted {
            Ok(()) => operation(asked).await,
            Err(error) => Err(error),
        };
        record.ends(outcome.as_ref().err());
        outcome
    }

    /// Makes a change, and drops the requests under way whose claims that has revoked, as far as this process sends them:
    /// also when the operator has hung up before the change was written.
    async fn change(
        &self,
        change: impl Future<Output = Result<Turn, repository::Error>> + Send + 'static,
    ) -> Result<Turn, Error> {
        let pushes = self.0.pushes.clone();
        let changing = async move {
            let turn = change.await?;
            for PushStream { task_id, config_id } in &turn.revoked {
                pushes.stop(task_id, config_id);
            }
            pushes.ring();
            Ok::<_, repository::Error>(turn)
        };
        let changed = self.0.changes.finish("change of deliveries", changing).await;
        match changed {
            Some(changed) => Ok(changed?),
            None => Err(Error::internal(&"a change of deliveries panicked")),
        }
    }

    /// What a change is for. A single delivery is looked up first: its agent says whether the caller may change it.
    async fn meant(
        &self,
        call: &CallContext,
        method: AdminMethod,
        asked: &Asked,
    ) -> Result<DeliveryFilter, Error> {
        let mut filter = asked.filter.clone();
        if asked.is_one {
            let found = self.find(call, method, &filter).await?;
            filter.agent = Some(found.scope.agent);
        }
        Ok(filter)
    }

    /// The one delivery of a filter, if the caller may see it.
    async fn find(
        &self,
        call: &CallContext,
        method: AdminMethod,
        filter: &DeliveryFilter,
    ) -> Result<repository::Delivery, Error> {
        let found = self.0.push.deliveries(filter, None, 1).await?.into_iter().next();
        let grants = &call.caller.grants;
        found
            .filter(|found| grants.administer(Some(&found.scope.agent), method))
            .ok_or_else(not_found)
    }
}

/// What was done, unless it was to be done to one that is not there any more.
fn there(asked: &Asked, turn: Turn) -> Result<Turn, Error> {
    match (asked.is_one, turn.count) {
        (true, 0) => Err(not_found()),
        (true, _) => Ok(Turn { next: None, ..turn }),
        (false, _) => Ok(turn),
    }
}

fn not_found() -> Error {
    Error::new(
        Kind::NotFound,
        "no such delivery waits or is a dead letter; ListDeliveries has the names of those that do",
    )
}
