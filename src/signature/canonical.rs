//! The bytes of a card that are signed (specification 8.4.1, RFC 8785).

use serde_json::Value;

use super::Error;
use crate::pb::{AgentCard, json};

/// The canonical form: without signatures; required members always, others only where they are set. ProtoJSON is
/// written here by exactly these rules of presence (specification 5.7).
///
/// # Errors
/// [`Error::Card`] when the card has no form in JSON: a number that is not finite.
pub fn canonical(card: &AgentCard) -> Result<Vec<u8>, Error> {
    bytes(&value(card)?)
}

/// The form that the official SDKs sign: whatever is empty (texts, lists, objects and null) is left out, wherever it
/// stands, required members and the parameters of extensions among them.
///
/// It says less than [`canonical`]: cards that differ only in what is empty have the same one.
///
/// # Errors
/// As for [`canonical`].
pub fn canonical_for_sdks(card: &AgentCard) -> Result<Vec<u8>, Error> {
    let value = without_empty(value(card)?).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    bytes(&value)
}

fn value(card: &AgentCard) -> Result<Value, Error> {
    let unsigned = AgentCard {
        signatures: Vec::new(),
        ..card.clone()
    };
    let text = json::to_vec(&unsigned).map_err(|error| Error::Card(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| Error::Card(error.to_string()))
}

fn bytes(value: &Value) -> Result<Vec<u8>, Error> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| Error::Card(error.to_string()))
}

/// The value without its empty parts; nothing if that leaves nothing.
fn without_empty(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then_some(Value::String(text)),
        Value::Array(items) => {
            let items: Vec<Value> = items.into_iter().filter_map(without_empty).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(members) => {
            let members: serde_json::Map<String, Value> = members
                .into_iter()
                .filter_map(|(name, value)| Some((name, without_empty(value)?)))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::AgentCardSignature;

    fn card(text: &str) -> AgentCard {
        json::from_str(text).unwrap()
    }

    fn text(form: Result<Vec<u8>, Error>) -> String {
        String::from_utf8(form.unwrap()).unwrap()
    }

    /// The example of specification 8.4.1, with the required members that it leaves out.
    const EXAMPLE: &str = r#"{"name": "Example Agent", "description": "", "skills": [],
        "capabilities": {"streaming": false, "pushNotifications": false, "extensions": []}}"#;

    #[test]
    fn the_example_of_the_specification_has_its_form() {
        let form = text(canonical(&card(EXAMPLE)));
        let rest =
            r#","defaultInputModes":[],"defaultOutputModes":[],"description":"","name":"Example Agent","#;
        assert_eq!(
            form,
            format!(
                r#"{{"capabilities":{{"pushNotifications":false,"streaming":false}}{rest}"skills":[],"supportedInterfaces":[],"version":""}}"#
            )
        );
        assert_eq!(
            text(canonical_for_sdks(&card(EXAMPLE))),
            r#"{"capabilities":{"pushNotifications":false,"streaming":false},"name":"Example Agent"}"#
        );
    }

    #[test]
    fn signatures_are_not_signed_and_presence_counts() {
        let plain = card(EXAMPLE);
        let mut other = plain.clone();
        other.signatures.push(AgentCardSignature::default());
        assert_eq!(canonical(&plain).unwrap(), canonical(&other).unwrap());
        other.capabilities.as_mut().unwrap().streaming = None;
        assert_ne!(canonical(&plain).unwrap(), canonical(&other).unwrap());
    }

    #[test]
    fn numbers_texts_and_names_are_those_of_rfc_8785() {
        let card = card(
            r#"{"capabilities": {"extensions": [{"uri": "u", "params":
                {"\ud83d\ude00": 1, "\ufb33": 2, "1e21": 1e21, "z": -0.0, "big": 1152921504606846976, "half": 4.50,
                 "small": 0.000001, "tiny": 1E-27, "text": "\u20ac$\u000F\nA'\u0042\u0022\\\\\"/"}}]}}"#,
        );
        let form = text(canonical(&card));
        let params = "{\"1e21\":1e+21,\"big\":1152921504606847000,\"half\":4.5,\"small\":0.000001,\
            \"text\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",\"tiny\":1e-27,\"z\":0,\"\u{1f600}\":1,\"\u{fb33}\":2}";
        assert!(form.contains(params), "{form}");
    }

    #[test]
    fn what_no_json_holds_is_refused() {
        let mut card = card(r#"{"capabilities": {"extensions": [{"uri": "u", "params": {"n": 1}}]}}"#);
        let extension = &mut card.capabilities.as_mut().unwrap().extensions[0];
        let number = prost_types::Value::from(f64::NAN);
        let params = extension.params.as_mut().unwrap();
        params.fields.insert("n".to_owned(), number);
        assert!(matches!(canonical(&card), Err(Error::Card(_))));
    }
}
