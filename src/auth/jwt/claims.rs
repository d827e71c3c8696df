//! What a token says (RFC 7519 section 4), read so that nothing has two meanings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::members::members;
use crate::auth::Reason;

/// The most values that are taken of one claim; more are as good as none.
const VALUES_MAX: usize = 256;
/// The longest name of a caller, an organisation or a token, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// The claims of a token.
pub(super) struct Claims(BTreeMap<String, Value>);

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Reason> {
        members(payload).map(Self).ok_or(Reason::Claims)
    }

    pub(super) fn issuer(&self) -> Result<&str, Reason> {
        self.0.get("iss").and_then(Value::as_str).ok_or(Reason::Claims)
    }

    /// Whether one of `audiences` is an audience of the token.
    pub(super) fn is_for(&self, audiences: &[String]) -> bool {
        let ours = |value: &Value| {
            value
                .as_str()
                .is_some_and(|name| audiences.iter().any(|ours| ours == name))
        };
        match self.0.get("aud") {
            Some(Value::Array(several)) => several.iter().all(Value::is_string) && several.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        }
    }

    /// Checks the times and says when the token ends, both in milliseconds since 1970.
    pub(super) fn check_times(&self, now_ms: i64, leeway_ms: i64) -> Result<i64, Reason> {
        let expires_ms = self.time_ms("exp")?.ok_or(Reason::Claims)?;
        if expires_ms.saturating_add(leeway_ms) <= now_ms {
            return Err(Reason::Expired);
        }
        for begin in ["nbf", "iat"] {
            if self
                .time_ms(begin)?
                .is_some_and(|begin_ms| begin_ms > now_ms.saturating_add(leeway_ms))
            {
                return Err(Reason::NotYetValid);
            }
        }
        Ok(expires_ms)
    }

    /// A NumericDate (RFC 7519 section 2), in milliseconds.
    fn time_ms(&self, name: &str) -> Result<Option<i64>, Reason> {
        /// The year 9999: nothing beyond it is a date.
        const SECONDS_MAX: f64 = 253_402_300_799.0;
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok(Some((seconds * 1_000.0) as i64)),
            _ => Err(Reason::Claims),
        }
    }

    /// The text of a claim that names somebody: one that logs and databases can hold.
    pub(super) fn name(&self, claim: &str) -> Result<&str, Reason> {
        let name = self.find(claim).and_then(Value::as_str).ok_or(Reason::Claims)?;
        let is_fit = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        is_fit.then_some(name).ok_or(Reason::Claims)
    }

    /// Whether a claim is there.
    pub(super) fn has(&self, claim: &str) -> bool {
        self.find(claim).is_some()
    }

    /// The values of a claim: a text, a number or a truth value is one, a list several.
    pub(super) fn values(&self, claim: &str) -> Vec<Arc<str>> {
        match self.find(claim) {
            Some(Value::Array(several)) if several.len() <= VALUES_MAX => {
                several.iter().filter_map(written).collect()
            }
            Some(one) => written(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The scopes: one text with blanks between them (RFC 6749 section 3.3), or a list.
    pub(super) fn scopes(&self, claim: &str) -> Vec<Arc<str>> {
        match self.find(claim) {
            Some(Value::String(text)) => text
                .split(' ')
                .filter(|scope| !scope.is_empty())
                .take(VALUES_MAX)
                .map(Arc::from)
                .collect(),
            _ => self.values(claim),
        }
    }

    /// What the token is bound to (RFC 7800): nothing, or the fingerprint of a client certificate (RFC 8705 section 3.1).
    ///
    /// # Errors
    /// When it is bound to something else: a key that was never shown here.
    pub(super) fn bound_to(&self) -> Result<Option<&str>, Reason> {
        match self.0.get("cnf") {
            None => Ok(None),
            Some(Value::Object(members)) if members.len() == 1 => members
                .get("x5t#S256")
                .and_then(Value::as_str)
                .map(Some)
                .ok_or(Reason::Binding),
            Some(_) => Err(Reason::Binding),
        }
    }

    /// A claim by its name, or else by its path: names may hold dots themselves.
    fn find(&self, claim: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(claim) {
            return Some(value);
        }
        let mut path = claim.split('.');
        let first = self.0.get(path.next()?)?;
        path.try_fold(first, |value, name| value.get(name))
    }
}

fn written(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(text) => Some(Arc::from(text.as_str())),
        Value::Bool(truth) => Some(Arc::from(if *truth { "true" } else { "false" })),
        Value::Number(number) => Some(Arc::from(number.to_string())),
        _ => None,
    }
}
