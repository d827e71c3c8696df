//! How long to wait before something is tried again.

use std::time::Duration;

/// Any number; nobody who sees some can tell the next one.
pub(in crate::client) fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// The pause behind so many failed attempts: anything up to a bound that doubles with each, so that callers who failed
/// together don't come back together, and a millisecond at least. What the agent asked for is the least.
pub(in crate::client) fn pause(
    (min, max): (Duration, Duration),
    failed: u32,
    asked: Option<Duration>,
    random: u64,
) -> Duration {
    let doubled = 1_u32.checked_shl(failed.saturating_sub(1));
    let bound = doubled.and_then(|factor| min.checked_mul(factor));
    let bound = bound.unwrap_or(max).min(max);
    let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(1 + random % bound_ms).max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

    #[test]
    fn the_bound_doubles_up_to_its_limit() {
        let bound = |failed| (0..20_000).map(|n| pause(LIMITS, failed, None, n)).max();
        let bounds: Vec<u128> = (1..=9).map(|failed| bound(failed).unwrap().as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    proptest! {
        #[test]
        fn a_pause_keeps_its_limits(failed in 0_u32.., random: u64, asked in proptest::option::of(0_u64..100_000)) {
            let asked = asked.map(Duration::from_millis);
            let pause = pause(LIMITS, failed, asked, random);
            prop_assert!(pause >= Duration::from_millis(1).max(asked.unwrap_or_default()));
            prop_assert!(pause <= LIMITS.1.max(asked.unwrap_or_default()));
        }
    }
}
