//! `--debug`: what goes over the wire, on standard error, and never a credential (a2a-cli specification 7.2 and 12.1).
//!
//! Each call is told by its name and its interface (`call`), and each exchange of HTTP as it was sent and as it came: method,
//! URL, headers, bodies as text, trailers (`exchange`). The frames of gRPC are told as the JSON of the messages in them, and
//! files that are sent behind a message by their length. What is no text is told by its bytes, what steers a terminal is escaped, and no more is shown of a body than `text` says.

mod call;
mod exchange;
mod text;

use std::sync::Arc;

use a2ad::client::wire::{Exchange, Tap};
use a2ad::client::{Call, Target, transport::Transport};
use a2ad::config::MASK;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use tower::ServiceExt as _;

use self::call::Told;
use self::exchange::Wiretap;
use self::text::shown;
use super::page::one_line;
use super::secrets::{Secrets, speaks_of_secret};

/// Headers that carry no credential; the values of all others that go out are hidden.
const OPEN: [&str; 18] = [
    "a2a-extensions",
    "a2a-version",
    "a2ad-budget",
    "a2ad-first-generation",
    "a2ad-hops",
    "a2ad-last-generation",
    "accept",
    "content-length",
    "content-type",
    "grpc-accept-encoding",
    "grpc-timeout",
    "idempotency-key",
    "last-event-id",
    "te",
    "traceparent",
    "user-agent",
    "x-request-id",
    "x-trace-id",
];

/// Base64 as gRPC writes it, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Knows the secrets that are shown to agents; where that was asked for, writes what happens to standard error.
#[derive(Clone)]
pub struct Wire {
    secrets: Secrets,
    is_told: bool,
}

impl Wire {
    /// Writes nothing unless it `is_told`.
    pub fn new(secrets: &Secrets, is_told: bool) -> Self {
        Self {
            secrets: secrets.clone(),
            is_told,
        }
    }

    /// One line.
    pub fn say(&self, text: &str) {
        if self.is_told {
            tell!("debug: {}", one_line(&self.secrets.hidden(text)));
        }
    }

    /// The text of a whole message.
    fn say_message(&self, sign: char, text: &str) {
        self.say(&format!("{sign} {}", shown(text, 0, &self.secrets)));
    }

    fn say_headers(&self, sign: char, headers: &HeaderMap) {
        for (name, value) in headers {
            self.say(&format!("{sign} {name}: {}", self.value(sign, name, value)));
        }
    }

    /// What goes out may be a credential under any name; what comes in is the agent's, who may say back what it was shown.
    fn value<'v>(&self, sign: char, name: &HeaderName, value: &'v HeaderValue) -> &'v str {
        let is_open = match sign {
            '>' => OPEN.contains(&name.as_str()),
            _ => !speaks_of_secret(name.as_str()),
        };
        let Ok(text) = value.to_str() else {
            return "(bytes)";
        };
        let decoded = match name.as_str().ends_with("-bin") {
            true => BASE64.decode(text).unwrap_or_default(),
            false => Vec::new(),
        };
        let repeats = !self.secrets.places(&String::from_utf8_lossy(&decoded)).is_empty();
        if value.is_sensitive() || !is_open || repeats {
            return MASK;
        }
        text
    }
}

impl Tap for Wire {
    fn around(&self, binding: Transport, target: &Target) -> Transport {
        let secrets = self.secrets.clone();
        if self.is_told {
            return Transport::new(Told::new(binding, target, self.clone()));
        }
        Transport::new(binding.map_request(move |call: Call| {
            secrets.learn_call(&call);
            call
        }))
    }

    fn exchange(&self) -> Option<Arc<dyn Exchange>> {
        self.is_told
            .then(|| Arc::new(Wiretap::new(self.clone())) as Arc<dyn Exchange>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_unless_they_may_hold_a_secret() {
        let secrets = Secrets::default();
        secrets.learn("s3cret-of-mine");
        let wire = Wire::new(&secrets, true);
        let mut sensitive = HeaderValue::from_static("anything");
        sensitive.set_sensitive(true);
        let echoed = HeaderValue::try_from(BASE64.encode("\u{8}said s3cret-of-mine")).unwrap();
        for (sign, name, value, seen) in [
            ('>', "a2a-version", HeaderValue::from_static("1.0"), "1.0"),
            ('>', "x-anything", HeaderValue::from_static("a"), MASK),
            ('>', "a2a-extensions", sensitive, MASK),
            ('<', "x-anything", HeaderValue::from_static("a"), "a"),
            ('<', "set-cookie", HeaderValue::from_static("a=b"), MASK),
            ('<', "grpc-status-details-bin", echoed, MASK),
            (
                '<',
                "grpc-status-details-bin",
                HeaderValue::from_static("CAE"),
                "CAE",
            ),
            (
                '<',
                "x-anything",
                HeaderValue::from_bytes(b"\xff").unwrap(),
                "(bytes)",
            ),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(wire.value(sign, &name, &value), seen, "{sign} {name}");
        }
    }
}
