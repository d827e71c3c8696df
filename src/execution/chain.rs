//! Where a message stands in a chain of agents, written down with it: what is not stored is forgotten by a crash, and an
//! execution that begins again must not begin a new chain.

use crate::context::Chain;
use crate::pb::value::Kind;
use crate::pb::{Message, Struct, Value};

/// The key in the metadata of a stored message.
const KEY: &str = "urn:a2ad:delegation";
const HOPS: &str = "hops";
const BUDGET: &str = "budget";

/// Writes down where a message stands, if its call said so.
pub(super) fn remember(message: &mut Message, chain: Option<Chain>) {
    let Some(chain) = chain else { return };
    let number = |number: u32| Value {
        kind: Some(Kind::NumberValue(f64::from(number))),
    };
    let budget = chain.budget.map(|budget| (BUDGET.to_owned(), number(budget)));
    let fields = [(HOPS.to_owned(), number(chain.hops))].into_iter().chain(budget);
    let said = Struct {
        fields: fields.collect(),
    };
    let metadata = message.metadata.get_or_insert_default();
    metadata.fields.insert(
        KEY.to_owned(),
        Value {
            kind: Some(Kind::StructValue(said)),
        },
    );
}

/// Where a stored message stands. What can't be read as written here is at the end of its chain.
pub(super) fn recall(message: &Message) -> Option<Chain> {
    let said = message.metadata.as_ref()?.fields.get(KEY)?;
    let Some(Kind::StructValue(said)) = &said.kind else {
        return Some(END);
    };
    let number = |name: &str| match said.fields.get(name)?.kind {
        Some(Kind::NumberValue(number)) if (0.0..=f64::from(u32::MAX)).contains(&number) => {
            Some(number as u32)
        }
        _ => None,
    };
    let is_broken = |name: &str| said.fields.contains_key(name) && number(name).is_none();
    match number(HOPS) {
        Some(hops) if !is_broken(BUDGET) => Some(Chain {
            hops,
            budget: number(BUDGET),
        }),
        _ => Some(END),
    }
}

const END: Chain = Chain {
    hops: u32::MAX,
    budget: Some(0),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_remembers_where_it_stands() {
        for (hops, budget) in [(0, None), (3, Some(0)), (u32::MAX, Some(u32::MAX))] {
            let chain = Chain { hops, budget };
            let mut message = Message::default();
            assert_eq!(recall(&message), None);
            remember(&mut message, None);
            assert_eq!(message, Message::default());
            remember(&mut message, Some(chain));
            assert_eq!(recall(&message), Some(chain));
        }
    }

    #[test]
    fn what_can_not_be_read_ends_the_chain() {
        for text in [
            "1",
            "{}",
            r#"{"hops": -1}"#,
            r#"{"hops": "1"}"#,
            r#"{"hops": 1e300}"#,
            r#"{"hops": 1, "budget": -1}"#,
        ] {
            let text = format!(r#"{{"metadata": {{"{KEY}": {text}}}}}"#);
            let message: Message = crate::pb::json::from_slice(text.as_bytes()).unwrap();
            assert_eq!(recall(&message), Some(END), "{text}");
        }
    }
}
