//! `[auth]` and `[access]` of a configuration, as the rooms want to be told. Validation has seen to it that every text is
//! of its form.

use std::time::Duration;

use crate::access::{Grant, Members, Names, Operations, Policy, Role, Space};
use crate::auth::jwt::algorithm;
use crate::auth::{ApiKeySettings, AuthSettings, Combination, IssuerSettings, KeySource};
use crate::config::{self, Config, DefaultAccess};
use crate::egress::EgressPolicy;

/// How callers say who they are.
pub(super) fn settings(config: &Config) -> AuthSettings {
    let auth = &config.auth;
    let ms = Duration::from_millis;
    AuthSettings {
        certificates: config.takes_certificates(),
        trust_domain_is_organisation: auth.certificates.organisation
            == config::CertificateOrganisation::TrustDomain,
        issuers: auth.issuers.iter().map(|(name, one)| issuer(name, one)).collect(),
        api_keys: auth.api_keys.enabled.then(|| ApiKeySettings {
            cache_ttl: ms(auth.api_keys.cache_ttl_ms),
        }),
        accept: accept(config),
        policy: policy(config),
        clock_leeway: Duration::from_secs(auth.clock_leeway_s),
        token_bytes_max: auth.token_bytes_max,
        cache_entries_max: auth.cache_entries_max,
        cache_ttl: ms(auth.cache_ttl_ms),
        keys_timeout: ms(auth.keys_timeout_ms),
        reload_interval: ms(auth.reload_interval_ms),
    }
}

/// The combinations that are enough: those that are named, or any one credential that is configured.
fn accept(config: &Config) -> Vec<Combination> {
    let auth = &config.auth;
    if !auth.accept.is_empty() {
        return auth.accept.iter().filter_map(|word| combination(word)).collect();
    }
    let any = [
        (config.takes_certificates(), Combination::Certificate),
        (!auth.issuers.is_empty(), Combination::Jwt),
        (auth.api_keys.enabled, Combination::ApiKey),
    ];
    any.into_iter()
        .filter_map(|(is_on, one)| is_on.then_some(one))
        .collect()
}

fn combination(word: &str) -> Option<Combination> {
    match word {
        "certificate" => Some(Combination::Certificate),
        "jwt" => Some(Combination::Jwt),
        "api-key" => Some(Combination::ApiKey),
        "certificate+jwt" => Some(Combination::CertificateAndJwt),
        "certificate+api-key" => Some(Combination::CertificateAndApiKey),
        _ => None,
    }
}

fn issuer(name: &str, issuer: &config::Issuer) -> IssuerSettings {
    let ms = Duration::from_millis;
    IssuerSettings {
        name: name.to_owned(),
        issuer: issuer.issuer.clone(),
        audiences: issuer.audiences.clone(),
        algorithms: issuer
            .algorithms
            .iter()
            .filter_map(|name| algorithm(name))
            .collect(),
        keys: match (&issuer.keys_file, &issuer.keys_url) {
            (Some(file), _) => KeySource::File(file.clone()),
            (None, Some(url)) => KeySource::Url(url.clone()),
            (None, None) => KeySource::Discovery,
        },
        egress: EgressPolicy {
            allow_loopback: issuer.allow_loopback,
            allowed_networks: issuer
                .allowed_networks
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            ..EgressPolicy::default()
        },
        principal_claim: issuer.principal_claim.clone(),
        scopes_claim: issuer.scopes_claim.clone(),
        organisation_claim: issuer.organisation_claim.clone(),
        organisations: (!issuer.organisations.is_empty()).then(|| Names::new(&issuer.organisations)),
        organisation: issuer.organisation.clone(),
        refresh_interval: ms(issuer.refresh_interval_ms),
        refresh_pause: ms(issuer.refresh_pause_ms),
        stale_max: ms(issuer.stale_ms_max),
    }
}

fn policy(config: &Config) -> Policy {
    let access = &config.access;
    Policy {
        roles: access.roles.values().map(role).collect(),
        spaces: access
            .spaces
            .iter()
            .map(|(name, space)| Space {
                name: name.clone(),
                principals: Names::new(&space.principals),
                claim: space.claim.clone(),
            })
            .collect(),
        allow_by_default: access.default == DefaultAccess::Allow,
        organisation_required: access.organisation_required,
    }
}

fn role(role: &config::AccessRole) -> Role {
    let operations = role
        .operations
        .iter()
        .filter_map(|word| Operations::named(word))
        .fold(Operations::default(), Operations::and);
    let claim = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Role {
        members: Members {
            principals: (!role.principals.is_empty()).then(|| Names::new(&role.principals)),
            scopes: role.scopes.clone(),
            claims: role.claims.iter().filter_map(claim).collect(),
        },
        grant: Grant {
            agents: Names::new(&role.agents),
            operations,
            skills: Names::new(&role.skills),
        },
    }
}
