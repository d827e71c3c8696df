//! What people write to name an agent.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use url::{Host, Url};

/// Where a card stands under its origin (specification 8.2), and where it stood before version 1.0.
const CARD_PATHS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];
/// Where lists of agents stand: that of AI catalogs, and RFC 9727.
const CATALOG_PATHS: [&str; 2] = ["/.well-known/ai-catalog.json", "/.well-known/api-catalog"];

/// The name of an agent's card.
///
/// | written | taken as |
/// |---------|----------|
/// | `agents.example.com`, `127.0.0.1:8420` | an origin: the card stands at its well-known path |
/// | `agents.example.com/echo` | an origin with a path: the well-known path stands behind it |
/// | `https://agents.example.com`, `http://localhost:8420/` | the same, with the scheme said |
/// | `https://agents.example.com/echo` | the URL of a card; if there is none, as an origin with a path |
/// | `https://agents.example.com/cards/echo.json`, a URL with a query | the URL of a card, and nothing else |
/// | `file:///cards/echo.json`, `/cards/echo.json`, `./echo`, `echo.json` | a file |
/// | any of these, `#` and a name | an entry of a catalog; behind an origin, of the one at its well-known path |
///
/// Without a scheme, loopback hosts are asked by http and all others by https. Names without a slash that don't end in
/// `.json` are hosts: write `./name` for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardReference {
    place: Place,
    entry: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    /// The well-known paths stand behind it.
    Origin(Url),
    /// The document itself.
    Document(Url),
    /// The document itself, or else what the well-known paths stand behind.
    Either(Url),
}

/// The text names no card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no agent card; write a host (agents.example.com), the URL of a card, or a file (./card.json); #NAME \
     behind it names an entry of a catalog"
)]
pub struct ReferenceError(String);

impl CardReference {
    /// A card in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::File(path.into()),
            entry: None,
        }
    }

    /// The file, if it is one.
    pub fn as_file(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::File(path) => Some(path),
            _ => None,
        }
    }

    /// The name of the entry, of a reference into a catalog.
    pub fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    /// The URLs to be asked, in this order, until one has a document; none of a file.
    pub fn urls(&self) -> Vec<String> {
        let behind = |url: &Url| {
            let paths = if self.entry.is_some() {
                CATALOG_PATHS
            } else {
                CARD_PATHS
            };
            paths.map(|path| {
                let mut whole = url.clone();
                whole.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
                whole.to_string()
            })
        };
        match &self.place {
            Place::File(_) => Vec::new(),
            Place::Document(url) => vec![url.to_string()],
            Place::Origin(url) => behind(url).to_vec(),
            Place::Either(url) => [url.to_string()].into_iter().chain(behind(url)).collect(),
        }
    }

    fn place_of(text: &str) -> Option<Place> {
        if let Some((scheme, _)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "file" => Url::parse(text).ok()?.to_file_path().ok().map(Place::File),
                "http" | "https" => Self::web(text, true),
                _ => None,
            };
        }
        if is_path(text) {
            return Some(Place::File(PathBuf::from(text)));
        }
        let https = Url::parse(&format!("https://{text}")).ok()?;
        // Parsed again, because a port that goes without saying is another one by http.
        let scheme = if is_loopback(&https) { "http" } else { "https" };
        Self::web(&format!("{scheme}://{text}"), false)
    }

    fn web(text: &str, has_scheme: bool) -> Option<Place> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
        if !is_plain || text.contains('\\') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let is_document = url.query().is_some() || url.path().ends_with(".json");
        Some(match (is_document, url.path()) {
            (true, _) => Place::Document(url),
            (false, path) if path == "/" || !has_scheme => Place::Origin(url),
            (false, _) => Place::Either(url),
        })
    }
}

/// Whether a text without a scheme is a path and no host: it says so at its beginning, or ends in `.json` behind what
/// can't be a host of the web.
fn is_path(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let is_host = first != text && (first.contains(['.', ':']) || first == "localhost");
    text.starts_with(['/', '.', '~']) || text.contains('\\') || (text.ends_with(".json") && !is_host)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let of = |address: IpAddr| address.to_canonical().is_loopback();
    match url.host() {
        Some(Host::Ipv4(address)) => of(address.into()),
        Some(Host::Ipv6(address)) => of(address.into()),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

impl FromStr for CardReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = || ReferenceError(text.chars().take(120).collect());
        let (place, entry) = match text.split_once('#') {
            Some((_, "")) => return Err(error()),
            Some((place, entry)) => (place, Some(entry.to_owned())),
            None => (text, None),
        };
        let place = (!place.is_empty()).then(|| Self::place_of(place)).flatten();
        let place = place.ok_or_else(error)?;
        Ok(Self { place, entry })
    }
}

impl fmt::Display for CardReference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(out, "{}", path.display())?,
            Place::Origin(url) | Place::Document(url) | Place::Either(url) => out.write_str(url.as_str())?,
        }
        self.entry.iter().try_for_each(|entry| write!(out, "#{entry}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Vec<String> {
        text.parse::<CardReference>().unwrap().urls()
    }

    #[test]
    fn hosts_are_asked_at_the_well_known_paths() {
        for (text, origin) in [
            ("127.0.0.1:8420", "http://127.0.0.1:8420"),
            ("localhost", "http://localhost"),
            ("[::1]:8420", "http://[::1]:8420"),
            ("agents.example.com", "https://agents.example.com"),
            ("agents.example.com:8443/", "https://agents.example.com:8443"),
            ("10.0.0.1:8420", "https://10.0.0.1:8420"),
            ("http://agents.example.com", "http://agents.example.com"),
            ("agents.example.com/echo/", "https://agents.example.com/echo"),
            ("localhost:1/echo", "http://localhost:1/echo"),
        ] {
            let urls = CARD_PATHS.map(|path| format!("{origin}{path}"));
            assert_eq!(asked(text), urls, "{text}");
            let urls = CATALOG_PATHS.map(|path| format!("{origin}{path}"));
            assert_eq!(asked(&format!("{text}#echo")), urls, "{text}");
        }
    }

    #[test]
    fn urls_of_cards_are_used_as_they_are() {
        for text in [
            "https://agents.example.com/cards/echo.json",
            "https://agents.example.com/card?id=1",
            "https://agents.example.com/?id=1",
        ] {
            assert_eq!(asked(text), [text], "{text}");
        }
        let bare = "agents.example.com/echo.json";
        assert_eq!(asked(bare), ["https://agents.example.com/echo.json"]);
        let either = asked("https://agents.example.com/echo");
        assert_eq!(either[0], "https://agents.example.com/echo");
        assert_eq!(
            either[1],
            "https://agents.example.com/echo/.well-known/agent-card.json"
        );
    }

    #[test]
    fn paths_are_files() {
        for (text, path) in [
            ("/cards/echo.json", "/cards/echo.json"),
            ("./echo", "./echo"),
            ("../echo", "../echo"),
            ("echo.json", "echo.json"),
            ("cards/echo.json", "cards/echo.json"),
            ("file:///cards/a%20b.json", "/cards/a b.json"),
        ] {
            let reference: CardReference = text.parse().unwrap();
            assert_eq!(reference.as_file(), Some(std::path::Path::new(path)), "{text}");
            assert!(reference.urls().is_empty());
        }
        let entry: CardReference = "./catalog.json#echo".parse().unwrap();
        assert_eq!(entry.entry(), Some("echo"));
    }

    #[test]
    fn what_names_no_card_is_refused() {
        for bad in [
            "",
            "#echo",
            "a.example#",
            "ftp://a.example",
            "https://",
            "https://u:p@a.example",
            "u@a.example",
            "a b",
            "a.example:99999",
            "https://a\\b",
        ] {
            assert!(bad.parse::<CardReference>().is_err(), "{bad:?}");
        }
    }
}
