//! What is wrong with a card: against the schema, and in what it means.

use url::Url;

use crate::client::Target;
use crate::context::Binding;
use crate::error::Violation;
use crate::pb::inspect::{InspectLimits, inspect};
use crate::pb::o_auth_flows::Flow;
use crate::pb::security_scheme::Scheme;
use crate::pb::{AgentCard, AgentInterface, OAuthFlows, SecurityRequirement, json};

/// How many problems are listed.
const PROBLEMS_MAX: usize = 64;

/// What is wrong with a card in JSON, each with the place where it is.
pub fn problems_of_document(json: &[u8]) -> Vec<Violation> {
    match json::from_slice::<AgentCard>(json) {
        Ok(card) => problems(&card),
        Err(error) => vec![Violation {
            field: error.path,
            description: error.message,
        }],
    }
}

/// What is wrong with a card: required fields that are missing, and what can't be used (specification 4.4, 4.5). At most 64
/// problems are listed.
pub fn problems(card: &AgentCard) -> Vec<Violation> {
    let mut found = Found(inspect(card, &InspectLimits::default()).err().unwrap_or_default());
    for (index, interface) in card.supported_interfaces.iter().enumerate() {
        check_interface(&mut found, &format!("supportedInterfaces[{index}]"), interface);
    }
    check_links(&mut found, card);
    check_schemes(&mut found, card);
    check_requirements(
        &mut found,
        card,
        "securityRequirements",
        &card.security_requirements,
    );
    for (index, skill) in card.skills.iter().enumerate() {
        let at = format!("skills[{index}]");
        check_requirements(
            &mut found,
            card,
            &format!("{at}.securityRequirements"),
            &skill.security_requirements,
        );
        let is_again = card.skills[..index].iter().any(|other| other.id == skill.id);
        found.add_if(
            is_again && !skill.id.is_empty(),
            &format!("{at}.id"),
            "is that of another skill too",
        );
    }
    found.0.truncate(PROBLEMS_MAX);
    found.0
}

struct Found(Vec<Violation>);

impl Found {
    fn add_if(&mut self, is_wrong: bool, field: &str, description: &str) {
        if is_wrong && self.0.len() < PROBLEMS_MAX {
            self.0.push(Violation {
                field: field.to_owned(),
                description: description.to_owned(),
            });
        }
    }

    /// A URL that is not there is no business of this.
    fn check_url(&mut self, text: &str, field: &str) {
        let is_web =
            Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        self.add_if(
            !text.is_empty() && !is_web,
            field,
            "is not an absolute URL of https or http",
        );
    }

    /// Secrets go there.
    fn check_secure_url(&mut self, text: &str, field: &str) {
        self.check_url(text, field);
        let is_clear =
            Url::parse(text).is_ok_and(|url| url.scheme() == "http" && !super::reference::is_loopback(&url));
        self.add_if(is_clear, field, "must use https, because secrets go there");
    }
}

fn check_interface(found: &mut Found, at: &str, interface: &AgentInterface) {
    // gRPC's own form of an address is host and port alone.
    let is_bare = Target::binding_of(interface) == Some(Binding::Grpc)
        && !interface.url.is_empty()
        && !interface.url.contains("://");
    let url = match is_bare {
        true => format!("https://{}", interface.url),
        false => interface.url.clone(),
    };
    found.check_url(&url, &format!("{at}.url"));
    let has_user =
        Url::parse(&interface.url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
    found.add_if(has_user, &format!("{at}.url"), "carries credentials");
    let binding = &interface.protocol_binding;
    let is_core = Target::binding_of(interface).is_some_and(|known| known.as_str() == binding);
    found.add_if(
        !binding.is_empty() && !is_core && Url::parse(binding).is_err(),
        &format!("{at}.protocolBinding"),
        "is neither JSONRPC, GRPC or HTTP+JSON nor the URI of a binding of its own",
    );
    let version = &interface.protocol_version;
    let numbers: Vec<&str> = version.split('.').collect();
    let are_numbers = numbers.iter().all(|part| part.parse::<u16>().is_ok());
    found.add_if(
        !version.is_empty() && !(numbers.len() == 2 && are_numbers),
        &format!("{at}.protocolVersion"),
        "is not of the form Major.Minor, like 1.0",
    );
}

fn check_links(found: &mut Found, card: &AgentCard) {
    if let Some(provider) = &card.provider {
        found.check_url(&provider.url, "provider.url");
    }
    found.check_url(
        card.documentation_url.as_deref().unwrap_or_default(),
        "documentationUrl",
    );
    found.check_url(card.icon_url.as_deref().unwrap_or_default(), "iconUrl");
    for (name, modes) in [
        ("defaultInputModes", &card.default_input_modes),
        ("defaultOutputModes", &card.default_output_modes),
    ] {
        for (index, mode) in modes.iter().enumerate() {
            let is_type = mode
                .split_once('/')
                .is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
            found.add_if(
                !is_type,
                &format!("{name}[{index}]"),
                "is not a media type, like text/plain",
            );
        }
    }
}

fn check_schemes(found: &mut Found, card: &AgentCard) {
    for (name, scheme) in &card.security_schemes {
        let at = format!("securitySchemes.{name}");
        match &scheme.scheme {
            None => found.add_if(true, &at, "is of no known kind"),
            Some(Scheme::ApiKeySecurityScheme(key)) => found.add_if(
                !["", "header", "query", "cookie"].contains(&key.location.as_str()),
                &format!("{at}.apiKeySecurityScheme.location"),
                "is not header, query or cookie",
            ),
            Some(Scheme::OpenIdConnectSecurityScheme(oidc)) => found.check_secure_url(
                &oidc.open_id_connect_url,
                &format!("{at}.openIdConnectSecurityScheme.openIdConnectUrl"),
            ),
            Some(Scheme::Oauth2SecurityScheme(oauth)) => {
                let at = format!("{at}.oauth2SecurityScheme");
                found.check_secure_url(&oauth.oauth2_metadata_url, &format!("{at}.oauth2MetadataUrl"));
                if let Some(flows) = &oauth.flows {
                    check_flow(found, &format!("{at}.flows"), flows);
                }
            }
            Some(Scheme::HttpAuthSecurityScheme(_) | Scheme::MtlsSecurityScheme(_)) => {}
        }
    }
}

fn check_flow(found: &mut Found, at: &str, flows: &OAuthFlows) {
    let (name, urls) = match &flows.flow {
        None => return found.add_if(true, at, "has no flow"),
        Some(Flow::AuthorizationCode(flow)) => (
            "authorizationCode",
            vec![
                ("authorizationUrl", &flow.authorization_url),
                ("tokenUrl", &flow.token_url),
                ("refreshUrl", &flow.refresh_url),
            ],
        ),
        Some(Flow::ClientCredentials(flow)) => (
            "clientCredentials",
            vec![("tokenUrl", &flow.token_url), ("refreshUrl", &flow.refresh_url)],
        ),
        Some(Flow::DeviceCode(flow)) => (
            "deviceCode",
            vec![
                ("deviceAuthorizationUrl", &flow.device_authorization_url),
                ("tokenUrl", &flow.token_url),
                ("refreshUrl", &flow.refresh_url),
            ],
        ),
        Some(_) => return found.add_if(true, at, "names a flow that is out of use"),
    };
    for (field, url) in urls {
        found.check_secure_url(url, &format!("{at}.{name}.{field}"));
    }
}

fn check_requirements(found: &mut Found, card: &AgentCard, at: &str, requirements: &[SecurityRequirement]) {
    for (index, requirement) in requirements.iter().enumerate() {
        for name in requirement.schemes.keys() {
            found.add_if(
                !card.security_schemes.contains_key(name),
                &format!("{at}[{index}].schemes.{name}"),
                "names a scheme that securitySchemes does not declare",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"name": "A", "description": "d", "version": "1",
        "supportedInterfaces": [{"url": "https://a.example", "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
        "capabilities": {}, "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
        "securitySchemes": {"s": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
        "securityRequirements": [{"schemes": {"s": {}}}],
        "skills": [{"id": "s", "name": "S", "description": "d", "tags": ["t"]}]}"#;

    fn places(text: &str) -> Vec<String> {
        let found = problems_of_document(text.as_bytes());
        found.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_good_card_has_none() {
        assert_eq!(places(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_problem_is_named_with_its_place() {
        for (good, bad, place) in [
            (r#""name": "A", "#, "", "name"),
            ("https://a.example", "a.example", "supportedInterfaces[0].url"),
            (
                "https://a.example",
                "https://u:p@a.example",
                "supportedInterfaces[0].url",
            ),
            ("GRPC", "grpc", "supportedInterfaces[0].protocolBinding"),
            ("GRPC", "WEB", "supportedInterfaces[0].protocolBinding"),
            (r#""1.0""#, r#""1.0.0""#, "supportedInterfaces[0].protocolVersion"),
            (r#""1.0""#, r#""one""#, "supportedInterfaces[0].protocolVersion"),
            (
                r#""schemes": {"s""#,
                r#""schemes": {"t""#,
                "securityRequirements[0].schemes.t",
            ),
            (
                r#"{"httpAuthSecurityScheme": {"scheme": "Bearer"}}"#,
                "{}",
                "securitySchemes.s",
            ),
            (
                r#"{"httpAuthSecurityScheme": {"scheme": "Bearer"}}"#,
                r#"{"apiKeySecurityScheme": {"location": "body", "name": "k"}}"#,
                "securitySchemes.s.apiKeySecurityScheme.location",
            ),
            (
                r#"{"httpAuthSecurityScheme": {"scheme": "Bearer"}}"#,
                r#"{"openIdConnectSecurityScheme": {"openIdConnectUrl": "http://a.example"}}"#,
                "securitySchemes.s.openIdConnectSecurityScheme.openIdConnectUrl",
            ),
            (
                r#"{"httpAuthSecurityScheme": {"scheme": "Bearer"}}"#,
                r#"{"oauth2SecurityScheme": {"flows": {"clientCredentials": {"tokenUrl": "x", "scopes": {"a": "b"}}}}}"#,
                "securitySchemes.s.oauth2SecurityScheme.flows.clientCredentials.tokenUrl",
            ),
            (
                r#"["text/plain"], "defaultOutput"#,
                r#"["text"], "defaultOutput"#,
                "defaultInputModes[0]",
            ),
            (
                r#""capabilities": {}"#,
                r#""iconUrl": "x", "capabilities": {}"#,
                "iconUrl",
            ),
            (r#""capabilities": {}"#, r#""capabilities": []"#, "capabilities"),
            (r#""id": "s", "#, "", "skills[0].id"),
        ] {
            let text = GOOD.replacen(good, bad, 1);
            assert_ne!(text, GOOD, "{good}");
            assert_eq!(places(&text), [place], "{bad}");
        }
        assert_eq!(places("x").len(), 1);
    }

    #[test]
    fn the_list_ends() {
        let many = vec![r#"{"url": "x"}"#; 100].join(",");
        let text = format!(r#"{{"supportedInterfaces": [{many}]}}"#);
        assert_eq!(places(&text).len(), PROBLEMS_MAX);
    }
}
