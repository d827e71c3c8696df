//! Which credentials go with the calls to one interface, and where they stand.

use std::sync::Arc;

use http::{HeaderName, Uri, header};

use super::given::is_this_machine;
use super::placement::Placement;
use super::{CredentialKind, CredentialProvider, Given, Origins};
use crate::client::{Call, Error, Target};
use crate::pb::security_scheme::Scheme;
use crate::pb::{AgentCard, SecurityRequirement};

/// What the user shows, and under which conditions.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Showing<'a> {
    /// All that there is.
    pub(in crate::client) given: &'a [Given],
    /// The origin that the user named; `None` for a file.
    pub(in crate::client) named: Option<&'a str>,
    /// Origins that secrets among a caller's own parameters may go to beside that one.
    pub(in crate::client) parameter_origins: &'a Origins,
    /// Headers that a card may ask for beside the usual ones.
    pub(in crate::client) allowed_headers: &'a [HeaderName],
    /// Whether a client certificate is shown to this interface.
    pub(in crate::client) has_certificate: bool,
}

/// Headers that hold secrets, whoever filled them in.
const SECRET_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
];

/// One credential and its place.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    pub(super) provider: Arc<dyn CredentialProvider>,
    pub(super) placement: Placement,
    /// Whether a scheme of the card says so; without a card there is nobody who could.
    pub(super) is_advertised: bool,
}

/// What goes with each call to one interface.
#[derive(Clone, Debug)]
pub(in crate::client) struct Plan {
    /// What is put into each call.
    pub(super) attachments: Vec<Attachment>,
    /// Why the agent's demands are not met, and the headers by which a caller may meet them in a call of its own.
    missing: Option<(String, Vec<HeaderName>)>,
    /// Why no secret goes there, those that a caller puts into a call of its own included.
    closed: Option<String>,
}

impl Plan {
    /// The plan for one interface.
    ///
    /// # Errors
    /// [`Error::Credential`] when what the user gave must not go there, or can't.
    pub(in crate::client) fn of(target: &Target, showing: Showing<'_>) -> Result<Self, Error> {
        let closed = closed(&target.url, showing);
        if let Some(why) = closed.as_ref().filter(|_| !showing.given.is_empty()) {
            return Err(Error::Credential(why.clone()));
        }
        let usable: Vec<&Given> = showing
            .given
            .iter()
            .filter(|given| given.is_for(&target.url, showing.named))
            .collect();
        let card = target.card.as_deref();
        // A card without any scheme takes nothing; what a header is for is the user's to know otherwise.
        let has_schemes = card.is_none_or(|card| !card.security_schemes.is_empty());
        let mut plan = Self {
            attachments: usable
                .iter()
                .filter_map(|given| own_header(given, has_schemes))
                .collect(),
            missing: None,
            closed,
        };
        let requirements = card.map_or(&[][..], |card| &card.security_requirements);
        if requirements
            .iter()
            .all(|requirement| requirement.schemes.is_empty())
        {
            plan.attach_unasked(card, &usable, target, showing);
            return Ok(plan);
        }
        // One that demands nothing is met last: who has something to show wants to be known.
        let (open, demanding): (Vec<_>, Vec<_>) = requirements.iter().partition(|one| one.schemes.is_empty());
        let mut refused = None;
        for requirement in demanding {
            match met(requirement, card, &usable, target, showing) {
                Ok(Some(attachments)) => {
                    plan.attachments.extend(attachments);
                    return Ok(plan);
                }
                Ok(None) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            _ if !open.is_empty() => Ok(plan),
            Some(error) => Err(error),
            None => {
                plan.missing = Some((
                    said(card, requirements, target, showing),
                    headers(card, requirements),
                ));
                Ok(plan)
            }
        }
    }

    /// Whether a call can go out as it is.
    ///
    /// # Errors
    /// [`Error::CredentialMissing`] when the card asks for what there is not, unless the caller has put a header in that
    /// may be it; [`Error::Credential`] when the caller has put a secret in that must not go there.
    pub(super) fn check(&self, call: &Call) -> Result<(), Error> {
        let mut parameters = call.parameters.iter();
        if let Some(why) = &self.closed
            && (!call.query.is_empty()
                || parameters.any(|(name, value)| value.is_sensitive() || SECRET_HEADERS.contains(name)))
        {
            return Err(Error::Credential(why.clone()));
        }
        match &self.missing {
            Some((why, headers)) if !headers.iter().any(|name| call.parameters.contains_key(name)) => {
                Err(Error::CredentialMissing(why.clone()))
            }
            _ => Ok(()),
        }
    }

    /// The agent demands nothing that has to be met: what the user gave is shown in the form that a scheme of the card has,
    /// or else in its usual one.
    fn attach_unasked(
        &mut self,
        card: Option<&AgentCard>,
        usable: &[&Given],
        target: &Target,
        showing: Showing<'_>,
    ) {
        for given in usable {
            let kind = given.provider.kind();
            if matches!(kind, CredentialKind::Header(_)) {
                continue;
            }
            let schemes = card.into_iter().flat_map(|card| card.security_schemes.values());
            let mut schemes = schemes.filter_map(|scheme| scheme.scheme.as_ref());
            // Where a scheme that nobody has to meet asks for something odd, the usual form does.
            let placement = schemes.find_map(|scheme| {
                Placement::of(&kind, scheme, showing.allowed_headers, target.binding).unwrap_or(None)
            });
            self.attachments.push(Attachment {
                provider: given.provider.clone(),
                is_advertised: placement.is_some() || card.is_none(),
                placement: placement.unwrap_or_else(|| Placement::Header(kind.usual_header())),
            });
        }
    }
}

/// The user's own header, which is always shown.
fn own_header(given: &Given, is_advertised: bool) -> Option<Attachment> {
    match given.provider.kind() {
        CredentialKind::Header(name) => Some(Attachment {
            provider: given.provider.clone(),
            placement: Placement::Header(name),
            is_advertised,
        }),
        _ => None,
    }
}

/// Why no secret goes to this interface; `None` if some may.
fn closed(url: &Uri, showing: Showing<'_>) -> Option<String> {
    let origin = crate::client::card::origin_of(url);
    let is_fit = |given: &Given| given.is_for(url, showing.named);
    let is_meant = Given::is_named(url, showing.named) || showing.parameter_origins.contains(url);
    let is_open = is_meant && showing.given.is_empty();
    if !is_open && !showing.given.iter().any(is_fit) {
        return Some(format!(
            "the agent's card leads to {origin}, and the credential was given for {}; if that is the agent's, give it for \
             {origin}",
            showing.named.unwrap_or("other origins")
        ));
    }
    let is_clear = url.scheme_str() != Some("https") && !is_this_machine(url);
    is_clear.then(|| format!("it would go to another machine in the clear ({origin}); use an https address"))
}

/// What meets a requirement; `None` when nothing meets one of its schemes.
fn met(
    requirement: &SecurityRequirement,
    card: Option<&AgentCard>,
    usable: &[&Given],
    target: &Target,
    showing: Showing<'_>,
) -> Result<Option<Vec<Attachment>>, Error> {
    let mut attachments = Vec::new();
    for name in requirement.schemes.keys() {
        let scheme = card.and_then(|card| card.security_schemes.get(name)?.scheme.as_ref());
        match scheme {
            Some(Scheme::MtlsSecurityScheme(_)) if showing.has_certificate => {}
            Some(scheme) => {
                let mut placed = None;
                for given in usable {
                    let kind = given.provider.kind();
                    let placement = Placement::of(&kind, scheme, showing.allowed_headers, target.binding)?;
                    placed = placed.or(placement.map(|placement| Attachment {
                        provider: given.provider.clone(),
                        placement,
                        is_advertised: true,
                    }));
                }
                match placed {
                    Some(attachment) => attachments.push(attachment),
                    None => return Ok(None),
                }
            }
            None => return Ok(None),
        }
    }
    Ok(Some(attachments))
}

/// What a caller needs to have.
fn said(
    card: Option<&AgentCard>,
    requirements: &[SecurityRequirement],
    target: &Target,
    showing: Showing<'_>,
) -> String {
    let alternatives: Vec<String> = requirements
        .iter()
        .take(8)
        .map(|requirement| {
            let names = requirement.schemes.keys();
            let texts: Vec<String> = names
                .map(|name| {
                    let scheme = card.and_then(|card| card.security_schemes.get(name)?.scheme.as_ref());
                    let shown: String = name.chars().take(60).collect();
                    format!("{} for its scheme {shown:?}", wanted(scheme))
                })
                .collect();
            texts.join(" and ")
        })
        .collect();
    let have = if showing.given.is_empty() {
        ""
    } else {
        ", and what was given is none of it"
    };
    format!(
        "the agent at {} asks for {}{have}",
        target.origin(),
        alternatives.join(", or for ")
    )
}

fn wanted(scheme: Option<&Scheme>) -> String {
    match scheme {
        Some(Scheme::HttpAuthSecurityScheme(http)) if http.scheme.eq_ignore_ascii_case("basic") => {
            "a name and a password".to_owned()
        }
        Some(Scheme::HttpAuthSecurityScheme(http)) if http.scheme.eq_ignore_ascii_case("bearer") => {
            "a token (--bearer)".to_owned()
        }
        Some(Scheme::HttpAuthSecurityScheme(http)) => {
            let shown: String = http.scheme.chars().take(40).collect();
            format!("HTTP {shown:?}, which this client does not know")
        }
        Some(Scheme::Oauth2SecurityScheme(_) | Scheme::OpenIdConnectSecurityScheme(_)) => {
            "a token (auth login, or --bearer)".to_owned()
        }
        Some(Scheme::ApiKeySecurityScheme(_)) => "an API key (--api-key)".to_owned(),
        Some(Scheme::MtlsSecurityScheme(_)) => "a client certificate (--cert and --key) by https".to_owned(),
        None => "something that its card does not declare".to_owned(),
    }
}

/// The headers that the schemes of the requirements are about.
fn headers(card: Option<&AgentCard>, requirements: &[SecurityRequirement]) -> Vec<HeaderName> {
    let names = requirements
        .iter()
        .flat_map(|requirement| requirement.schemes.keys());
    let schemes = names.filter_map(|name| card?.security_schemes.get(name)?.scheme.as_ref());
    schemes
        .filter_map(|scheme| match scheme {
            Scheme::ApiKeySecurityScheme(key) if key.location == "header" => {
                HeaderName::try_from(&key.name).ok()
            }
            Scheme::ApiKeySecurityScheme(key) if key.location == "cookie" => Some(header::COOKIE),
            Scheme::ApiKeySecurityScheme(_) | Scheme::MtlsSecurityScheme(_) => None,
            _ => Some(header::AUTHORIZATION),
        })
        .collect()
}
