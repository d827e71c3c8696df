//! `a2ad config show`: what holds, and why.

use a2ad::config::MASK;
use clap::Args;
use serde::Serialize;

use super::settings::SETTINGS;
use crate::cli::agent::auth;
use crate::cli::agent::failure::Failure;
use crate::cli::agent::options::Options;
use crate::cli::agent::session::Session;

/// Show the settings of the commands to agents, and where each comes from
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    pub options: Options,
}

/// A setting as it holds.
#[derive(Serialize)]
struct Effective {
    name: &'static str,
    value: Option<String>,
    source: String,
}

impl Show {
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let effective = |setting: &super::Setting| {
            let (value, source) = session.options.given.effective(setting, &session.sources);
            let shown = |value: String| if setting.is_secret { MASK.to_owned() } else { value };
            Effective {
                name: setting.name,
                value: value.map(shown),
                source: source.to_string(),
            }
        };
        let logins = auth::listed().into_iter().map(|(value, file)| Effective {
            name: "login",
            value: Some(value),
            source: format!("file {file}"),
        });
        let settings: Vec<Effective> = SETTINGS.iter().map(effective).chain(logins).collect();
        session.out.result(&settings, |page, settings| {
            for setting in settings {
                let value = setting.value.as_deref().unwrap_or("-");
                page.field(setting.name, format!("{value} ({})", setting.source));
            }
        })
    }
}
