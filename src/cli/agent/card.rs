//! `a2ad card`.

use std::path::{Path, PathBuf};

use a2ad::pb::AgentCard;
use a2ad::signature::{self, Form, Forms, PublicKeys};
use clap::{Args, Subcommand};

use super::failure::{Code, Failure};
use super::options::Options;
use super::render;
use super::session::Session;

#[derive(Subcommand)]
pub enum Card {
    /// Fetch a card and show it
    Get(Box<Get>),
}

#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    options: Options,
    /// Verify the card's signatures with the keys of this JWK set
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// Take signatures in the form of the SDKs too, which does not cover empty texts, lists and objects
    #[arg(long, requires = "verify")]
    sdk_form: bool,
    /// Fail unless a signature is verified
    #[arg(long, requires = "verify")]
    require_signature: bool,
}

impl Card {
    pub fn options(&self) -> &Options {
        match self {
            Self::Get(command) => &command.options,
        }
    }

    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Get(command) => command.run(session).await,
        }
    }
}

impl Get {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let standing = self.signature(&agent.card)?;
        let is_verified = matches!(standing, Standing::Verified(_));
        let words = standing.words();
        if self.require_signature && !is_verified {
            let message = format!("the card's signature is {words}");
            return Err(Failure::new(Code::CardInvalid, message));
        }
        let is_verbose = session.out.is_verbose;
        session.out.result(&*agent.card, |page, card| {
            render::card(page, card, is_verbose);
            page.field("Signature", &words);
        })?;
        if self.verify.is_some() && !is_verified {
            session.out.warning(&format!("the card's signature is {words}"));
        } else if self.verify.is_some() && !session.is_text() {
            session.out.note(&format!("the card's signature is {words}"));
        }
        Ok(())
    }

    fn signature(&self, card: &AgentCard) -> Result<Standing, Failure> {
        let Some(file) = &self.verify else {
            return Ok(match card.signatures.is_empty() {
                true => Standing::Absent,
                false => Standing::Unverifiable("no keys are named; see --verify".into()),
            });
        };
        let keys = keys(file)?;
        if card.signatures.is_empty() {
            return Ok(Standing::Absent);
        }
        let forms = if self.sdk_form {
            Forms::OrSdks
        } else {
            Forms::Specification
        };
        Ok(match signature::verify(card, &keys, forms) {
            Ok(verified) => {
                let form = match verified.form {
                    Form::Specification => "",
                    Form::Sdks => ", in the form of the SDKs: empty texts, lists and objects are not covered",
                };
                Standing::Verified(format!("{:?}{form}", verified.kid))
            }
            Err(error) => Standing::Unverifiable(error.to_string()),
        })
    }
}

/// What is known of who wrote a card.
enum Standing {
    Verified(String),
    Unverifiable(String),
    Absent,
}

impl Standing {
    fn words(&self) -> String {
        match self {
            Self::Verified(key) => format!("verified with the key {key}"),
            Self::Unverifiable(why) => format!("unverifiable: {why}"),
            Self::Absent => "absent".to_owned(),
        }
    }
}

fn keys(file: &Path) -> Result<PublicKeys, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::usage(format!("--verify {}: {error}", file.display()));
    let json = std::fs::read(file).map_err(|error| failed(&error))?;
    PublicKeys::parse(&json).map_err(|error| failed(&error))
}
