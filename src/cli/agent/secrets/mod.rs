//! The secrets of a run, and hiding them wherever they occur in what is printed beside results (a2a-cli specification 12.1).
//!
//! An agent may say back what it was shown: in the text of an error, in a header, in an answer, escaped in whatever way, and
//! cut off by whoever quotes it. Results are the agent's and stay as they are; what this program tells of them does not repeat
//! a secret.

mod header;
mod needle;
mod view;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use a2ad::client::Call;
use a2ad::config::{MASK, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::header::in_header;
use self::needle::Needle;
use self::view::{forms, views};
use super::config::{Form, SETTINGS, Setting, Sources};
use super::options::Options;

/// The value of a service parameter that is shorter is no secret unless its name says so: it would occur everywhere. Nor is
/// a shorter part of a secret one.
const LETTERS_MIN: usize = 6;
/// Secrets that came to be known on the way, such as tokens that were renewed; the oldest are forgotten.
const LEARNED_MAX: usize = 256;
/// The most bytes that stand for one byte: `\u0041`.
const ESCAPED_BYTES: usize = 6;
/// The bytes of a text that are searched at once; their forms take 16 MiB at most.
const WINDOW_BYTES: usize = 64 << 10;

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
    given: Vec<Entry>,
    learned: VecDeque<Entry>,
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.given.iter().chain(&self.learned)
    }
}

#[derive(Debug)]
struct Entry {
    text: Secret<String>,
    needles: Vec<Needle>,
}

impl Entry {
    /// A secret but for so many bytes at its start.
    fn new(text: &str, open: usize) -> Self {
        let forms = forms(text).into_iter();
        // What is left of it without escapes may be short.
        let forms = forms.filter(|form| !form.is_empty() && form.len() >= LETTERS_MIN.min(text.len()));
        Self {
            text: Secret::new(text.to_owned()),
            needles: forms.map(|form| Needle::new(form, open)).collect(),
        }
    }

    fn text(&self) -> &str {
        self.text.expose()
    }
}

impl Secrets {
    /// Those of a command line, of the environment and of files.
    pub fn of(options: &Options, sources: &Sources) -> Self {
        // Parameters have names, which are none.
        let is_whole = |setting: &&Setting| setting.is_secret && setting.form == Form::Text;
        let settings = SETTINGS.iter().filter(is_whole);
        let set = settings.filter_map(|setting| options.given.effective(setting, sources).0);
        let set = set.filter(|text| !text.is_empty());
        let parameters = options.to.svc_param.iter();
        let parameters = parameters.flat_map(|(name, value)| in_header(name, value));
        let parameters = parameters.map(|piece| Entry::new(&piece.text, piece.open));
        let known = Known {
            given: set.map(|text| Entry::new(&text, 0)).chain(parameters).collect(),
            ..Known::default()
        };
        Self(Arc::new(RwLock::new(known)))
    }

    /// One more, as it came to be known.
    pub fn learn(&self, text: &str) {
        self.learn_piece(text, 0);
    }

    fn learn_piece(&self, text: &str, open: usize) {
        if text.is_empty() || self.read(|known| known.all().any(|one| one.text() == text)) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.learned.push_back(Entry::new(text, open));
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
                let pieces = in_header(name, value);
                pieces
                    .iter()
                    .for_each(|piece| self.learn_piece(&piece.text, piece.open));
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

    /// Where they occur, in whatever way they are escaped; also the beginning of one where the text was cut off.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        // What begins in one window and is not over with it is whole in the next one.
        let overlap = self.longest();
        let window = WINDOW_BYTES.max(overlap.saturating_mul(2));
        let (mut found, mut start) = (Vec::new(), 0_usize);
        loop {
            let end = text.floor_char_boundary(start.saturating_add(window));
            let is_end = end == text.len();
            let places = self.within(&text[start..end], is_end).into_iter();
            found.extend(places.map(|place| start + place.start..start + place.end));
            if is_end {
                return found;
            }
            start = text.floor_char_boundary(end - overlap);
        }
    }

    fn within(&self, text: &str, is_end: bool) -> Vec<Range<usize>> {
        self.read(|known| {
            let mut found = Vec::new();
            if known.all().next().is_none() {
                return found;
            }
            for view in views(text) {
                for needle in known.all().flat_map(|one| &one.needles) {
                    needle.find(&view, is_end, &mut found);
                }
            }
            // Of a secret in escapes any byte may be the first or the last one of a needle.
            let whole = |place: Range<usize>| {
                text.floor_char_boundary(place.start)..text.ceil_char_boundary(place.end)
            };
            found.into_iter().map(whole).collect()
        })
    }

    /// The bytes that the longest one may take: so much more than is shown of a text has to be known of it.
    pub fn longest(&self) -> usize {
        let longest = self.read(|known| known.all().map(|one| one.text().len()).max());
        longest.unwrap_or(0).saturating_mul(ESCAPED_BYTES)
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
    fn a_secret_is_hidden_however_it_is_escaped() {
        let secrets = known(&["a\"b\\c%d/e+<&é>"]);
        for (text, hidden) in [
            ("x a\"b\\c%d/e+<&é> y", "x *** y"),
            (r#"{"said":"a\"b\\c%d/e+<&é>"}"#, r#"{"said":"***"}"#),
            (
                r#"{"said":"a\"b\\c%d\/e\u002B\u003c\u0026\u00E9>"}"#,
                r#"{"said":"***"}"#,
            ),
            (
                r#"{"said":"\u0061\u0022b\u005cc\u0025d\u002fe\u002b\u003C&é>"}"#,
                r#"{"said":"***"}"#,
            ),
            ("?key=a%22b%5Cc%25d%2Fe%2B%3C%26%C3%A9%3E&x=1", "?key=***&x=1"),
            ("?key=a%22b%5cc%25d%2fe%2b%3c%26%c3%a9%3e&x=1", "?key=***&x=1"),
            ("?key=%61%22b%5Cc%25d/e+<%26é>&x=1", "?key=***&x=1"),
            ("a\"b\\c%25d/e+<&é>", "***"),
            // A URL in JSON, and JSON in JSON.
            (
                r#"{"url":"?key=a%22b%5cc%25d\/e%2B%3C\u0026%C3%A9%3E"}"#,
                r#"{"url":"?key=***"}"#,
            ),
            (
                r#"{"body":"{\"said\":\"a\\\"b\\\\c%d\\/e\\u002B<&é>\"}"}"#,
                r#"{"body":"{\"said\":\"***\"}"}"#,
            ),
            ("a\"b", "a\"b"),
        ] {
            assert_eq!(secrets.hidden(text), hidden);
        }
    }

    /// The secret may look like an escape itself.
    #[test]
    fn a_secret_with_escapes_of_its_own_is_hidden() {
        for secret in [
            r"secret\n\u0041-1",
            "secret%41%2F-1",
            "secret+and more",
            "%A9secret-1%C3",
        ] {
            let secrets = known(&[secret]);
            let json = serde_json::to_string(secret).unwrap();
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for text in [
                secret,
                &json,
                &percent(secret),
                &form,
                &secret.replace('-', "%2D"),
            ] {
                let hidden = secrets.hidden(text);
                assert_eq!(hidden.trim_matches('"'), MASK, "{text}");
            }
        }
    }

    #[test]
    fn a_letter_that_a_secret_has_half_of_is_hidden_whole() {
        assert_eq!(known(&["%A9secret-1%C3"]).hidden("- ésecret-1é -"), "- *** -");
    }

    #[test]
    fn what_is_left_of_a_secret_where_a_text_was_cut_off_is_hidden() {
        let secrets = known(&["s3cr3t/of-mine"]);
        secrets.learn_piece("Bearer t0k3n-0f-m1n3", "Bearer ".len());
        for (text, hidden) in [
            ("it said s3cr3t/of-", "it said ***"),
            ("it said s3cr3t", "it said ***"),
            ("it said s3cr3", "it said s3cr3"),
            (
                "it redirects to \"http://a/?k=s3cr3t%2Fof\" (307)",
                "it redirects to \"http://a/?k=***\" (307)",
            ),
            ("\"s3cr3t%2\" and more", "\"***\" and more"),
            (r"s3cr3t\u002", "***"),
            (r#"{"a": "s3cr3t\/o"}"#, r#"{"a": "***"}"#),
            ("s3cr3t/of; field: no", "***; field: no"),
            (
                "s3cr3t is a word of s3cr3t/others",
                "s3cr3t is a word of s3cr3t/others",
            ),
            // The name of a scheme is nothing to hide.
            ("it needs \"Bearer \"", "it needs \"Bearer \""),
            ("it got Bearer t0k3n-", "it got ***"),
        ] {
            assert_eq!(secrets.hidden(text), hidden);
        }
    }

    #[test]
    fn a_value_that_ends_in_padding_leaves_the_rest_of_a_text_alone() {
        let secrets = Secrets::default();
        let value = http::HeaderValue::from_static("dGVzdC1rZXktMTIzNA==");
        for piece in in_header(&http::HeaderName::from_static("x-api-key"), &value) {
            secrets.learn_piece(&piece.text, piece.open);
        }
        assert_eq!(
            secrets.hidden("?limit=5&key=dGVzdC1rZXktMTIzNA=="),
            "?limit=5&key=***"
        );
        assert_eq!(secrets.hidden("?key=dGVzdC1rZXktMTIzNA%3d%3D"), "?key=***");
    }

    #[test]
    fn a_text_of_any_length_is_searched_in_windows() {
        let secret = "s3cret+".repeat(20);
        let secrets = known(&[&secret]);
        let escaped: String = secret.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        for before in [0, 1_000, WINDOW_BYTES - 400, WINDOW_BYTES - 1, 3 * WINDOW_BYTES] {
            let text = format!("{}{escaped}{}", "é".repeat(before), "-".repeat(WINDOW_BYTES));
            let hidden = secrets.hidden(&text);
            assert_eq!(hidden, text.replace(&escaped, MASK), "{before}");
        }
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_each_other() {
        let secrets = known(&["abcdef", "defghi", "abc"]);
        assert_eq!(secrets.hidden("-abcdefghi-abc-"), "-***-***-");
        assert_eq!(secrets.hidden("é abc é"), "é *** é");
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
        assert_eq!(secrets.longest(), "secret-0000".len() * ESCAPED_BYTES);
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
