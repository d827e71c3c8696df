//! A bucket of units that fills by itself, kept as one number: the time at which it is full again (the generic cell rate
//! algorithm).
//!
//! Why not a crate: those at hand refuse a unit count above the burst and can't charge for what was used already. The bytes
//! of an answer are known when it is sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Rate;

const MINUTE_NS: u128 = 60_000_000_000;

/// Times are nanoseconds from one beginning, the same for all calls.
#[derive(Debug)]
pub(super) struct Bucket {
    full_at: AtomicU64,
    per_minute: u64,
    /// How long one unit takes to come back.
    unit_ns: u64,
    /// How long the empty bucket takes to be full.
    window_ns: u64,
}

impl Bucket {
    /// A full bucket; `None` where there is no limit.
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let Rate { per_minute, burst } = rate;
        if per_minute == 0 {
            return None;
        }
        let burst = if burst == 0 { per_minute } else { burst };
        Some(Self {
            full_at: AtomicU64::new(0),
            per_minute,
            unit_ns: cost(1, per_minute),
            window_ns: cost(burst, per_minute),
        })
    }

    /// The units that come back in a minute.
    pub(super) fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Takes one unit, or says how long it takes until there is one.
    pub(super) fn take(&self, now_ns: u64) -> Result<(), Duration> {
        let taken = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let after = full_at.max(now_ns).saturating_add(self.unit_ns);
                (after <= now_ns.saturating_add(self.window_ns)).then_some(after)
            });
        taken.map(|_| ()).map_err(|full_at| {
            let ready_at = full_at.saturating_add(self.unit_ns);
            Duration::from_nanos(ready_at.saturating_sub(self.window_ns).saturating_sub(now_ns))
        })
    }

    /// Gives one unit back that was taken for nothing.
    pub(super) fn give_back(&self) {
        // A bucket that has filled in the meantime is full all the same.
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                Some(full_at.saturating_sub(self.unit_ns))
            });
    }

    /// Takes units that have been used already, also more than there are: what is owed then comes back first.
    pub(super) fn charge(&self, now_ns: u64, units: u64) {
        let cost = cost(units, self.per_minute);
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                Some(full_at.max(now_ns).saturating_add(cost))
            });
    }

    /// Whether there is a unit, or how long it takes until there is one.
    pub(super) fn check(&self, now_ns: u64) -> Result<(), Duration> {
        let ready_at = self.full_at.load(Ordering::Relaxed).saturating_add(self.unit_ns);
        let wait_ns = ready_at.saturating_sub(self.window_ns).saturating_sub(now_ns);
        if wait_ns == 0 {
            Ok(())
        } else {
            Err(Duration::from_nanos(wait_ns))
        }
    }

    /// True if it is as if nobody had ever taken anything.
    pub(super) fn is_full(&self, now_ns: u64) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now_ns
    }
}

/// How long `units` take to come back; rounded up, so that no rate is above what was said.
fn cost(units: u64, per_minute: u64) -> u64 {
    let cost = (u128::from(units) * MINUTE_NS).div_ceil(u128::from(per_minute));
    u64::try_from(cost).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn bucket(per_minute: u64, burst: u64) -> Bucket {
        Bucket::new(Rate { per_minute, burst }).unwrap()
    }

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let bucket = bucket(60, 3);
        for _ in 0..3 {
            bucket.take(0).unwrap();
        }
        assert_eq!(bucket.take(0), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(SECOND_NS / 4), Err(Duration::from_millis(750)));
        // At the very moment that was named.
        bucket.take(SECOND_NS).unwrap();
        assert!(bucket.take(SECOND_NS).is_err());
        // Nobody saves more than the burst.
        for _ in 0..3 {
            bucket.take(1_000 * SECOND_NS).unwrap();
        }
        assert!(bucket.take(1_000 * SECOND_NS).is_err());
    }

    #[test]
    fn what_is_owed_comes_back_first() {
        let bucket = bucket(60, 10);
        bucket.check(0).unwrap();
        bucket.charge(0, 25);
        // 15 are owed, and one has to be there.
        assert_eq!(bucket.check(0), Err(Duration::from_secs(16)));
        assert_eq!(bucket.check(15 * SECOND_NS), Err(Duration::from_secs(1)));
        bucket.check(16 * SECOND_NS).unwrap();
        assert!(!bucket.is_full(24 * SECOND_NS));
        assert!(bucket.is_full(25 * SECOND_NS));
    }

    #[test]
    fn no_limit_is_no_bucket_and_no_number_is_too_large() {
        assert!(Bucket::new(Rate::default()).is_none());
        let slow = bucket(1, 1);
        slow.charge(0, u64::MAX);
        slow.charge(u64::MAX, u64::MAX);
        assert!(slow.take(0).is_err());
    }

    #[test]
    fn a_unit_that_is_given_back_is_there_again() {
        let bucket = bucket(1, 1);
        bucket.take(0).unwrap();
        bucket.give_back();
        bucket.take(0).unwrap();
        assert!(bucket.take(0).is_err());
    }

    proptest! {
        /// In no stretch of time are more units given than the burst and what comes back in it.
        #[test]
        fn the_rate_holds(
            per_minute in 1_u64..100_000,
            burst in 1_u64..100,
            steps in prop::collection::vec(0_u64..2_000_000_000, 1..200),
        ) {
            let bucket = bucket(per_minute, burst);
            let (mut now, mut given) = (0, Vec::new());
            for step in steps {
                now += step;
                match bucket.take(now) {
                    Ok(()) => given.push(now),
                    Err(wait) => {
                        // The time that is named is the first at which it goes.
                        let wait = u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert!(wait > 0);
                        prop_assert!(bucket.check(now + wait - 1).is_err());
                        prop_assert!(bucket.check(now + wait).is_ok());
                    }
                }
            }
            for (first, from) in given.iter().enumerate() {
                for (last, to) in given.iter().enumerate().skip(first) {
                    let back = u128::from(to - from) * u128::from(per_minute) / MINUTE_NS;
                    prop_assert!((last - first + 1) as u128 <= u128::from(burst) + back + 1);
                }
            }
        }
    }
}
