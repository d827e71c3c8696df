//! `a2ad auth`: tokens of authorization servers, kept for the origins of agents (a2a-cli specification 12.2 and 12.3).

mod login;
mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use a2ad::client::credential::Given;
use a2ad::client::credential::oauth::OAuthProvider;
use a2ad::client::{ClientBuilder, ResolvedCard};
use clap::{Args, Subcommand};
use serde::Serialize;

pub use self::store::Logins;
use self::store::{Login, LoginStore};
use super::failure::Failure;
use super::options::Options;
use super::page::Page;
use super::session::Session;

#[derive(Subcommand)]
pub enum Auth {
    /// Sign in at an authorization server, and keep the token for calls to this agent
    Login(Box<login::LogIn>),
    /// Forget the token of this agent
    Logout(Logout),
    /// List what one is signed in to
    Status {
        #[command(flatten)]
        options: Box<Options>,
    },
}

#[derive(Args)]
pub struct Logout {
    #[command(flatten)]
    options: Box<Options>,
    /// Forget the tokens of all agents
    #[arg(long)]
    all: bool,
}

/// A login without its secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    origin: String,
    server: String,
    grant: &'static str,
    client_id: String,
    scopes: Vec<String>,
    token: &'static str,
    file: String,
}

impl Shown {
    fn of(login: &Login, logins: &Logins) -> Self {
        Self {
            origin: login.origin.clone(),
            server: login.server().to_owned(),
            grant: login.grant_name(),
            client_id: login.client_id.clone(),
            scopes: login.scopes.clone(),
            token: login.state(now_ms()),
            file: logins.path(&login.origin).display().to_string(),
        }
    }

    fn describe(&self, page: &mut Page) {
        page.field("Origin", &self.origin);
        page.field("Authorization server", &self.server);
        page.field("Grant", self.grant);
        page.field("Client", &self.client_id);
        page.field_if("Scopes", &self.scopes.join(" "));
        page.field("Token", self.token);
        page.field("File", &self.file);
    }
}

impl Auth {
    pub fn options(&self) -> &Options {
        match self {
            Self::Login(command) => &command.options,
            Self::Logout(command) => &command.options,
            Self::Status { options } => options,
        }
    }

    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Login(command) => command.run(session).await,
            Self::Logout(command) => command.run(session).await,
            Self::Status { .. } => status(session),
        }
    }
}

impl Logout {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let logins = Logins::of_user()?;
        let origins = match self.all {
            true => logins.all()?.into_iter().map(|login| login.origin).collect(),
            false => vec![login::origin(session).await?],
        };
        for origin in &origins {
            if !logins.remove(origin)? {
                session.out.note(&format!("there was no login for {origin}"));
            }
        }
        session.out.result(&serde_json::json!({}), |page, _| {
            for origin in &origins {
                page.field("Logged out", origin);
            }
        })
    }
}

fn status(session: &Session) -> Result<(), Failure> {
    let logins = Logins::of_user()?;
    let all: Vec<Shown> = logins
        .all()?
        .iter()
        .map(|login| Shown::of(login, &logins))
        .collect();
    session.out.result(&all, |page, all| {
        for login in all {
            login.describe(page);
        }
    })
}

/// The builder with the token that one got for this agent, if there is one. It goes to the origin that it was got for, and
/// to no other.
pub async fn signed_in(
    session: &Session,
    builder: ClientBuilder,
    resolved: &ResolvedCard,
) -> Result<ClientBuilder, Failure> {
    let (Ok(logins), Ok(origin)) = (Logins::of_user(), login::origin_of(resolved)) else {
        return Ok(builder);
    };
    let Some(login) = logins.of(&origin)? else {
        return Ok(builder);
    };
    session.is_signed_in.store(true, Ordering::Relaxed);
    let settings = login.settings();
    let store = LoginStore::new(logins, login, &session.out.secrets);
    let provider = OAuthProvider::new(settings, builder.web().await?, Some(Arc::new(store)));
    Ok(builder.credential(Given::for_origins(provider, &[origin])?))
}

/// Whether one is signed in to the agent that is named, as far as that can be told without its card.
pub fn has_login(session: &Session) -> bool {
    let (Ok(logins), Ok(reference)) = (Logins::of_user(), session.reference()) else {
        return false;
    };
    let mut origins = reference
        .urls()
        .into_iter()
        .filter_map(|url| login::of_url(&url).ok());
    origins.any(|origin| logins.path(&origin).is_file())
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// What one is signed in to, without secrets: origin, client and state, and the file that says so.
pub fn listed() -> Vec<(String, String)> {
    let Ok(logins) = Logins::of_user() else {
        return Vec::new();
    };
    let all = logins.all().unwrap_or_default();
    all.iter()
        .map(|login| {
            let value = format!(
                "{} as {} by {}, token {}",
                login.origin,
                login.client_id,
                login.server(),
                login.state(now_ms())
            );
            (value, logins.path(&login.origin).display().to_string())
        })
        .collect()
}
