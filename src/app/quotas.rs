//! From `[quotas]` and `[agents.NAME.quota]` to the quotas of all subjects.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{self, Config};
use crate::quota::{Quota, QuotaSettings, Rate, SubjectQuotas};

/// The quotas that a configuration says.
pub(super) fn of(config: &Config) -> QuotaSettings {
    let quotas = &config.quotas;
    let of_agents = config.agents.iter().filter_map(|(name, agent)| {
        let quota = agent.quota.as_ref()?;
        Some((name, quota.general()))
    });
    QuotaSettings {
        principals: subjects(&quotas.principal, named(&quotas.principals)),
        agents: subjects(&quotas.agent.general(), of_agents),
        organisations: subjects(&quotas.organisation, named(&quotas.organisations)),
        keys_max: quotas.keys_max,
    }
}

fn named(quotas: &BTreeMap<String, config::Quota>) -> impl Iterator<Item = (&String, config::Quota)> {
    quotas.iter().map(|(name, quota)| (name, quota.clone()))
}

fn subjects<'a>(
    each: &config::Quota,
    named: impl Iterator<Item = (&'a String, config::Quota)>,
) -> SubjectQuotas {
    SubjectQuotas {
        each: quota(each),
        named: named
            .map(|(name, own)| (Arc::from(name.as_str()), quota(&own.over(each))))
            .collect(),
    }
}

/// What is absent is not limited.
fn quota(said: &config::Quota) -> Quota {
    Quota {
        requests: Rate {
            per_minute: said.requests_per_minute.unwrap_or(0),
            burst: said.requests_burst.unwrap_or(0),
        },
        bytes: Rate {
            per_minute: said.bytes_per_minute.unwrap_or(0),
            burst: said.bytes_burst.unwrap_or(0),
        },
        streams_max: said.streams_max.unwrap_or(0),
        executions_max: said.executions_max.unwrap_or(0),
        open_tasks_max: said.open_tasks_max.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quotas_of_single_ones_stand_over_those_of_each() {
        let text = r#"
            [quotas]
            keys_max = 7
            [quotas.principal]
            requests_per_minute = 60
            requests_burst = 10
            executions_max = 3
            [quotas.principals."spiffe://example.org/a"]
            requests_per_minute = 6000
            bytes_per_minute = 5
            bytes_burst = 6
            [quotas.agent]
            streams_max = 9
            [quotas.organisations.acme]
            open_tasks_max = 8
            [agents.echo.quota]
            open_tasks_max = 4
        "#;
        let config: Config = toml::from_str(text).unwrap();
        config.validate().unwrap();
        let quotas = of(&config);
        let (per_minute, burst) = (6_000, 10);
        let single = Quota {
            requests: Rate { per_minute, burst },
            bytes: Rate {
                per_minute: 5,
                burst: 6,
            },
            executions_max: 3,
            ..Quota::default()
        };
        assert_eq!(quotas.principals.named["spiffe://example.org/a"], single);
        assert_eq!(quotas.principals.each.requests.per_minute, 60);
        let echo = quotas.agents.named["echo"];
        assert_eq!((echo.streams_max, echo.open_tasks_max), (9, 4));
        assert_eq!(quotas.organisations.named["acme"].open_tasks_max, 8);
        assert!(quotas.organisations.each.is_off());
        assert_eq!(quotas.keys_max, 7);
    }
}
