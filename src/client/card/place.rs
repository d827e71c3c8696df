//! The URL of an interface, also where a card gives none: gRPC is often named by host and port alone.

use std::borrow::Cow;

use url::Url;

use super::CardSource;
use super::reference::is_loopback;
use crate::client::Target;
use crate::context::Binding;
use crate::pb::{AgentCard, AgentInterface};

/// The URL of an interface. The scheme of a host and port is that of another interface there, or that by which the card
/// came from there; of others it is https, but for this machine http.
pub(in crate::client) fn place_of<'c>(
    interface: &'c AgentInterface,
    card: &AgentCard,
    source: &CardSource,
) -> Cow<'c, str> {
    let text = interface.url.as_str();
    if !is_bare(interface) {
        return Cow::Borrowed(text);
    }
    let others = card.supported_interfaces.iter().map(|other| other.url.as_str());
    let own = match source {
        CardSource::Url(url) => Some(url.as_str()),
        CardSource::File(_) => None,
    };
    let is_there = |other: &Url| {
        Url::parse(&format!("{}://{text}", other.scheme())).is_ok_and(|url| {
            url.host() == other.host() && url.port_or_known_default() == other.port_or_known_default()
        })
    };
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    let there = others.chain(own).filter_map(|other| Url::parse(other).ok());
    let scheme = match there.filter(is_web).find(is_there) {
        Some(other) => other.scheme().to_owned(),
        None => {
            let is_local = Url::parse(&format!("http://{text}")).is_ok_and(|url| is_loopback(&url));
            if is_local { "http" } else { "https" }.to_owned()
        }
    };
    Cow::Owned(format!("{scheme}://{text}"))
}

/// Whether it is a host and port of gRPC.
pub(super) fn is_bare(interface: &AgentInterface) -> bool {
    Target::binding_of(interface) == Some(Binding::Grpc)
        && !interface.url.is_empty()
        && !interface.url.contains(['/', '?', '#', '@', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_port_get_the_scheme_that_is_spoken_there() {
        for (grpc, json, source, place) in [
            (
                "a.example:443",
                "https://a.example/rpc",
                "https://b.example",
                "https://a.example:443",
            ),
            (
                "a.example:80",
                "http://a.example/rpc",
                "https://b.example",
                "http://a.example:80",
            ),
            (
                "127.0.0.1:1",
                "https://127.0.0.1:1/",
                "https://127.0.0.1:1",
                "https://127.0.0.1:1",
            ),
            (
                "127.0.0.1:1",
                "http://127.0.0.1:2/",
                "https://127.0.0.1:1/c",
                "https://127.0.0.1:1",
            ),
            ("localhost:1", "x", "https://b.example", "http://localhost:1"),
            (
                "a.example:1",
                "http://a.example:2/",
                "http://a.example",
                "https://a.example:1",
            ),
            ("a.example", "x", "https://b.example", "https://a.example"),
            ("[::1]:1", "x", "https://b.example", "http://[::1]:1"),
            (
                "http://a.example:1",
                "https://a.example:1",
                "https://b.example",
                "http://a.example:1",
            ),
            ("a.example/x", "x", "https://b.example", "a.example/x"),
        ] {
            let interface = |binding: &str, url: &str| AgentInterface {
                url: url.to_owned(),
                protocol_binding: binding.to_owned(),
                ..AgentInterface::default()
            };
            let card = AgentCard {
                supported_interfaces: vec![interface("GRPC", grpc), interface("JSONRPC", json)],
                ..AgentCard::default()
            };
            let source = CardSource::Url(source.to_owned());
            assert_eq!(
                place_of(&card.supported_interfaces[0], &card, &source),
                place,
                "{grpc} {json}"
            );
        }
    }
}
