//! What a card says about authentication (specification 4.5), made from the configuration.

use std::collections::BTreeMap;

use super::settings::{AuthSettings, Combination, IssuerSettings, KeySource};
use crate::pb::{
    ApiKeySecurityScheme, HttpAuthSecurityScheme, MutualTlsSecurityScheme, OpenIdConnectSecurityScheme,
    SecurityRequirement, SecurityScheme, StringList, security_scheme::Scheme,
};

const CERTIFICATE: &str = "mtls";
const API_KEY: &str = "api-key";

/// The schemes by name, for a card's `securitySchemes`.
pub fn schemes(settings: &AuthSettings) -> BTreeMap<String, SecurityScheme> {
    let uses = |part: fn(Combination) -> bool| settings.accept.iter().any(|&one| part(one));
    let mut schemes = BTreeMap::new();
    let mut add = |name: String, scheme: Scheme| {
        schemes.insert(name, SecurityScheme { scheme: Some(scheme) });
    };
    if uses(Combination::has_certificate) {
        let description = "A client certificate of an authority that the operator trusts.".to_owned();
        add(
            CERTIFICATE.to_owned(),
            Scheme::MtlsSecurityScheme(MutualTlsSecurityScheme { description }),
        );
    }
    if uses(Combination::has_jwt) {
        for issuer in &settings.issuers {
            add(name_of(issuer), scheme_of(issuer));
        }
    }
    if uses(Combination::has_api_key) {
        let scheme = ApiKeySecurityScheme {
            description: "A key that the operator made.".to_owned(),
            location: "header".to_owned(),
            name: super::presented::API_KEY.as_str().to_owned(),
        };
        add(API_KEY.to_owned(), Scheme::ApiKeySecurityScheme(scheme));
    }
    schemes
}

/// The combinations that are enough, for a card's `securityRequirements`: any one of them.
pub fn requirements(settings: &AuthSettings) -> Vec<SecurityRequirement> {
    let mut requirements = Vec::new();
    for combination in &settings.accept {
        let certificate = combination.has_certificate().then(|| CERTIFICATE.to_owned());
        if combination.has_jwt() {
            for issuer in &settings.issuers {
                requirements.push(requirement([certificate.clone(), Some(name_of(issuer))]));
            }
        } else {
            let key = combination.has_api_key().then(|| API_KEY.to_owned());
            requirements.push(requirement([certificate, key]));
        }
    }
    requirements
}

fn requirement(names: [Option<String>; 2]) -> SecurityRequirement {
    let schemes = names
        .into_iter()
        .flatten()
        .map(|name| (name, StringList::default()));
    SecurityRequirement {
        schemes: schemes.collect(),
    }
}

fn name_of(issuer: &IssuerSettings) -> String {
    format!("jwt-{}", issuer.name)
}

fn scheme_of(issuer: &IssuerSettings) -> Scheme {
    let audience = issuer.audiences.first().map_or("", String::as_str);
    let description = format!("A token of {} for the audience {audience}.", issuer.issuer);
    match &issuer.keys {
        KeySource::Discovery => {
            let base = issuer.issuer.trim_end_matches('/');
            Scheme::OpenIdConnectSecurityScheme(OpenIdConnectSecurityScheme {
                description,
                open_id_connect_url: format!("{base}/.well-known/openid-configuration"),
            })
        }
        KeySource::File(_) | KeySource::Url(_) => Scheme::HttpAuthSecurityScheme(HttpAuthSecurityScheme {
            description,
            scheme: "Bearer".to_owned(),
            bearer_format: "JWT".to_owned(),
        }),
    }
}
