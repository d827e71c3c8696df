//! Lists of agents: what is taken for one, and how an entry is found in it.
//!
//! A2A defines cards and no lists of them, so this takes what there is, and no more of it than names and places:
//! - an object with `agents` or `entries`, or a bare array. An entry is the URL of a card as a string, a card, or an object
//!   with such a URL (`url`, `cardUrl`, `agentCardUrl`, `href`) or such a card (`card`, `agentCard`, `data`, `inline`);
//! - a linkset (RFC 9264, as at `/.well-known/api-catalog`): the targets of `item` and `service-desc`.
//!
//! An entry goes by its `name`, `id`, `identifier`, `displayName` or `title`, by its card's name, and by its URL.

use serde_json::Value;

use crate::client::Error;
use crate::pb::{AgentCard, json};

/// How many names an error lists.
const LISTED_MAX: usize = 16;

const LISTS: [&str; 2] = ["agents", "entries"];
const NAMES: [&str; 5] = ["name", "id", "identifier", "displayName", "title"];
const PLACES: [&str; 4] = ["url", "cardUrl", "agentCardUrl", "href"];
const CARDS: [&str; 4] = ["card", "agentCard", "data", "inline"];
const RELATIONS: [&str; 2] = ["item", "service-desc"];

/// A list of agents.
pub(super) struct Catalog(Vec<Entry>);

struct Entry {
    names: Vec<String>,
    place: Place,
}

/// Where the card of an entry is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// At a URL, perhaps a relative one.
    Url(String),
    /// Here.
    Inline(Box<AgentCard>),
}

impl Catalog {
    /// The catalog, if the document is one and no card. Entries beyond `entries_max` are an error.
    pub(super) fn read(text: &str, entries_max: usize) -> Result<Option<Self>, Error> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Ok(None);
        };
        let is_card = value.get("supportedInterfaces").is_some() || value.get("url").is_some();
        let lists = LISTS.iter().find_map(|name| value.get(name)?.as_array());
        let found: Vec<&Value> = match (lists.or_else(|| value.as_array()), value.get("linkset")) {
            _ if is_card => return Ok(None),
            (Some(list), _) => list.iter().collect(),
            (None, Some(Value::Array(contexts))) => linked(contexts).collect(),
            _ => return Ok(None),
        };
        if found.len() > entries_max {
            return Err(Error::Card(format!(
                "the catalog has {} entries; this client takes {entries_max}",
                found.len()
            )));
        }
        Ok(Some(Self(found.into_iter().filter_map(Entry::read).collect())))
    }

    /// The one entry of this name; without a name the only entry.
    pub(super) fn find(self, name: Option<&str>) -> Result<Place, Error> {
        let known: Vec<&str> = self
            .0
            .iter()
            .filter_map(|entry| Some(entry.names.first()?.as_str()))
            .collect();
        let known = list(&known);
        let Some(name) = name else {
            let [only] = <[Entry; 1]>::try_from(self.0).map_err(|_| {
                Error::CardNotFound(format!(
                    "this is a catalog; name one of its entries behind a #: {known}"
                ))
            })?;
            return Ok(only.place);
        };
        let mut meant: Vec<Entry> = self
            .0
            .into_iter()
            .filter(|entry| entry.names.iter().any(|own| own == name))
            .collect();
        match (meant.pop(), meant.is_empty()) {
            (Some(entry), true) => Ok(entry.place),
            (None, _) => Err(Error::CardNotFound(format!(
                "the catalog has no entry {name:?}; it has {known}"
            ))),
            (Some(_), false) => Err(Error::CardNotFound(format!(
                "the catalog has more than one entry {name:?}; name the URL of the card"
            ))),
        }
    }
}

fn linked(contexts: &[Value]) -> impl Iterator<Item = &Value> {
    contexts.iter().flat_map(|context| {
        RELATIONS
            .iter()
            .filter_map(|relation| context.get(relation)?.as_array())
            .flatten()
    })
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut texts: Vec<String> = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| format!("{:?}", name.chars().take(60).collect::<String>()))
        .collect();
    if names.len() > LISTED_MAX {
        texts.push(format!("and {} more", names.len() - LISTED_MAX));
    }
    texts.join(", ")
}

impl Entry {
    /// An entry; `None` for what is something else than an agent.
    fn read(value: &Value) -> Option<Self> {
        if let Some(url) = value.as_str() {
            return Some(Self {
                names: vec![url.to_owned()],
                place: Place::Url(url.to_owned()),
            });
        }
        let mut names: Vec<String> = NAMES
            .iter()
            .filter_map(|name| Some(value.get(name)?.as_str()?.to_owned()))
            .collect();
        let inline = CARDS.iter().find_map(|name| card(value.get(name)?));
        let place = match inline.or_else(|| card(value)) {
            Some(card) => {
                names.push(card.name.clone());
                Place::Inline(Box::new(card))
            }
            None => {
                let url = PLACES.iter().find_map(|name| value.get(name)?.as_str())?;
                names.push(url.to_owned());
                Place::Url(url.to_owned())
            }
        };
        Some(Self { names, place })
    }
}

fn card(value: &Value) -> Option<AgentCard> {
    value.get("supportedInterfaces")?;
    json::from_str(&value.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, name: Option<&str>) -> Result<Place, String> {
        let catalog = Catalog::read(text, 100).unwrap().expect("a catalog");
        catalog.find(name).map_err(|error| error.to_string())
    }

    fn url(text: &str) -> Place {
        Place::Url(text.to_owned())
    }

    #[test]
    fn entries_are_found_by_every_name() {
        let a = "https://a.example/card.json";
        for (text, name) in [
            (r#"["https://a.example/card.json", "https://b.example"]"#, a),
            (
                r#"{"agents": [{"name": "A", "url": "https://a.example/card.json"}, {"name": "B", "url": "x"}]}"#,
                "A",
            ),
            (
                r#"{"agents": [{"name": "A", "cardUrl": "https://a.example/card.json"}]}"#,
                a,
            ),
            (
                r#"{"entries": [{"identifier": "urn:a", "displayName": "A", "mediaType": "m",
                "url": "https://a.example/card.json"}, {"identifier": "urn:b"}]}"#,
                "urn:a",
            ),
            (
                r#"{"entries": [{"displayName": "A", "url": "https://a.example/card.json"}]}"#,
                "A",
            ),
            (
                r#"{"linkset": [{"anchor": "https://a.example/", "item": [
                {"href": "https://a.example/card.json", "title": "A"}]}]}"#,
                "A",
            ),
            (
                r#"{"linkset": [{"anchor": "x", "service-desc": [{"href": "https://a.example/card.json"}]},
                {"item": [{"href": "y"}]}]}"#,
                a,
            ),
        ] {
            assert_eq!(find(text, Some(name)), Ok(url(a)), "{text}");
        }
    }

    #[test]
    fn cards_may_stand_in_it() {
        let card = r#"{"name": "A", "supportedInterfaces": []}"#;
        for text in [
            format!("[{card}]"),
            format!(r#"{{"agents": [{{"id": "x", "card": {card}}}]}}"#),
            format!(r#"{{"entries": [{{"data": {card}, "url": "https://a.example"}}]}}"#),
        ] {
            for name in [None, Some("A")] {
                let found = find(&text, name);
                assert!(
                    matches!(&found, Ok(Place::Inline(card)) if card.name == "A"),
                    "{text} {found:?}"
                );
            }
        }
    }

    #[test]
    fn errors_say_what_there_is() {
        let two = r#"{"agents": [{"name": "A", "url": "x"}, {"name": "B", "url": "y"}]}"#;
        assert!(find(two, None).unwrap_err().contains(r#""A", "B""#));
        assert!(find(two, Some("C")).unwrap_err().contains(r#""A", "B""#));
        let twice = r#"{"agents": [{"name": "A", "url": "x"}, {"name": "A", "url": "y"}]}"#;
        assert!(find(twice, Some("A")).unwrap_err().contains("more than one"));
        assert_eq!(find(twice, Some("y")), Ok(url("y")));
        assert!(find("[]", None).unwrap_err().contains("none"));
        let many = format!("[{}]", vec!["\"u\""; 101].join(","));
        assert!(Catalog::read(&many, 100).is_err());
    }

    #[test]
    fn cards_and_other_things_are_none() {
        for text in [
            "{}",
            "x",
            "1",
            r#"{"supportedInterfaces": [], "agents": []}"#,
            r#"{"url": "https://old.example", "name": "old"}"#,
            r#"{"linkset": {}}"#,
        ] {
            assert!(Catalog::read(text, 100).unwrap().is_none(), "{text}");
        }
    }
}
