//! When a delivery that failed is tried again, and when no more.

use std::time::Duration;

use super::PushSettings;

/// The pause before the next attempt; `None` when there is none, because the span is over.
///
/// Exponential with full jitter: anything up to a bound that doubles with each attempt, so that receivers that come back
/// are not met by everybody at once. What the receiver asked for (`Retry-After`) is the least, as far as the operator
/// allows. The last attempt comes at the end of the span. `attempts` counts this failure too, `age` is how long ago the
/// event was, and `random` is any number.
pub(super) fn pause(
    settings: &PushSettings,
    attempts: u32,
    age: Duration,
    asked: Option<Duration>,
    random: u64,
) -> Option<Duration> {
    let left = settings
        .retry_span
        .checked_sub(age)
        .filter(|left| !left.is_zero())?;
    let bound = bound(settings, attempts);
    let asked = asked.unwrap_or_default().min(settings.retry_after_max);
    Some(share(bound, random).max(asked).min(left))
}

/// Something more than a time, up to a quarter of it: not all who wait for it are to come at once.
pub(super) fn shortly_after(time: Duration, random: u64) -> Duration {
    time.saturating_add(share(time / 4, random))
}

/// The longest pause behind so many failed attempts.
fn bound(settings: &PushSettings, attempts: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempts.saturating_sub(1));
    let bound = doubled.and_then(|factor| settings.backoff_min.checked_mul(factor));
    bound.unwrap_or(settings.backoff_max).min(settings.backoff_max)
}

/// Anything from a millisecond to the whole: no pause at all would be a loop.
fn share(whole: Duration, random: u64) -> Duration {
    let whole_ms = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(1 + random % whole_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_waits_comes_shortly_after() {
        for random in [0, 1, 7_499, 7_500, u64::MAX] {
            let pause = shortly_after(s(30), random);
            assert!(pause > s(30) && pause <= s(30) + s(30) / 4, "{pause:?}");
        }
        assert_ne!(shortly_after(s(30), 1), shortly_after(s(30), 2));
    }

    #[test]
    fn the_bound_doubles_up_to_its_limit() {
        let settings = PushSettings::default();
        let bounds: Vec<u64> = (1..=14)
            .map(|attempt| bound(&settings, attempt).as_secs())
            .collect();
        assert_eq!(
            bounds,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600]
        );
        assert_eq!(bound(&settings, u32::MAX), settings.backoff_max);
    }

    #[test]
    fn jitter_is_full_and_never_nothing() {
        let settings = PushSettings::default();
        let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
        for random in 0..10_000 {
            // Spread over all values, as a good source does.
            let pause = pause(&settings, 5, s(0), None, random * 7_919).unwrap();
            assert!(pause > Duration::ZERO && pause <= s(16), "{pause:?}");
            (least, most) = (least.min(pause), most.max(pause));
        }
        assert!(least < s(1) && most > s(15), "{least:?} {most:?}");
    }

    #[test]
    fn what_the_receiver_asks_for_is_the_least_and_has_a_limit() {
        let settings = PushSettings::default();
        assert_eq!(pause(&settings, 1, s(0), Some(s(120)), 3), Some(s(120)));
        assert_eq!(pause(&settings, 1, s(0), Some(s(1_000_000)), 3), Some(s(3_600)));
        assert!(pause(&settings, 12, s(0), Some(s(1)), u64::MAX).unwrap() > s(1));
    }

    #[test]
    fn the_last_attempt_is_at_the_end_of_the_span() {
        let settings = PushSettings::default();
        let span = settings.retry_span;
        assert_eq!(pause(&settings, 40, span - s(5), Some(s(60)), 0), Some(s(5)));
        assert_eq!(pause(&settings, 40, span, None, 0), None);
        assert_eq!(pause(&settings, 40, span + s(1), None, 0), None);
        let once = PushSettings {
            retry_span: Duration::ZERO,
            ..settings
        };
        assert_eq!(pause(&once, 1, s(0), None, 0), None);
    }
}
