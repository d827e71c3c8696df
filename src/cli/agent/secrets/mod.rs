//! The secrets of a run, and hiding them wherever they occur in what is printed beside results (a2a-cli specification 12.1).
//!
//! An agent may say back what it was shown: in the text of an error, in a header, in an answer. Results are the agent's and
//! stay as they are; what this program tells of them does not repeat a secret.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use a2ad::client::Call;
use a2ad::config::{MASK, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

use super::config::{Form, SETTINGS, Setting, Sources};
use super::options::Options;

/// The value of a service parameter that is shorter is no secret unless its name says so: it would occur everywhere.
const LETTERS_MIN: usize = 6;
/// Forms of secrets that came to be known on the way, such as tokens that were renewed; the oldest are forgotten.
const LEARNED_MAX: usize = 256;

/// Parts of names that speak of a secret.
const SPEAKING: [&str; 9] = [
    "token",
    "secret",
    "password",
    "credential",
    "authorization",
    "apikey",
    "api_key",
    "api-key",
    "cookie",
];
/// Names that only sound like it.
const OPEN: [&str; 2] = ["pagetoken", "nextpagetoken"];

/// Whether what has this name is a secret.
pub fn speaks_of_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SPEAKING.iter().any(|word| lower.contains(word)) && !OPEN.contains(&&*lower)
}

/// What nobody is to read. Clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By the user; never forgotten.
    given: Vec<Secret<String>>,
    learned: VecDeque<Secret<String>>,
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &str> {
        let all = self.given.iter().chain(&self.learned);
        all.map(|secret| secret.expose().as_str())
    }
}

impl Secrets {
    /// Those of a command line, of the environment and of files.
    pub fn of(options: &Options, sources: &Sources) -> Self {
        // Parameters have names, which are none.
        let is_whole = |setting: &&Setting| setting.is_secret && setting.form == Form::Text;
        let settings = SETTINGS.iter().filter(is_whole);
        let set = settings.filter_map(|setting| options.given.effective(setting, sources).0);
        let parameters = options.to.svc_param.iter();
        let parameters = parameters.flat_map(|(name, value)| in_header(name, value));
        let all = set.chain(parameters).flat_map(|text| forms(&text));
        let known = Known {
            given: all.map(Secret::new).collect(),
            ..Known::default()
        };
        Self(Arc::new(RwLock::new(known)))
    }

    /// One more, as it came to be known.
    pub fn learn(&self, text: &str) {
        if text.is_empty() || self.read(|known| known.all().any(|one| one == text)) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.learned.extend(forms(text).into_iter().map(Secret::new));
        let too_many = known.learned.len().saturating_sub(LEARNED_MAX);
        known.learned.drain(..too_many);
    }

    /// A client's secret, also as it is shown to an authorization server (RFC 6749 section 2.3.1).
    pub fn learn_client(&self, id: &str, secret: &str) {
        self.learn(secret);
        self.learn(&STANDARD.encode(format!("{}:{}", percent(id), percent(secret))));
    }

    /// Those that a call shows to its agent.
    pub fn learn_call(&self, call: &Call) {
        for (name, value) in &call.parameters {
            if value.is_sensitive() {
                in_header(name, value).for_each(|text| self.learn(&text));
            }
        }
        for (_, value) in &call.query {
            self.learn(value.expose());
        }
    }

    /// The text without them.
    pub fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.places(text) {
            places if places.is_empty() => Cow::Borrowed(text),
            places => Cow::Owned(without(text, places)),
        }
    }

    /// Where they occur.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        self.read(|known| {
            let found = known.all().flat_map(|secret| {
                let starts = text.match_indices(secret).map(|(start, _)| start);
                starts.map(move |start| start..start + secret.len())
            });
            found.collect()
        })
    }

    /// The bytes of the longest one: so much more than is shown of a text has to be known of it.
    pub fn longest(&self) -> usize {
        self.read(|known| known.all().map(str::len).max().unwrap_or(0))
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The text with something else in these places, which may overlap.
pub fn without(text: &str, mut places: Vec<Range<usize>>) -> String {
    places.sort_by_key(|place| place.start);
    let (mut shown, mut end) = (String::new(), 0);
    for place in places {
        if place.start >= end {
            shown.push_str(&text[end..place.start]);
            shown.push_str(MASK);
        }
        end = end.max(place.end);
    }
    shown.push_str(&text[end..]);
    shown
}

/// The secrets in a header: its value, and the credential in it without the scheme or the name before it.
fn in_header(name: &HeaderName, value: &HeaderValue) -> impl Iterator<Item = String> + use<> {
    let text = value.to_str().unwrap_or_default();
    let (first, rest) = text.split_once([' ', '=']).unwrap_or_default();
    let is_basic = first.eq_ignore_ascii_case("basic");
    let (is_secret, is_bearer) = (
        speaks_of_secret(name.as_str()),
        first.eq_ignore_ascii_case("bearer"),
    );
    let credential = if is_secret || is_basic || is_bearer {
        rest
    } else {
        ""
    };
    let decoded = is_basic.then(|| STANDARD.decode(rest).ok()).flatten();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let password = decoded.as_ref().and_then(|text| Some(text.split_once(':')?.1));
    let least = if is_secret { 1 } else { LETTERS_MIN };
    let found = [text, credential, password.unwrap_or_default()].map(str::to_owned);
    found.into_iter().filter(move |text| text.len() >= least)
}

/// How a secret looks where it is written: as it is, in JSON, in a URL, and in the message of gRPC.
fn forms(text: &str) -> Vec<String> {
    let mut all = vec![
        text.to_owned(),
        text.replace('\\', "\\\\").replace('"', "\\\""),
        percent(text),
        text.replace('%', "%25"),
    ];
    all.retain(|form| !form.is_empty());
    all.sort();
    all.dedup();
    all
}

/// Text in a URL, where everything that could have a meaning is escaped (RFC 3986 section 2.3).
fn percent(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(texts: &[&str]) -> Secrets {
        let secrets = Secrets::default();
        texts.iter().for_each(|text| secrets.learn(text));
        secrets
    }

    #[test]
    fn a_secret_is_hidden_in_each_of_its_forms() {
        let secrets = known(&["a\"b\\c%d/e"]);
        for (text, hidden) in [
            ("x a\"b\\c%d/e y", "x *** y"),
            (r#"{"said":"a\"b\\c%d/e"}"#, r#"{"said":"***"}"#),
            ("?key=a%22b%5Cc%25d%2Fe&x=1", "?key=***&x=1"),
            ("a\"b\\c%25d/e", "***"),
            ("a\"b", "a\"b"),
        ] {
            assert_eq!(secrets.hidden(text), hidden);
        }
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_each_other() {
        let secrets = known(&["abcdef", "defghi", "abc"]);
        assert_eq!(secrets.hidden("-abcdefghi-abc-"), "-***-***-");
        assert_eq!(secrets.hidden("é abc é"), "é *** é");
    }

    #[test]
    fn what_headers_show_is_known_in_its_parts() {
        let header = |name: &'static str, value: &str| {
            let value = HeaderValue::try_from(value).unwrap();
            in_header(&HeaderName::from_static(name), &value).collect::<Vec<_>>()
        };
        assert_eq!(header("authorization", "Bearer t"), ["Bearer t", "t"]);
        assert_eq!(header("cookie", "key=k1"), ["key=k1", "k1"]);
        let basic = STANDARD.encode("me:pass:word");
        let whole = format!("Basic {basic}");
        assert_eq!(header("authorization", &whole), [&*whole, &*basic, "pass:word"]);
        // What is short and called nothing of the kind may be anything.
        assert!(header("x-tier", "gold").is_empty());
        assert_eq!(header("x-tenant", "secret-1"), ["secret-1"]);
    }

    #[test]
    fn what_is_learned_is_bounded_and_the_oldest_is_forgotten() {
        let secrets = known(&[]);
        for number in 0..=LEARNED_MAX {
            secrets.learn(&format!("secret-{number:04}"));
            secrets.learn(&format!("secret-{number:04}"));
        }
        assert_eq!(secrets.hidden("secret-0000"), "secret-0000");
        assert_eq!(secrets.hidden("secret-0001"), MASK);
        assert_eq!(secrets.0.read().unwrap().learned.len(), LEARNED_MAX);
        assert_eq!(secrets.longest(), "secret-0000".len());
    }

    #[test]
    fn names_say_what_is_secret() {
        for (name, is_secret) in [
            ("token", true),
            ("X-API-Key", true),
            ("clientSecret", true),
            ("Set-Cookie", true),
            ("pageToken", false),
            ("nextPageToken", false),
            ("contextId", false),
        ] {
            assert_eq!(speaks_of_secret(name), is_secret, "{name}");
        }
    }
}
