//! The deadline that a gRPC caller sets.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::error::Error;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that the caller gives, at most `longest`; `None` if it gives none.
///
/// # Errors
/// InvalidParams for what is not 1 to 8 digits and a unit.
pub(super) fn of(headers: &HeaderMap, longest: Duration) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(&GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse);
    let timeout = parsed.ok_or_else(|| {
        Error::invalid(
            GRPC_TIMEOUT.as_str(),
            "give 1 to 8 digits and one of the units H, M, S, m, u, n",
        )
    })?;
    Ok(Some(timeout.min(longest)))
}

fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back().filter(char::is_ascii)?;
    let digits = &text[..text.len() - 1];
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(number * 3_600)),
        'M' => Some(Duration::from_secs(number * 60)),
        'S' => Some(Duration::from_secs(number)),
        'm' => Some(Duration::from_millis(number)),
        'u' => Some(Duration::from_micros(number)),
        'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_digits_and_a_unit() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for junk in [
            "",
            "S",
            "5",
            "5s",
            "-5S",
            "+5S",
            " 5S",
            "123456789S",
            "5.5S",
            "5é",
        ] {
            assert_eq!(parse(junk), None, "{junk}");
        }
    }

    #[test]
    fn long_deadlines_are_cut_down() {
        let mut headers = HeaderMap::new();
        let longest = Duration::from_secs(60);
        assert_eq!(of(&headers, longest), Ok(None));
        headers.insert(GRPC_TIMEOUT, http::HeaderValue::from_static("99999999H"));
        assert_eq!(of(&headers, longest), Ok(Some(longest)));
    }
}
