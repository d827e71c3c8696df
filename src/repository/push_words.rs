//! Deliveries and filters as operators write and read them, the same in commands, in calls and in audit records.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::push::{DeliveryFilter, DeliveryKey, DeliveryState, PushStream};

impl DeliveryState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PushStream { task_id, config_id } = &self.stream;
        write!(out, "{task_id}/{config_id}/{}", self.generation)
    }
}

/// The text names no delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a delivery is TASK/CONFIG/GENERATION, as a list of them has it")]
pub struct NoDeliveryKey;

impl FromStr for DeliveryKey {
    type Err = NoDeliveryKey;

    /// Callers choose the ids of configurations, which may have a `/` in them; those of tasks have none.
    fn from_str(text: &str) -> Result<Self, NoDeliveryKey> {
        let (task_id, rest) = text.split_once('/').ok_or(NoDeliveryKey)?;
        let (config_id, generation) = rest.rsplit_once('/').ok_or(NoDeliveryKey)?;
        let is_number = generation.bytes().all(|digit| digit.is_ascii_digit());
        // No database counts further.
        let generation = generation
            .parse()
            .ok()
            .filter(|number| *number <= i64::MAX as u64 && is_number);
        match (task_id, config_id, generation) {
            ("", ..) | (_, "", _) | (.., None) => Err(NoDeliveryKey),
            (task_id, config_id, Some(generation)) => Ok(Self {
                stream: PushStream {
                    task_id: Arc::from(task_id),
                    config_id: Arc::from(config_id),
                },
                generation,
            }),
        }
    }
}

impl DeliveryFilter {
    /// The one delivery of this key.
    pub fn one(key: &DeliveryKey) -> Self {
        Self {
            task_id: Some(key.stream.task_id.clone()),
            config_id: Some(key.stream.config_id.clone()),
            generation: Some(key.generation),
            ..Self::default()
        }
    }
}

/// `state=dead host=hooks.example.com:443`, or `all` when nothing is asked for.
impl fmt::Display for DeliveryFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.generation.map(|number| number.to_string());
        let owner = self.owner.as_ref().map(|owner| owner.as_str());
        let fields = [
            ("state", self.state.map(DeliveryState::as_str)),
            ("agent", self.agent.as_deref()),
            ("owner", owner),
            ("owners", self.owners.as_deref()),
            ("task", self.task_id.as_deref()),
            ("config", self.config_id.as_deref()),
            ("generation", generation.as_deref()),
            ("host", self.host.as_deref()),
        ];
        let mut said = fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .peekable();
        if said.peek().is_none() {
            return out.write_str("all");
        }
        for (number, (name, value)) in said.enumerate() {
            let blank = if number > 0 { " " } else { "" };
            write!(out, "{blank}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["t/c/1", "t/c/d/12", "t//1/9223372036854775807", "t/é ü/3"] {
            let key: DeliveryKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
        let key: DeliveryKey = "t/c/d/12".parse().unwrap();
        assert_eq!((&*key.stream.config_id, key.generation), ("c/d", 12));
        for text in [
            "",
            "t",
            "t/c",
            "t/c/",
            "/c/1",
            "t//1",
            "t/1",
            "t/c/x",
            "t/c/+1",
            "t/c/-1",
            "t/c/1 ",
            "t/c/9223372036854775808",
        ] {
            assert_eq!(text.parse::<DeliveryKey>(), Err(NoDeliveryKey), "{text:?}");
        }
    }

    #[test]
    fn a_filter_says_what_it_takes() {
        assert_eq!(DeliveryFilter::default().to_string(), "all");
        let key: DeliveryKey = "t/c/1".parse().unwrap();
        let filter = DeliveryFilter {
            state: Some(DeliveryState::Dead),
            host: Some("a:1".into()),
            owners: Some("org:acme/".into()),
            ..DeliveryFilter::one(&key)
        };
        assert_eq!(
            filter.to_string(),
            "state=dead owners=org:acme/ task=t config=c generation=1 host=a:1"
        );
    }
}
