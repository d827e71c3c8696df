//! What a card says about getting tokens. It is a proposal: the user decides whether the servers it names are the right
//! ones.

use super::{Grant, OAuthEndpoints};
use crate::pb::AgentCard;
use crate::pb::o_auth_flows::Flow;
use crate::pb::security_scheme::Scheme;

/// A way to a token that this client can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The name of the scheme in the card.
    pub scheme: String,
    /// How a token is got; `None` leaves it to the user, as an issuer does.
    pub grant: Option<Grant>,
    /// Where it comes from.
    pub endpoints: OAuthEndpoints,
    /// The scopes that the card's requirements demand with this scheme, or else those that the flow names.
    pub scopes: Vec<String>,
}

/// The ways that the card's schemes name, in the order of its requirements as far as they are demanded. Flows that need a
/// browser on this machine are none of them.
pub fn offered(card: &AgentCard) -> Vec<Offer> {
    let demanded = card
        .security_requirements
        .iter()
        .flat_map(|one| one.schemes.keys());
    let mut names: Vec<&String> = Vec::new();
    for name in demanded.chain(card.security_schemes.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().filter_map(|name| offer(card, name)).collect()
}

fn offer(card: &AgentCard, name: &str) -> Option<Offer> {
    let (grant, endpoints, known) = match card.security_schemes.get(name)?.scheme.as_ref()? {
        Scheme::OpenIdConnectSecurityScheme(oidc) => {
            let issuer = oidc
                .open_id_connect_url
                .strip_suffix("/.well-known/openid-configuration")?;
            (None, OAuthEndpoints::Issuer(issuer.to_owned()), Vec::new())
        }
        Scheme::Oauth2SecurityScheme(oauth) => match oauth.flows.as_ref()?.flow.as_ref()? {
            Flow::ClientCredentials(flow) => (
                Some(Grant::ClientCredentials),
                OAuthEndpoints::Urls {
                    token: flow.token_url.clone(),
                    device: None,
                },
                flow.scopes.keys().cloned().collect(),
            ),
            Flow::DeviceCode(flow) => (
                Some(Grant::DeviceCode),
                OAuthEndpoints::Urls {
                    token: flow.token_url.clone(),
                    device: Some(flow.device_authorization_url.clone()),
                },
                flow.scopes.keys().cloned().collect(),
            ),
            _ => return None,
        },
        _ => return None,
    };
    let demanded = card
        .security_requirements
        .iter()
        .filter_map(|one| one.schemes.get(name));
    let demanded = demanded.map(|list| &list.list).find(|list| !list.is_empty());
    Some(Offer {
        scheme: name.to_owned(),
        grant,
        endpoints,
        scopes: demanded.cloned().unwrap_or(known),
    })
}
