//! `a2ad auth login`.
//!
//! Where the token comes from is said by the user, or proposed by the agent's card. A proposal to another origin than the
//! agent's is followed only where a person signs in at a page that they see: a secret goes to no server that only a card named.

use std::sync::Arc;

use a2ad::client::credential::CredentialProvider as _;
use a2ad::client::credential::oauth::{Grant, OAuthEndpoints, OAuthProvider, OAuthSettings, Offer, offered};
use a2ad::client::{Error, ResolvedCard, Target};
use a2ad::config::Secret;
use clap::{Args, ValueEnum};
use url::Url;

use super::store::{Login, LoginStore, Logins};
use super::{Shown, now_ms};
use crate::cli::agent::failure::{Code, Failure};
use crate::cli::agent::options::{Options, secret};
use crate::cli::agent::session::Session;

/// How a token is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Flow {
    /// Somebody signs in on any device, with a code that is shown here
    Device,
    /// This client has a secret of its own
    ClientCredentials,
}

#[derive(Args)]
pub struct LogIn {
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    client: Client,
}

/// Who one is at which authorization server.
#[derive(Args)]
#[command(next_help_heading = "Authorization server (a client's secret belongs into A2ACLI_CLIENT_SECRET)")]
struct Client {
    /// The client's id, as the authorization server knows it
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The client's secret
    #[arg(long, value_name = "SECRET", value_parser = secret, hide_default_value = true)]
    client_secret: Option<Secret<String>>,
    /// How the token is got [default: what the card names; with a secret client-credentials, without one device]
    #[arg(long, value_enum, value_name = "FLOW")]
    flow: Option<Flow>,
    /// The issuer, whose endpoints are found by OpenID Connect discovery [default: what the card names]
    #[arg(long, value_name = "URL", conflicts_with_all = ["token_url", "device_url"])]
    issuer: Option<String>,
    /// Where tokens are given out, instead of an issuer
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// Where device codes are given out, instead of an issuer
    #[arg(long, value_name = "URL", requires = "token_url")]
    device_url: Option<String>,
    /// The scheme of the card to sign in for, where it has several
    #[arg(long, value_name = "NAME")]
    scheme: Option<String>,
    /// A scope of the token; may be given several times [default: what the card demands]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// For whom the token is (RFC 8707), where the server wants to know
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
}

impl LogIn {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let builder = session.builder()?;
        let resolved = session.resolve(&builder, &session.reference()?).await?;
        let origin = origin_of(&resolved)?;
        let settings = self.client.settings(session, &resolved, &origin)?;
        let logins = Logins::of_user()?;
        let login = Login::new(origin.clone(), &settings);
        let grant = settings.grant;
        let store = LoginStore::new(logins.clone(), login, &session.out.secrets);
        let provider = OAuthProvider::new(settings, builder.web().await?, Some(Arc::new(store)));
        match grant {
            Grant::ClientCredentials => {
                provider.credential().await.map_err(refused)?;
            }
            Grant::DeviceCode => sign_in(session, &provider).await?,
        }
        let saved = logins.of(&origin)?;
        let saved = saved.ok_or_else(|| Failure::internal("the token could not be kept"))?;
        debug_assert_ne!(saved.state(now_ms()), "none");
        session
            .out
            .result(&Shown::of(&saved, &logins), |page, shown| shown.describe(page))
    }
}

/// Tells a person where to sign in, and waits for it. It goes to standard error: what is on standard output is data.
async fn sign_in(session: &Session, provider: &OAuthProvider) -> Result<(), Failure> {
    let login = provider.begin_device_login().await.map_err(refused)?;
    let out = &session.out;
    out.note(&format!(
        "Open {} and enter the code {}",
        login.url(),
        login.code()
    ));
    if let Some(whole) = login.whole_url() {
        out.note(&format!("or open {whole}"));
    }
    out.note(&format!("The code is good for {:?}.", login.patience()));
    login.finish().await.map_err(refused)
}

/// What the authorization server does not take is a credential that was rejected, and not one that is missing.
fn refused(error: Error) -> Failure {
    match error {
        Error::TokenRefused(_) | Error::CredentialMissing(_) => {
            Failure::new(Code::AuthFailed, error.to_string())
                .with_hint("check --client-id and A2ACLI_CLIENT_SECRET, and log in again")
        }
        error => error.into(),
    }
}

impl Client {
    fn settings(
        &self,
        session: &Session,
        resolved: &ResolvedCard,
        origin: &str,
    ) -> Result<OAuthSettings, Failure> {
        let offer = self.offer(resolved);
        let named = self.named();
        let is_named = named.is_some();
        let endpoints = named.or_else(|| offer.as_ref().map(|offer| offer.endpoints.clone()));
        let endpoints = endpoints.ok_or_else(|| {
            Failure::new(
                Code::CredentialsMissing,
                "the card names no way to a token that this program can go: neither a device code, nor client \
                 credentials, nor an OpenID Connect issuer",
            )
            .with_hint("name the authorization server with --issuer URL or --token-url URL, or set A2ACLI_BEARER")
        })?;
        let grant = self.grant(offer.as_ref());
        if grant == Grant::ClientCredentials && !is_named && !is_of(&endpoints, origin) {
            return Err(Failure::usage(format!(
                "the card of {origin} says that the secret of this client goes to {}; that is for you to say",
                place(&endpoints)
            ))
            .with_hint(self.again(session, &endpoints)));
        }
        let client_id = self.client_id.clone().ok_or_else(|| {
            Failure::usage("no client is named").with_hint(
                "give --client-id ID, under which this program is known to the authorization server",
            )
        })?;
        if grant == Grant::ClientCredentials && self.client_secret.is_none() {
            return Err(Failure::new(
                Code::CredentialsMissing,
                "client credentials need the client's secret",
            )
            .with_hint("set A2ACLI_CLIENT_SECRET"));
        }
        let scopes = match self.scope.is_empty() {
            true => offer.map(|offer| offer.scopes).unwrap_or_default(),
            false => self.scope.clone(),
        };
        Ok(OAuthSettings {
            client_secret: self.client_secret.clone(),
            scopes,
            resource: self.resource.clone(),
            ..OAuthSettings::new(endpoints, grant, client_id)
        })
    }

    /// What the card proposes, of the kind that was asked for.
    fn offer(&self, resolved: &ResolvedCard) -> Option<Offer> {
        let wanted = |offer: &Offer| {
            let is_scheme = self.scheme.as_ref().is_none_or(|name| *name == offer.scheme);
            let is_flow = match (self.flow, offer.grant) {
                (Some(flow), Some(grant)) => flow.grant() == grant,
                _ => true,
            };
            is_scheme && is_flow
        };
        offered(&resolved.card).into_iter().find(wanted)
    }

    /// What the user says.
    fn named(&self) -> Option<OAuthEndpoints> {
        match (&self.issuer, &self.token_url) {
            (Some(issuer), _) => Some(OAuthEndpoints::Issuer(issuer.clone())),
            (None, Some(token)) => Some(OAuthEndpoints::Urls {
                token: token.clone(),
                device: self.device_url.clone(),
            }),
            (None, None) => None,
        }
    }

    fn grant(&self, offer: Option<&Offer>) -> Grant {
        let given = self.flow.map(Flow::grant);
        given
            .or_else(|| offer.and_then(|offer| offer.grant))
            .unwrap_or(match self.client_secret {
                Some(_) => Grant::ClientCredentials,
                None => Grant::DeviceCode,
            })
    }

    /// The command that says what only the card said.
    fn again(&self, session: &Session, endpoints: &OAuthEndpoints) -> String {
        let option = match endpoints {
            OAuthEndpoints::Issuer(_) => "--issuer",
            OAuthEndpoints::Urls { .. } => "--token-url",
        };
        let id = self.client_id.as_deref().unwrap_or("ID");
        let command = session.command(&[
            "auth",
            "login",
            "--flow",
            "client-credentials",
            "--client-id",
            id,
            option,
            place(endpoints),
        ]);
        format!("if you trust it: {command}")
    }
}

impl Flow {
    fn grant(self) -> Grant {
        match self {
            Self::Device => Grant::DeviceCode,
            Self::ClientCredentials => Grant::ClientCredentials,
        }
    }
}

fn place(endpoints: &OAuthEndpoints) -> &str {
    match endpoints {
        OAuthEndpoints::Issuer(url) => url,
        OAuthEndpoints::Urls { token, .. } => token,
    }
}

/// Whether tokens come from the origin of the agent itself.
fn is_of(endpoints: &OAuthEndpoints, origin: &str) -> bool {
    let place = Url::parse(place(endpoints)).map(|url| url.origin());
    let agent = Url::parse(origin).map(|url| url.origin());
    matches!((place, agent), (Ok(place), Ok(agent)) if place == agent && place.is_tuple())
}

/// The origin of the agent that is named.
pub async fn origin(session: &Session) -> Result<String, Failure> {
    let builder = session.builder()?;
    let reference = session.reference()?;
    // Whoever wants to forget a token need not reach the agent for it.
    if let Some(url) = reference.urls().first().filter(|_| reference.entry().is_none()) {
        return of_url(url);
    }
    origin_of(&session.resolve(&builder, &reference).await?)
}

/// Where the calls go that show the token: the origin that the user named, or that of the card in a file.
pub fn origin_of(resolved: &ResolvedCard) -> Result<String, Failure> {
    if let Some(origin) = &resolved.named_origin {
        return of_url(origin);
    }
    let mut interfaces = resolved.card.supported_interfaces.iter();
    let interface = interfaces.find(|one| Target::binding_of(one).is_some());
    let interface = interface.ok_or_else(|| {
        Failure::new(
            Code::CardInvalid,
            "the card has no interface that this program speaks",
        )
    })?;
    of_url(&interface.url)
}

/// `scheme://host:port`, the port always.
pub fn of_url(url: &str) -> Result<String, Failure> {
    let failed = || Failure::new(Code::CardInvalid, format!("{url:?} is no URL of an agent"));
    let parsed = Url::parse(url).map_err(|_| failed())?;
    let host = parsed.host_str().ok_or_else(failed)?;
    let port = parsed.port_or_known_default().ok_or_else(failed)?;
    Ok(format!("{}://{host}:{port}", parsed.scheme()))
}
