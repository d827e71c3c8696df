//! Agent cards.

use a2ad::pb::{AgentCard, SecurityRequirement, SecurityScheme, security_scheme::Scheme};

use crate::cli::agent::page::Page;

/// A card: who the agent is, what it can do, where it is reached, how one is let in.
pub fn card(page: &mut Page, card: &AgentCard, is_verbose: bool) {
    page.field("Name", &card.name);
    page.field("Version", &card.version);
    page.field_if("Description", &card.description);
    if let Some(provider) = &card.provider {
        page.field("Provider", format!("{} {}", provider.organization, provider.url));
    }
    page.field_if("Documentation", card.documentation_url());
    let can = card.capabilities.clone().unwrap_or_default();
    page.field("Streaming", yes(can.streaming()));
    page.field("Push notifications", yes(can.push_notifications()));
    page.field("Extended card", yes(can.extended_agent_card()));
    for extension in &can.extensions {
        let required = if extension.required { " (required)" } else { "" };
        page.field("Extension", format!("{}{required}", extension.uri));
    }
    for interface in &card.supported_interfaces {
        let tenant = match &*interface.tenant {
            "" => String::new(),
            tenant => format!(" tenant {tenant}"),
        };
        page.field(
            "Interface",
            format!(
                "{} {} {}{tenant}",
                interface.protocol_binding, interface.protocol_version, interface.url
            ),
        );
    }
    security(page, card);
    page.field_if("Input modes", &card.default_input_modes.join(", "));
    page.field_if("Output modes", &card.default_output_modes.join(", "));
    for skill in &card.skills {
        page.field("Skill", format!("{}: {}", skill.id, skill.name));
        if is_verbose {
            page.field_if("Skill description", &skill.description);
            page.field_if("Skill tags", &skill.tags.join(", "));
            for example in &skill.examples {
                page.field("Skill example", example);
            }
        }
    }
}

fn security(page: &mut Page, card: &AgentCard) {
    let mut schemes: Vec<_> = card.security_schemes.iter().collect();
    schemes.sort_by_key(|(name, _)| *name);
    for (name, scheme) in schemes {
        page.field("Security scheme", format!("{name}: {}", kind(scheme)));
    }
    for requirement in &card.security_requirements {
        page.field("Security requirement", needs(requirement));
    }
}

fn kind(scheme: &SecurityScheme) -> String {
    match &scheme.scheme {
        Some(Scheme::ApiKeySecurityScheme(key)) => format!("API key in the {} {}", key.location, key.name),
        Some(Scheme::HttpAuthSecurityScheme(http)) => format!("HTTP {}", http.scheme),
        Some(Scheme::Oauth2SecurityScheme(_)) => "OAuth 2".to_owned(),
        Some(Scheme::OpenIdConnectSecurityScheme(open_id)) => {
            format!("OpenID Connect {}", open_id.open_id_connect_url)
        }
        Some(Scheme::MtlsSecurityScheme(_)) => "mutual TLS".to_owned(),
        None => "unknown".to_owned(),
    }
}

/// All schemes of a requirement are needed together.
fn needs(requirement: &SecurityRequirement) -> String {
    let mut names: Vec<String> = requirement
        .schemes
        .iter()
        .map(|(name, scopes)| match scopes.list.as_slice() {
            [] => name.clone(),
            scopes => format!("{name} ({})", scopes.join(" ")),
        })
        .collect();
    names.sort();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(" and "),
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
