//! How push notifications are delivered.

use std::time::Duration;

use crate::config::Config;
use crate::push::PushSettings;

pub(in crate::app) fn push(config: &Config) -> PushSettings {
    let push = &config.push;
    let ms = Duration::from_millis;
    PushSettings {
        requests_max: push.requests_max,
        requests_per_owner_max: push.requests_per_owner_max,
        requests_per_host_max: push.requests_per_host_max,
        deliveries_per_claim_max: push.deliveries_per_claim_max,
        request_timeout: ms(push.request_timeout_ms),
        retry_span: Duration::from_secs(push.retry_span_s),
        backoff_min: ms(push.backoff_min_ms),
        backoff_max: ms(push.backoff_max_ms),
        retry_after_max: Duration::from_secs(push.retry_after_s_max),
        breaker_failures: push.breaker_failures,
        breaker_pause: ms(push.breaker_pause_ms),
        breaker_hosts_max: push.breaker_hosts_max,
        claim: ms(push.claim_ms),
        poll: ms(push.poll_ms),
        settle_batch_max: push.settle_batch_max,
        report_interval: ms(push.report_interval_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_push_arrives() {
        assert_eq!(push(&Config::default()), PushSettings::default());
        let mut config = Config::default();
        let keys = &mut config.push;
        (keys.requests_max, keys.requests_per_owner_max) = (1, 2);
        (keys.requests_per_host_max, keys.deliveries_per_claim_max) = (3, 4);
        (keys.request_timeout_ms, keys.retry_span_s) = (5, 6);
        (keys.backoff_min_ms, keys.backoff_max_ms) = (7, 8);
        (keys.retry_after_s_max, keys.breaker_failures) = (9, 10);
        (keys.breaker_pause_ms, keys.breaker_hosts_max) = (11, 12);
        (keys.claim_ms, keys.poll_ms) = (13, 14);
        (keys.settle_batch_max, keys.report_interval_ms) = (15, 16);
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        let expected = PushSettings {
            requests_max: 1,
            requests_per_owner_max: 2,
            requests_per_host_max: 3,
            deliveries_per_claim_max: 4,
            request_timeout: ms(5),
            retry_span: s(6),
            backoff_min: ms(7),
            backoff_max: ms(8),
            retry_after_max: s(9),
            breaker_failures: 10,
            breaker_pause: ms(11),
            breaker_hosts_max: 12,
            claim: ms(13),
            poll: ms(14),
            settle_batch_max: 15,
            report_interval: ms(16),
        };
        assert_eq!(push(&config), expected);
    }
}
