//! What may be used, by whom.

use std::collections::BTreeMap;
use std::sync::Arc;

/// So much in a minute, and so much of it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Units that come back in a minute; 0: no limit.
    pub per_minute: u64,
    /// Units that may be used at once by who has used none for a while; 0: as many as `per_minute`.
    pub burst: u64,
}

/// The quota of one subject. 0 is no limit everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Calls of operations.
    pub requests: Rate,
    /// Bytes of bodies, received and sent.
    pub bytes: Rate,
    /// Streams that are open at once.
    pub streams_max: usize,
    /// Executions that run or wait in line at once.
    pub executions_max: usize,
    /// Tasks that have not ended.
    pub open_tasks_max: usize,
}

impl Quota {
    /// True if nothing is limited.
    pub fn is_off(&self) -> bool {
        let Self {
            requests,
            bytes,
            streams_max,
            executions_max,
            open_tasks_max,
        } = self;
        requests.per_minute == 0
            && bytes.per_minute == 0
            && *streams_max == 0
            && *executions_max == 0
            && *open_tasks_max == 0
    }
}

/// The quotas of all subjects of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectQuotas {
    /// What each has who is not named.
    pub each: Quota,
    /// What those have who are.
    pub named: BTreeMap<Arc<str>, Quota>,
}

impl SubjectQuotas {
    /// True if nobody is limited.
    pub fn are_off(&self) -> bool {
        self.all().all(Quota::is_off)
    }

    /// Every quota that somebody may have.
    pub(super) fn all(&self) -> impl Iterator<Item = &Quota> {
        self.named.values().chain([&self.each])
    }
}

/// Every limit is a configuration key of `[quotas]` or `[agents.NAME.quota]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// By principal.
    pub principals: SubjectQuotas,
    /// By agent, for all its callers together.
    pub agents: SubjectQuotas,
    /// By organisation, for all its members together.
    pub organisations: SubjectQuotas,
    /// Subjects of one kind whose use is kept apart; those who come later share one quota.
    pub keys_max: usize,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            principals: SubjectQuotas::default(),
            agents: SubjectQuotas::default(),
            organisations: SubjectQuotas::default(),
            keys_max: 100_000,
        }
    }
}
