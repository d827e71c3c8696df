//! `a2ad keys`.

use a2ad::app::{key_source, record_key_change};
use a2ad::audit::Step;
use a2ad::auth::api_key::{Bearer, NewApiKey};
use a2ad::clock::Clock;
use a2ad::config::Config;
use a2ad::repository::ApiKeyRow;
use a2ad::repository::sea_orm::{Access, ApiKeyDesk};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::Outcome;
use super::db::{Which, date, form, open};
use super::output::print;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Keys that are read at once.
const PAGE: u32 = 500;

#[derive(Subcommand)]
pub enum Keys {
    /// Make a key and print it, once; works while a server runs
    Create(Create),
    /// List keys, without what would be needed to use them
    List(List),
    /// End a key at once; a server that has just looked it up takes it for auth.api_keys.cache_ttl_ms more
    Revoke(Revoke),
}

impl Keys {
    pub async fn run(self) -> Outcome {
        match self {
            Self::Create(command) => command.run().await,
            Self::List(command) => command.run().await,
            Self::Revoke(command) => command.run().await,
        }
    }
}

async fn desk(config: &Config) -> Result<ApiKeyDesk, Box<dyn std::error::Error>> {
    let instead = "keys are kept in a database that lasts; name one with --database";
    Ok(open(config, Access::Create, instead).await?.into())
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    which: Which,
    /// Who will use it: the caller is `key:NAME`, whichever of its keys it shows
    name: String,
    /// A scope of the key; may be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The caller's organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Days until it ends, 0: never
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u32,
}

impl Create {
    async fn run(self) -> Outcome {
        check_words("the name", std::slice::from_ref(&self.name))?;
        check_words("a scope", &self.scopes)?;
        check_words("the organisation", self.organisation.as_slice())?;
        let config = self.which.config()?;
        let desk = desk(&config).await?;
        let created_ms = Clock::system().now_ms();
        let bearer = Bearer {
            name: self.name,
            organisation: self.organisation,
            scopes: self.scopes,
            created_ms,
            expires_ms: (self.days > 0).then(|| created_ms + i64::from(self.days) * DAY_MS),
        };
        let key = NewApiKey::make(bearer, &*key_source(&config)?.needed()?)?;
        let command = format!("keys create {}", key.row.id);
        record_key_change(&config, &command, Step::Begins).await?;
        let added = desk.add(&key.row).await;
        desk.close().await?;
        record_key_change(&config, &command, Step::ends(added.is_ok())).await?;
        added?;
        println!("{}", key.text.expose());
        tell!(
            "made the key {} for key:{}, {}; it is shown this once",
            key.row.id,
            key.row.name,
            key.row.expires_ms.map_or_else(
                || "without end".to_owned(),
                |end| format!("good until {}", date(end))
            )
        );
        if !config.auth.api_keys.enabled {
            tell!("note: no key is taken until auth.api_keys.enabled = true");
        }
        Ok(())
    }
}

/// Names and scopes stand in rules, logs and lists: one word each.
fn check_words(what: &str, words: &[String]) -> Outcome {
    let is_word = |text: &String| {
        (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
    };
    match words.iter().find(|word| !is_word(word)) {
        None => Ok(()),
        Some(_) => {
            Err(format!("{what} has 1 to 128 visible ASCII characters without blanks and quotes").into())
        }
    }
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Print one JSON value for each key instead of lines for people
    #[arg(long)]
    json: bool,
}

/// A key as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<String>,
    scopes: Vec<String>,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

impl From<ApiKeyRow> for Listed {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            principal: format!("key:{}", row.name),
            id: row.id,
            organisation: row.organisation,
            scopes: row.scopes,
            created: date(row.created_ms),
            expires: row.expires_ms.map(date),
            revoked: row.revoked_ms.map(date),
        }
    }
}

impl List {
    async fn run(self) -> Outcome {
        let desk = desk(&self.which.config()?).await?;
        let mut after = String::new();
        loop {
            let rows = desk.list(&after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.id);
            for row in rows {
                print(form(self.json), &Listed::from(row), line)?;
            }
        }
        Ok(desk.close().await?)
    }
}

fn line(key: &Listed) -> String {
    let state = match (&key.revoked, &key.expires) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(end)) => format!("until {end}"),
        (None, None) => "without end".to_owned(),
    };
    let organisation = key
        .organisation
        .as_ref()
        .map_or_else(String::new, |name| format!(" of {name}"));
    let scopes = key.scopes.join(" ");
    format!("{}  {}{organisation}  [{scopes}]  {state}", key.id, key.principal)
}

#[derive(Args)]
pub struct Revoke {
    #[command(flatten)]
    which: Which,
    /// The id of the key, as `a2ad keys list` shows it
    id: String,
}

impl Revoke {
    async fn run(self) -> Outcome {
        let config = self.which.config()?;
        let desk = desk(&config).await?;
        let command = format!("keys revoke {}", self.id);
        record_key_change(&config, &command, Step::Begins).await?;
        let revoked = desk.revoke(&self.id, Clock::system().now_ms()).await;
        desk.close().await?;
        record_key_change(&config, &command, Step::ends(revoked == Ok(true))).await?;
        if !revoked? {
            return Err(format!("there is no key {}; `a2ad keys list` shows them", self.id).into());
        }
        tell!("revoked the key {}", self.id);
        Ok(())
    }
}
