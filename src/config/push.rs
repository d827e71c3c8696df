//! `[push]`: push notifications.

use std::path::PathBuf;

use super::error::Problem;
use super::schema::{DAY_MS, section};

section! {
    /// Where webhooks may be, and how push notifications are delivered to them.
    pub struct Push {
        /// Takes webhooks on loopback, by plain http too. For development and tests: a caller could otherwise reach
        /// whatever listens on this machine.
        allow_loopback_webhooks: bool = false;
        /// Networks that are not public and whose hosts may be webhooks all the same, like "10.1.0.0/16". Loopback,
        /// link-local and multicast addresses are none of theirs, whatever is written here.
        allowed_networks: Vec<String> = Vec::new();
        /// Push configurations that are delivered to at once; each has one request under way at most.
        requests_max: usize = 128, 1..=10_000;
        /// How many of them may be of one owner, so that one with many webhooks leaves some to the others.
        requests_per_owner_max: usize = 64, 1..=10_000;
        /// How many of them may go to one host, so that a slow one leaves some to the others.
        requests_per_host_max: usize = 32, 1..=10_000;
        /// Deliveries of one configuration in a row; then others get their turn.
        deliveries_per_claim_max: usize = 16, 1..=1_000;
        /// Milliseconds that a receiver may take to answer. egress.timeout_ms holds too, and so does
        /// egress.connect_timeout_ms up to three quarters of this: a wait for a place among the connections is over before
        /// the request is, and is no failure of the host.
        request_timeout_ms: u64 = 15_000, 1..=600_000;
        /// Seconds after an event for which its delivery is tried; then it is a dead letter. 0: one attempt.
        retry_span_s: u64 = 86_400, 0..=2_678_400;
        /// Milliseconds before the second attempt at most; they double with each one. The pause is a random share.
        backoff_min_ms: u64 = 1_000, 1..=DAY_MS;
        /// Milliseconds between two attempts at most. At least backoff_min_ms.
        backoff_max_ms: u64 = 3_600_000, 1..=DAY_MS;
        /// Seconds for which a receiver may ask by Retry-After; more are cut to this.
        retry_after_s_max: u64 = 3_600, 0..=86_400;
        /// Attempts of one owner at one host that fail in a row (no answer, or 5xx) before it is left alone for that owner.
        breaker_failures: u32 = 8, 1..=1_000_000;
        /// Milliseconds for which such a host is left alone; then a single request tries it.
        breaker_pause_ms: u64 = 30_000, 1..=DAY_MS;
        /// Hosts whose failures are counted at once, for each owner of their own, a quarter of them for one owner. Beyond that
        /// one is forgotten: first one that is well or that nobody has tried again, then the one that failed least.
        breaker_hosts_max: usize = 10_000, 1..=1_000_000;
        /// Milliseconds for which a node has what it delivers; when it dies, another one delivers it so much later. Each
        /// delivery prolongs it. More than request_timeout_ms twice.
        claim_ms: u64 = 60_000, 2..=3_600_000;
        /// Milliseconds after which every node looks for what is due, also where nobody rings; another node's deliveries
        /// are found so, and a database that was away.
        poll_ms: u64 = 1_000, 10..=600_000;
        /// Outcomes of deliveries that are written in one transaction at most.
        settle_batch_max: usize = 64, 1..=10_000;
        /// Seconds for which dead letters are kept; 0: as long as their task. Retention removes them.
        dead_retention_s: u64 = 604_800, 0..=316_224_000;
        /// Milliseconds between two lines of the log that say what was delivered, if anything was.
        report_interval_ms: u64 = 60_000, 100..=DAY_MS;
        /// Private key that webhooks are signed with (RFC 9421): PEM of PKCS#8, P-256 or Ed25519, readable by its owner
        /// only. Absent: the key of cards; without one, a key derived from `secrets.key` or the key file of the database.
        signing_key_file: Option<PathBuf> = None;
        /// Further private keys whose public halves stand in /.well-known/jwks.json: the next key before it signs, and
        /// former ones as long as receivers may need them. At most 8.
        published_key_files: Vec<PathBuf> = Vec::new();
    }
}

impl Push {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.backoff_max_ms < self.backoff_min_ms {
            let message = format!(
                "is below push.backoff_min_ms, which is {}; raise it",
                self.backoff_min_ms
            );
            found.push(Problem::new("push.backoff_max_ms", message));
        }
        if self.claim_ms <= self.request_timeout_ms.saturating_mul(2) {
            let message = format!(
                "is not above twice push.request_timeout_ms, which is {}: what is being delivered could be taken by \
                 another node; raise it",
                self.request_timeout_ms
            );
            found.push(Problem::new("push.claim_ms", message));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        assert!(Push::default().problems().is_empty());
        let wrong = Push {
            backoff_min_ms: 10,
            backoff_max_ms: 9,
            request_timeout_ms: 500,
            claim_ms: 1_000,
            ..Push::default()
        };
        let keys: Vec<String> = wrong.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["push.backoff_max_ms", "push.claim_ms"]);
    }

    #[test]
    fn published_keys_have_a_limit() {
        let mut config = Config::default();
        config.push.published_key_files = vec!["k.key".into(); 8];
        assert!(config.validate().is_ok());
        config.push.published_key_files.push("k.key".into());
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("push.published_key_files"), "{error}");
    }
}
