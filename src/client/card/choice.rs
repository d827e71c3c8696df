//! Which of a card's interfaces is used (specification 8.3.2).

use crate::client::{Error, Target};
use crate::context::Binding;
use crate::pb::{AgentCard, AgentInterface};

/// How many interfaces an error lists.
const LISTED_MAX: usize = 8;

/// The interfaces that this client can use, the one to use first: the bindings of `prefer` in that order, as far as the
/// card offers them, then all others in the card's order. Those of other protocol versions than 1.x and of bindings that
/// are not known are passed over.
///
/// # Errors
/// [`Error::Card`] when none is left; it says what the card offers.
pub fn choose<'c>(card: &'c AgentCard, prefer: &[Binding]) -> Result<Vec<&'c AgentInterface>, Error> {
    let offered = &card.supported_interfaces;
    let mut chosen: Vec<&AgentInterface> = offered.iter().filter(|one| is_usable(one)).collect();
    if chosen.is_empty() {
        return Err(Error::Card(format!(
            "it offers no interface that this client can use: {}; this client speaks the versions 1.x by GRPC, JSONRPC and \
             HTTP+JSON",
            list(offered)
        )));
    }
    // Stable, so that the card's order remains.
    chosen.sort_by_key(|one| {
        let binding = Target::binding_of(one);
        let place = prefer.iter().position(|preferred| Some(*preferred) == binding);
        place.unwrap_or(prefer.len())
    });
    Ok(chosen)
}

fn is_usable(interface: &AgentInterface) -> bool {
    let is_known = |version: &str| version.split('.').next() == Some("1");
    Target::binding_of(interface).is_some() && is_known(&interface.protocol_version)
}

fn list(offered: &[AgentInterface]) -> String {
    if offered.is_empty() {
        return "it lists none".to_owned();
    }
    let mut texts: Vec<String> = offered
        .iter()
        .take(LISTED_MAX)
        .map(|one| {
            let short = |text: &str| text.chars().take(60).collect::<String>();
            format!(
                "{:?} {:?}",
                short(&one.protocol_binding),
                short(&one.protocol_version)
            )
        })
        .collect();
    if offered.len() > LISTED_MAX {
        texts.push(format!("and {} more", offered.len() - LISTED_MAX));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(interfaces: &[(&str, &str)]) -> AgentCard {
        let interface = |(index, (binding, version)): (usize, &(&str, &str))| AgentInterface {
            url: index.to_string(),
            protocol_binding: (*binding).to_owned(),
            protocol_version: (*version).to_owned(),
            ..AgentInterface::default()
        };
        AgentCard {
            supported_interfaces: interfaces.iter().enumerate().map(interface).collect(),
            ..AgentCard::default()
        }
    }

    #[test]
    fn the_users_order_goes_before_the_cards() {
        use Binding::{Grpc, HttpJson, JsonRpc};
        let all = [
            ("urn:other", "1.0"),
            ("JSONRPC", "0.3.0"),
            ("JSONRPC", "1.0"),
            ("GRPC", "1.0"),
            ("HTTP+JSON", "1.1"),
            ("grpc", "1.0"),
            ("GRPC", "10.0"),
            ("GRPC", ""),
        ];
        let cases: [(&[Binding], &str); 6] = [
            (&[], "2345"),
            (&[Grpc], "3524"),
            (&[HttpJson, Grpc], "4352"),
            (&[JsonRpc], "2345"),
            (&[Grpc, HttpJson, JsonRpc], "3542"),
            (&[Grpc, Grpc], "3524"),
        ];
        for (prefer, order) in cases {
            let card = card(&all);
            let chosen = choose(&card, prefer).unwrap();
            let urls: String = chosen.iter().map(|one| one.url.as_str()).collect();
            assert_eq!(urls, order, "{prefer:?}");
        }
        // What the card does not offer is passed over.
        let only = card(&[("JSONRPC", "1.0")]);
        assert_eq!(choose(&only, &[Grpc]).unwrap()[0].url, "0");
    }

    #[test]
    fn an_error_says_what_is_offered() {
        for (interfaces, said) in [
            (&[][..], "it lists none"),
            (&[("JSONRPC", "0.3.0")], "\"JSONRPC\" \"0.3.0\""),
            (&[("urn:x", "1.0"); 9], "and 1 more"),
        ] {
            let error = choose(&card(interfaces), &[]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
