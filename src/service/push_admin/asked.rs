//! What a request asks for, and what is wrong with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, Violation};
use crate::pb::admin::{self, DiscardDeliveriesRequest, ListDeliveriesRequest, RedeliverDeliveriesRequest};
use crate::pb::inspect::{Inspect, InspectLimits, inspect};
use crate::repository::{DeliveryFilter, DeliveryKey};
use crate::task::check_label;

/// Bytes of any text that a filter may have; no owner has a longer name.
const TEXT_BYTES_MAX: usize = 4_096;

/// A request as it is understood, right or wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Which deliveries.
    pub(super) filter: DeliveryFilter,
    /// Behind which one.
    pub(super) after: Option<DeliveryKey>,
    /// How many.
    pub(super) limit: usize,
    /// Whether it is for a single delivery, by its name.
    pub(super) is_one: bool,
    /// What was asked for, for the record; empty when nothing was.
    pub(super) words: String,
    violations: Vec<Violation>,
}

/// The two requests that change something.
struct Change<'a> {
    name: &'a str,
    filter: Option<&'a admin::DeliveryFilter>,
    all: bool,
    page_size: Option<i32>,
    page_token: &'a str,
}

impl Asked {
    pub(super) fn of_list(request: &ListDeliveriesRequest, page_size_max: u32) -> Self {
        let mut asked = Self::default();
        asked.filter(request.filter.as_ref());
        asked.words = asked.filter.to_string();
        asked.page(request.page_size, &request.page_token, page_size_max);
        asked
    }

    pub(super) fn of_name(name: &str) -> Self {
        let mut asked = Self {
            limit: 1,
            ..Self::default()
        };
        asked.name(name);
        asked
    }

    pub(super) fn of_redelivery(request: &RedeliverDeliveriesRequest, page_size_max: u32) -> Self {
        let change = Change {
            name: &request.name,
            filter: request.filter.as_ref(),
            all: request.all,
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        Self::of_change(&change, page_size_max)
    }

    pub(super) fn of_discard(request: &DiscardDeliveriesRequest, page_size_max: u32) -> Self {
        let change = Change {
            name: &request.name,
            filter: request.filter.as_ref(),
            all: request.all,
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        Self::of_change(&change, page_size_max)
    }

    fn of_change(change: &Change<'_>, page_size_max: u32) -> Self {
        let mut asked = Self::default();
        asked.filter(change.filter);
        let has_filter = asked.filter != DeliveryFilter::default();
        match (!change.name.is_empty(), has_filter, change.all) {
            (true, false, false) => asked.name(change.name),
            (false, true, false) | (false, false, true) => asked.words = asked.filter.to_string(),
            (false, false, false) => asked.wrong(
                "filter",
                "says nothing; name a delivery, give a field of the filter, or say all if you mean all deliveries",
            ),
            _ => asked.wrong(
                "all",
                "more than one of name, filter and all is given; say one of them",
            ),
        }
        asked.page(change.page_size, change.page_token, page_size_max);
        asked
    }

    /// The agent and the task that it names; empty where it names none.
    pub(super) fn about(&self) -> (&str, &str) {
        let filter = &self.filter;
        (
            filter.agent.as_deref().unwrap_or_default(),
            filter.task_id.as_deref().unwrap_or_default(),
        )
    }

    /// Refuses what is wrong, all of it at once.
    ///
    /// # Errors
    /// InvalidParams.
    pub(super) fn check<Q: Inspect>(&mut self, request: &Q, limits: &InspectLimits) -> Result<(), Error> {
        if let Err(violations) = inspect(request, limits) {
            self.violations.extend(violations);
        }
        if self.violations.is_empty() {
            return Ok(());
        }
        Err(Error::violations(std::mem::take(&mut self.violations)))
    }

    fn filter(&mut self, filter: Option<&admin::DeliveryFilter>) {
        let Some(filter) = filter else { return };
        for (field, text) in [
            ("filter.agent", &filter.agent),
            ("filter.owner", &filter.owner),
            ("filter.taskId", &filter.task_id),
            ("filter.configId", &filter.config_id),
            ("filter.host", &filter.host),
        ] {
            if let Err(description) = check_label(text, TEXT_BYTES_MAX) {
                self.wrong(field, description);
            }
        }
        self.filter = DeliveryFilter::from(filter);
    }

    fn name(&mut self, name: &str) {
        self.is_one = true;
        self.words = format!("name={name}");
        match name.parse::<DeliveryKey>() {
            Ok(key) if check_label(name, TEXT_BYTES_MAX).is_ok() => self.filter = DeliveryFilter::one(&key),
            Err(error) => self.wrong("name", error.to_string()),
            Ok(_) => self.wrong("name", "is longer than any name, or holds control characters"),
        }
    }

    fn page(&mut self, size: Option<i32>, token: &str, most: u32) {
        let wanted = size.map_or(Ok(most), u32::try_from);
        match wanted {
            Ok(size) if (1..=most).contains(&size) => self.limit = size as usize,
            _ => {
                let got = size.unwrap_or_default();
                self.wrong(
                    "pageSize",
                    format!("must be between 1 and {most} (admin.page_size_max), got {got}"),
                );
            }
        }
        if token.is_empty() {
            return;
        }
        self.after = place(token);
        if self.after.is_none() {
            self.wrong(
                "pageToken",
                "is none of this service; use nextPageToken as it came",
            );
        }
    }

    fn wrong(&mut self, field: &str, description: impl Into<String>) {
        self.violations.push(Violation {
            field: field.to_owned(),
            description: description.into(),
        });
    }
}

/// The token that goes on behind a delivery. It is a place and no permission: whoever makes one up sees what it would
/// see without.
pub(super) fn page_token(behind: Option<&DeliveryKey>) -> String {
    behind.map_or_else(String::new, |key| URL_SAFE_NO_PAD.encode(key.to_string()))
}

fn place(token: &str) -> Option<DeliveryKey> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(mut asked: Asked) -> Vec<String> {
        let request = admin::GetDeliveryRequest {
            name: "t/c/1".to_owned(),
        };
        let checked = asked.check(&request, &InspectLimits::default());
        let violations = checked.err().map(|error| error.violations).unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    fn discard(name: &str, agent: Option<&str>, all: bool) -> Asked {
        let filter = agent.map(|agent| admin::DeliveryFilter {
            agent: agent.to_owned(),
            ..admin::DeliveryFilter::default()
        });
        let request = DiscardDeliveriesRequest {
            name: name.to_owned(),
            filter,
            all,
            ..DiscardDeliveriesRequest::default()
        };
        Asked::of_discard(&request, 10)
    }

    #[test]
    fn nobody_means_everything_by_accident() {
        for (asked, words) in [
            (discard("t/c/1", None, false), "name=t/c/1"),
            (discard("t/c/1", Some(""), false), "name=t/c/1"),
            (discard("", Some("echo"), false), "agent=echo"),
            (discard("", None, true), "all"),
            (discard("", Some(""), true), "all"),
        ] {
            assert_eq!(asked.words, words);
            assert!(refused(asked).is_empty(), "{words}");
        }
        for (asked, field) in [
            (discard("", None, false), "filter"),
            (discard("", Some(""), false), "filter"),
            (discard("", Some("echo"), true), "all"),
            (discard("t/c/1", None, true), "all"),
            (discard("t/c/1", Some("echo"), false), "all"),
            (discard("t/c", None, false), "name"),
            (discard("t/c\n/1", None, false), "name"),
            (discard("", Some("a\nb"), false), "filter.agent"),
        ] {
            assert_eq!(refused(asked), [field]);
        }
    }

    #[test]
    fn pages_have_a_size_and_tokens_come_back() {
        let key: DeliveryKey = "t/c/1".parse().unwrap();
        let list = |page_size, page_token: &str| {
            let request = ListDeliveriesRequest {
                page_size,
                page_token: page_token.to_owned(),
                ..ListDeliveriesRequest::default()
            };
            Asked::of_list(&request, 10)
        };
        let asked = list(None, &page_token(Some(&key)));
        assert_eq!((asked.limit, asked.after.clone()), (10, Some(key)));
        assert_eq!(list(Some(3), "").limit, 3);
        for size in [0, -1, 11, i32::MIN] {
            assert_eq!(refused(list(Some(size), "")), ["pageSize"]);
        }
        for token in ["a", "====", "AAAA", &URL_SAFE_NO_PAD.encode("t/c")] {
            assert_eq!(refused(list(None, token)), ["pageToken"]);
        }
    }
}
