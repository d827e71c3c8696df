//! What the checks came to.

use std::fmt;
use std::time::Duration;

use a2ad::client::Error;
use serde::Serialize;

use crate::cli::agent::page::Page;
use crate::cli::agent::secrets::Secrets;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Pass,
    Fail,
    Skipped,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::Skipped => "Skipped",
        }
    }
}

/// Why a check did not pass.
#[derive(Debug)]
pub enum Verdict {
    /// The agent does not do what the protocol says.
    Fail(String),
    /// The agent does not say that it can do this.
    Skip(String),
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        match error {
            Error::NotSupported(why) => Self::Skip(why.to_string()),
            error => Self::Fail(error.to_string()),
        }
    }
}

/// One check.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The binding, or `card`.
    on: &'static str,
    name: &'static str,
    /// The section of the specification.
    section: &'static str,
    outcome: Outcome,
    reason: Option<String>,
}

/// All of them.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    agent: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    checks: Vec<Check>,
}

impl Report {
    pub fn of(agent: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            ..Self::default()
        }
    }

    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.failed == 0
    }

    /// Does one check, for so long.
    pub async fn check(
        &mut self,
        limit: Duration,
        on: &'static str,
        (name, section): (&'static str, &'static str),
        check: impl Future<Output = Result<(), Verdict>>,
    ) {
        let verdict = tokio::time::timeout(limit, check)
            .await
            .unwrap_or_else(|_| Err(Verdict::Fail(format!("nothing came within {limit:?}"))));
        let (outcome, reason) = match verdict {
            Ok(()) => (Outcome::Pass, None),
            Err(Verdict::Fail(why)) => (Outcome::Fail, Some(why)),
            Err(Verdict::Skip(why)) => (Outcome::Skipped, Some(why)),
        };
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Fail => self.failed += 1,
            Outcome::Skipped => self.skipped += 1,
        }
        self.checks.push(Check {
            on,
            name,
            section,
            outcome,
            reason,
        });
    }

    /// Takes secrets out of the reasons: agents may say back what they were shown.
    pub fn hide(&mut self, secrets: &Secrets) {
        for reason in self.checks.iter_mut().filter_map(|check| check.reason.as_mut()) {
            *reason = secrets.hidden(reason).into_owned();
        }
    }

    /// The report as text.
    pub fn describe(&self, page: &mut Page) {
        page.field("Agent", &self.agent);
        for check in &self.checks {
            page.field(check.outcome.label(), check);
        }
        page.field("Passed", self.passed);
        page.field("Failed", self.failed);
        page.field("Not checked", self.skipped);
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} (specification {})", self.on, self.name, self.section)?;
        match &self.reason {
            Some(reason) => write!(out, ": {reason}"),
            None => Ok(()),
        }
    }
}
