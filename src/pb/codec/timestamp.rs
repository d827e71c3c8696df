//! `google.protobuf.Timestamp` as RFC 3339 text.
//!
//! Written in UTC with three digits of milliseconds (specification section 5.6.1). Read with up to nine digits and any
//! offset; a leap second, lower-case letters, and anything outside the years 0001 to 9999 are refused.

use std::fmt;

use prost_types::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::{Json, excerpt};

/// The first second that has a form, 0001-01-01T00:00:00Z.
const SECONDS_MIN: i64 = -62_135_596_800;
/// The last second that has a form, 9999-12-31T23:59:59Z.
const SECONDS_MAX: i64 = 253_402_300_799;
const NANOS_PER_MILLI: i32 = 1_000_000;
const NANOS_MAX: i32 = 999_999_999;

/// Whether the timestamp has a textual form at all.
pub(in crate::pb) fn in_range(timestamp: &Timestamp) -> bool {
    (SECONDS_MIN..=SECONDS_MAX).contains(&timestamp.seconds) && (0..=NANOS_MAX).contains(&timestamp.nanos)
}

impl Serialize for Json<&Timestamp> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match civil(self.0) {
            Some(at) => serializer.collect_str(&Text {
                at,
                millis: self.0.nanos / NANOS_PER_MILLI,
            }),
            None => Err(serde::ser::Error::custom(
                "the timestamp is outside of the years 0001 to 9999",
            )),
        }
    }
}

fn civil(timestamp: &Timestamp) -> Option<OffsetDateTime> {
    in_range(timestamp).then(|| OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok())?
}

struct Text {
    at: OffsetDateTime,
    millis: i32,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.at.to_calendar_date();
        let (hour, minute, second) = self.at.to_hms();
        let (month, millis) = (u8::from(month), self.millis);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl<'de> Deserialize<'de> for Json<Timestamp> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampVisitor).map(Json)
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2025-10-28T10:30:00.000Z")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        parse(text).ok_or_else(|| {
            E::custom(format_args!(
                "{} is not a time such as 2025-10-28T10:30:00.000Z",
                excerpt(text)
            ))
        })
    }
}

/// Reads RFC 3339; none if the text is anything else or out of range.
fn parse(text: &str) -> Option<Timestamp> {
    let mut input = Input(text.as_bytes());
    let year = input.digits(4)?;
    let month = input.after(b'-')?.digits(2)?;
    let day = input.after(b'-')?.digits(2)?;
    let hour = input.after(b'T')?.digits(2)?;
    let minute = input.after(b':')?.digits(2)?;
    let second = input.after(b':')?.digits(2)?;
    let nanos = input.fraction()?;
    let offset = input.offset()?;
    if !input.0.is_empty() {
        return None;
    }

    let small = |number: u32| u8::try_from(number).ok();
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    let local = date.with_time(time).assume_utc().unix_timestamp();
    let timestamp = Timestamp {
        seconds: local - i64::from(offset.whole_seconds()),
        nanos,
    };
    in_range(&timestamp).then_some(timestamp)
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    /// Exactly so many decimal digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u32::from(digit - b'0'))
        })
    }

    fn after(&mut self, byte: u8) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(self)
    }

    /// Nanoseconds from a fraction of one to nine digits; 0 if there is none.
    fn fraction(&mut self) -> Option<i32> {
        if self.after(b'.').is_none() {
            return Some(0);
        }
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let missing = 9_usize.checked_sub(count).filter(|_| count > 0)?;
        let nanos = self.digits(count)? * 10_u32.pow(u32::try_from(missing).ok()?);
        i32::try_from(nanos).ok()
    }

    fn offset(&mut self) -> Option<UtcOffset> {
        if self.after(b'Z').is_some() {
            return Some(UtcOffset::UTC);
        }
        let sign = if self.after(b'+').is_some() {
            1
        } else {
            self.after(b'-').map(|_| -1)?
        };
        let hours = i8::try_from(self.digits(2)?).ok().filter(|hours| *hours < 24)?;
        let minutes = i8::try_from(self.after(b':')?.digits(2)?).ok()?;
        UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(seconds: i64, nanos: i32) -> Option<String> {
        serde_json::to_string(&Json(&Timestamp { seconds, nanos })).ok()
    }

    #[test]
    fn writes_milliseconds_and_z() {
        assert_eq!(print(0, 0).unwrap(), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(
            print(1_761_647_400, 142_999_999).unwrap(),
            "\"2025-10-28T10:30:00.142Z\""
        );
        assert_eq!(print(-1, 999_000_000).unwrap(), "\"1969-12-31T23:59:59.999Z\"");
        assert_eq!(print(SECONDS_MIN, 0).unwrap(), "\"0001-01-01T00:00:00.000Z\"");
        assert_eq!(
            print(SECONDS_MAX, NANOS_MAX).unwrap(),
            "\"9999-12-31T23:59:59.999Z\""
        );
    }

    #[test]
    fn writes_nothing_that_cannot_be_read() {
        for (seconds, nanos) in [
            (SECONDS_MIN - 1, 0),
            (SECONDS_MAX + 1, 0),
            (0, -1),
            (0, NANOS_MAX + 1),
            (i64::MAX, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(print(seconds, nanos), None);
        }
    }

    #[test]
    fn reads_fractions_and_offsets() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1970-01-01T00:00:00.5Z", 0, 500_000_000),
            ("1970-01-01T00:00:00.123456789Z", 0, 123_456_789),
            ("1970-01-01T01:00:00+01:00", 0, 0),
            ("1969-12-31T23:30:00-00:30", 0, 0),
            ("2024-02-29T00:00:00-00:00", 1_709_164_800, 0),
            ("0001-01-01T00:00:00Z", SECONDS_MIN, 0),
            ("9999-12-31T23:59:59.999999999Z", SECONDS_MAX, NANOS_MAX),
        ] {
            assert_eq!(parse(text), Some(Timestamp { seconds, nanos }), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "2025-10-28",
            "2025-10-28T10:30:00",
            "2025-10-28t10:30:00Z",
            "2025-10-28T10:30:00z",
            "2025-10-28 10:30:00Z",
            "2025-10-28T10:30:60Z",
            "2025-10-28T24:00:00Z",
            "2025-10-28T10:60:00Z",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2025-10-28T10:30:00.Z",
            "2025-10-28T10:30:00.1234567890Z",
            "2025-10-28T10:30:00+0100",
            "2025-10-28T10:30:00+24:00",
            "2025-10-28T10:30:00+01:60",
            "2025-10-28T10:30:00ZZ",
            "+025-10-28T10:30:00Z",
            "2025-1 -28T10:30:00Z",
            "２025-10-28T10:30:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
