//! `[quotas]`: how much callers, agents and organisations may use.

use std::collections::BTreeMap;

use super::error::Problem;
use super::layers::dotted;
use super::schema::section;

section! {
    /// Quotas. Beyond one there is RESOURCE_EXHAUSTED with the time to try again after. What is counted in this process
    /// is counted in each server that shares a database; only open tasks are counted for all of them.
    pub struct Quotas {
        /// What each caller may use. Callers without an identity are told apart by the address that they call from, and of
        /// IPv6 by its first half.
        principal: Quota = Quota::default();
        /// What all callers together may use of each agent; agents.NAME.quota overrides it.
        agent: AgentQuota = AgentQuota::default();
        /// What all members of an organisation together may use.
        organisation: Quota = Quota::default();
        /// Single callers, by principal: what is absent is as in quotas.principal.
        principals: BTreeMap<String, Quota> = BTreeMap::new();
        /// Single organisations, by name: what is absent is as in quotas.organisation.
        organisations: BTreeMap<String, Quota> = BTreeMap::new();
        /// Callers whose use is counted apart, as many organisations, and as many owners of tasks that are being begun. Who uses nothing for a while needs no place. Of
        /// more at once, those who come last share one quota; those that have one by name never do.
        keys_max: usize = 100_000, 1..=10_000_000;
    }
}

section! {
    /// The quota of a caller or an organisation; 0: no limit, absent: none or that of each.
    pub struct Quota {
        /// Calls of operations in a minute; each entry of a JSON-RPC batch is one.
        requests_per_minute: Option<u64> = None, 0..=1_000_000_000;
        /// Calls at once by who has made none for a while; 0 or absent: requests_per_minute.
        requests_burst: Option<u64> = None, 0..=1_000_000_000;
        /// Bytes of bodies in a minute, received and sent, as they are on the wire. Who has one byte left may send and get a
        /// whole message; what was too much has to come back before the next call. A stream that runs over it ends with
        /// its cursor.
        bytes_per_minute: Option<u64> = None, 0..=4_000_000_000;
        /// Bytes at once; 0 or absent: bytes_per_minute.
        bytes_burst: Option<u64> = None, 0..=4_000_000_000;
        /// Streams that are open at once. limits.streams_per_caller_max holds for each caller as well.
        streams_max: Option<usize> = None, 0..=1_000_000;
        /// Executions of all agents that run or wait in line at once; one more is refused. The shares of an agent
        /// (limits.executions_max, execution.executions_per_owner_max) hold as well, and beyond them executions wait.
        executions_max: Option<usize> = None, 0..=1_000_000;
        /// Tasks that have not ended, those that wait for input among them. Those of a caller are the tasks that it sees:
        /// who shares a space shares the number, and callers without an identity are one.
        open_tasks_max: Option<usize> = None, 0..=1_000_000;
    }
}

section! {
    /// The quota of an agent, for all its callers together; 0: no limit, absent: none or that of each. How many executions
    /// run is agents.NAME.executions_max.
    pub struct AgentQuota {
        /// Calls of operations in a minute; each entry of a JSON-RPC batch is one.
        requests_per_minute: Option<u64> = None, 0..=1_000_000_000;
        /// Calls at once after a while without any; 0 or absent: requests_per_minute.
        requests_burst: Option<u64> = None, 0..=1_000_000_000;
        /// Bytes of bodies in a minute, received and sent, as they are on the wire.
        bytes_per_minute: Option<u64> = None, 0..=4_000_000_000;
        /// Bytes at once; 0 or absent: bytes_per_minute.
        bytes_burst: Option<u64> = None, 0..=4_000_000_000;
        /// Streams that are open at once.
        streams_max: Option<usize> = None, 0..=1_000_000;
        /// Tasks that have not ended, those that wait for input among them.
        open_tasks_max: Option<usize> = None, 0..=1_000_000;
    }
}

impl Quota {
    /// What a single one has: what it says itself, else what each has.
    #[must_use]
    pub fn over(&self, each: &Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(each.requests_per_minute),
            requests_burst: self.requests_burst.or(each.requests_burst),
            bytes_per_minute: self.bytes_per_minute.or(each.bytes_per_minute),
            bytes_burst: self.bytes_burst.or(each.bytes_burst),
            streams_max: self.streams_max.or(each.streams_max),
            executions_max: self.executions_max.or(each.executions_max),
            open_tasks_max: self.open_tasks_max.or(each.open_tasks_max),
        }
    }
}

impl AgentQuota {
    /// The same as the quota of a caller; executions have limits of their own.
    #[must_use]
    pub fn general(&self) -> Quota {
        Quota {
            requests_per_minute: self.requests_per_minute,
            requests_burst: self.requests_burst,
            bytes_per_minute: self.bytes_per_minute,
            bytes_burst: self.bytes_burst,
            streams_max: self.streams_max,
            executions_max: None,
            open_tasks_max: self.open_tasks_max,
        }
    }
}

impl Quotas {
    /// A burst without a rate would limit nothing, be it of each or of a single one. `agents` are those with a quota of
    /// their own.
    pub(super) fn problems<'a>(
        &self,
        agents: impl Iterator<Item = (&'a String, &'a AgentQuota)>,
    ) -> Vec<Problem> {
        let path = |words: &[&str]| dotted(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        let none = Quota::default();
        let mut found = Vec::new();
        for (section, quota) in [
            ("principal", &self.principal),
            ("agent", &self.agent.general()),
            ("organisation", &self.organisation),
        ] {
            find_idle_bursts(&path(&["quotas", section]), quota, &none, &mut found);
        }
        for (section, named, each) in [
            ("principals", &self.principals, &self.principal),
            ("organisations", &self.organisations, &self.organisation),
        ] {
            for (name, quota) in named {
                find_idle_bursts(&path(&["quotas", section, name]), quota, each, &mut found);
            }
        }
        for (name, quota) in agents {
            let section = path(&["agents", name, "quota"]);
            find_idle_bursts(&section, &quota.general(), &self.agent.general(), &mut found);
        }
        found
    }
}

/// Finds bursts that `section` sets and for which neither it nor `each` has a rate.
fn find_idle_bursts(section: &str, quota: &Quota, each: &Quota, found: &mut Vec<Problem>) {
    let both = quota.over(each);
    for (unit, rate, burst) in [
        ("requests", both.requests_per_minute, quota.requests_burst),
        ("bytes", both.bytes_per_minute, quota.bytes_burst),
    ] {
        if burst.unwrap_or(0) > 0 && rate.unwrap_or(0) == 0 {
            found.push(Problem::new(
                format!("{section}.{unit}_burst"),
                format!("limits nothing without {section}.{unit}_per_minute; set that, or take it out"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_single_one_has_what_it_says_and_else_what_each_has() {
        let each = Quota {
            requests_per_minute: Some(60),
            streams_max: Some(5),
            ..Quota::default()
        };
        let one = Quota {
            requests_per_minute: Some(0),
            open_tasks_max: Some(7),
            ..Quota::default()
        };
        let both = one.over(&each);
        assert_eq!(
            (both.requests_per_minute, both.streams_max, both.open_tasks_max),
            (Some(0), Some(5), Some(7))
        );
    }

    fn problems(text: &str) -> Vec<String> {
        let config: Config = toml::from_str(text).unwrap();
        let agents = config.agents.iter();
        let agents = agents.filter_map(|(name, agent)| Some((name, agent.quota.as_ref()?)));
        let found = config.quotas.problems(agents);
        found.iter().map(|problem| format!("{problem:?}")).collect()
    }

    #[test]
    fn a_burst_needs_a_rate() {
        assert!(problems("").is_empty());
        for section in [
            "quotas.principal",
            "quotas.agent",
            "quotas.organisation",
            "quotas.principals.ada",
            "quotas.organisations.acme",
            "agents.echo.quota",
        ] {
            for unit in ["requests", "bytes"] {
                let found = problems(&format!("{section}.{unit}_burst = 1"));
                let right = format!("{section}.{unit}_per_minute");
                assert!(
                    found.len() == 1 && found[0].contains(&right),
                    "{section}: {found:?}"
                );
                let both = format!("{section}.{unit}_burst = 1\n{section}.{unit}_per_minute = 1");
                assert!(problems(&both).is_empty(), "{section}");
            }
        }
    }

    #[test]
    fn a_single_burst_may_have_the_rate_of_each() {
        let each = "quotas.principal.requests_per_minute = 60\nquotas.principal.requests_burst = 10\n";
        assert!(problems(&format!("{each}quotas.principals.ada.requests_burst = 90")).is_empty());
        // Who has no limit has none, and the burst that stands for each is not its fault.
        assert!(problems(&format!("{each}quotas.principals.ada.requests_per_minute = 0")).is_empty());
        let both = "quotas.principals.ada = { requests_per_minute = 0, requests_burst = 5 }";
        assert_eq!(problems(&format!("{each}{both}")).len(), 1);
    }
}
