//! Values that are used and never shown: whatever prints a configuration prints `***` in their place.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is printed where a secret stands.
pub const MASK: &str = "***";

/// A value that no log, error or rendering shows. [`Secret::expose`] is the only way to it, and easy to search for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value` from now on.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// A database URL: its password is masked wherever the URL is printed, the rest is shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Takes the URL as written; [`super::Database::parse`] says what it means.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&mask_url(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&mask_url(&self.0), out)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&mask_url(&self.0))
    }
}

/// Hides the password in `user:password@host` and every parameter whose name speaks of one.
///
/// A password may hold an unescaped `/`, `?` or `@`, and a misspelt URL is printed in an error: so everything
/// between the first colon and the last `@` goes, even where a strict parser would see it otherwise.
fn mask_url(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (&url[..scheme.len() + 3], rest));
    let rest = match rest.rsplit_once('@') {
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => format!("{user_info}@{host}"),
        },
        None => rest.to_owned(),
    };
    format!("{scheme}{}", mask_parameters(&rest))
}

fn mask_parameters(rest: &str) -> String {
    let Some((before, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let masked: Vec<String> = query.split('&').map(mask_parameter).collect();
    format!("{before}?{}", masked.join("&"))
}

fn mask_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_in_no_rendering() {
        let secret = Secret::new("hunter2".to_owned());
        let json = serde_json::to_string(&secret).expect("serialises");
        for text in [
            format!("{secret}"),
            format!("{secret:?}"),
            format!("{:#?}", Some(&secret)),
            json,
        ] {
            assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, shown) in [
            ("postgres://u:hunter2@db/a2ad", "postgres://u:***@db/a2ad"),
            ("postgres://u:hun/t@er?2@db/a2ad", "postgres://u:***@db/a2ad"),
            (
                "postgres://u@db/a?password=hunter2&sslmode=require",
                "postgres://u@db/a?password=***&sslmode=require",
            ),
            ("postgres:u:hunter2@db", "postgres:***@db"),
            (
                "postgres://u:hunter2@db/a?PGPASSWORD=x",
                "postgres://u:***@db/a?PGPASSWORD=***",
            ),
            ("sqlite://a2ad.db", "sqlite://a2ad.db"),
            ("memory", "memory"),
        ] {
            assert_eq!(DatabaseUrl::new(url).to_string(), shown);
            assert_eq!(format!("{:?}", DatabaseUrl::new(url)), format!("{shown:?}"));
            assert_eq!(DatabaseUrl::new(url).expose(), url);
        }
    }
}
