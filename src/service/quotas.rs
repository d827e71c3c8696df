//! What a call may use: charged when it is let in, and held for as long as what it began goes on.

use super::Inner;
use super::guard::Admission;
use super::streams::StreamPermit;
use crate::access;
use crate::agent::Agent;
use crate::context::CallContext;
use crate::error::Error;
use crate::execution::{EventStream, Permits};
use crate::quota::{Account, OpenLimit, Permit, Subject};
use crate::repository::{OpenQuery, Owners};

impl Inner {
    /// Charges a call, before anything else is done for it.
    pub(super) fn charge(&self, call: &CallContext, agent: &Agent) -> Result<Account, Error> {
        self.check_chain(call)?;
        let account = self.quotas.admit(&call.caller, call.peer, &agent.name)?;
        if let Some(traffic) = &call.traffic {
            traffic.charge_to(&account);
        }
        Ok(account)
    }

    /// Opens one more stream of a caller.
    pub(super) fn open_stream(
        &self,
        call: &CallContext,
        admission: &Admission,
    ) -> Result<(StreamPermit, Permit), Error> {
        let permit = self.streams.open(&call.caller.principal)?;
        Ok((permit, admission.account.open_stream()?))
    }

    /// The stream of a caller, as long as bytes are left; that it was ended before its task was is recorded.
    pub(super) fn limited(
        &self,
        call: &CallContext,
        admission: Admission,
        stream: EventStream,
    ) -> EventStream {
        let Admission {
            agent,
            method,
            account,
            ..
        } = admission;
        let audit = self.executions.audit();
        let record = audit.stream(call, method, &agent.name, stream.task_id());
        stream.recorded(record).metered(account)
    }

    /// Lets one more execution begin, and one more task if the message is for none that exists.
    pub(super) async fn permit(&self, admission: &Admission, is_new: bool) -> Result<Permits, Error> {
        let execution = Some(admission.account.execute()?);
        let opening = match is_new {
            true => self.open_task(admission).await?,
            false => None,
        };
        Ok(Permits { execution, opening })
    }

    /// Stored tasks are counted after the one that is on its way is announced: of those that come at the same time, each
    /// sees the others, so that one server never opens more than the limit. It may open one less for a moment. Several
    /// servers don't see what is on its way in the others.
    async fn open_task(&self, admission: &Admission) -> Result<Option<Permit>, Error> {
        let Some(opening) = self.quotas.open_task(&admission.account, &admission.scope.owner) else {
            return Ok(None);
        };
        for limit in &opening.limits {
            let Some(query) = self.open_query(admission, limit) else {
                continue;
            };
            limit.check(self.repository.open_tasks(&query).await?)?;
        }
        Ok(Some(opening.permit))
    }

    fn open_query(&self, admission: &Admission, limit: &OpenLimit) -> Option<OpenQuery> {
        let hosted = || self.agents.iter().map(|agent| agent.name.clone()).collect();
        let (agents, owners) = match limit.subject {
            Subject::Agent => (vec![admission.agent.name.clone()], Owners::All),
            Subject::Principal => (hosted(), Owners::One(admission.scope.owner.clone())),
            Subject::Organisation => {
                let organisation = admission.organisation.as_deref()?;
                (hosted(), Owners::Beginning(access::owners_of(organisation)))
            }
        };
        Some(OpenQuery {
            agents,
            owners,
            limit: limit.max,
        })
    }
}
