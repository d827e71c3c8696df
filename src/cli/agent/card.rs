//! `a2ad card`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use a2ad::client::ResolvedCard;
use a2ad::client::card::{CardReference, SignatureStatus, Verification, problems, problems_of_document};
use a2ad::signature::{Form, Forms, PublicKeys};
use clap::{Args, Subcommand};

use super::auth;
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
    /// Fetch the extended card, which an agent shows to those whom it knows
    #[arg(long)]
    extended: bool,
    /// Fail with a list of all that is wrong with the card, if anything is
    #[arg(long, conflicts_with = "extended")]
    validate: bool,
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
        let (mut builder, reference) = (session.builder()?, session.reference()?);
        let verification = self.verification()?;
        if let Some(verification) = &verification {
            builder = builder.verification(verification.clone());
        }
        let resolved = session.resolve(&builder, &reference).await?;
        if self.validate {
            validate(&resolved, &reference)?;
        }
        let (card, standing) = match self.extended {
            false => (resolved.card, resolved.signature),
            true => {
                let builder = auth::signed_in(session, builder, &resolved).await?;
                let card = session.client(&builder, resolved).await?.extended_card().await?;
                let standing = SignatureStatus::of(&card, verification.as_ref())?;
                (Arc::new(card), standing)
            }
        };
        let words = words(&standing);
        session.out.result(&*card, |page, card| {
            render::card(page, card, session.out.is_verbose);
            page.field("Signature", &words);
            if self.validate {
                page.field("Valid", "yes");
            }
        })?;
        let is_verified = matches!(standing, SignatureStatus::Verified { .. });
        if self.verify.is_some() && !is_verified {
            session.out.warning(&format!("the card's signature is {words}"));
        } else if !session.is_text() {
            // The card itself, which is all there is on standard output, does not say it.
            session.out.note(&format!("the card's signature is {words}"));
        }
        Ok(())
    }

    fn verification(&self) -> Result<Option<Verification>, Failure> {
        let forms = if self.sdk_form {
            Forms::OrSdks
        } else {
            Forms::Specification
        };
        let keys = self.verify.as_deref().map(keys).transpose()?;
        Ok(keys.map(|keys| Verification {
            keys: Arc::new(keys),
            forms,
            is_required: self.require_signature,
        }))
    }
}

/// Fails with all that is wrong with a card.
fn validate(resolved: &ResolvedCard, reference: &CardReference) -> Result<(), Failure> {
    // In a catalog there are other cards beside it.
    let problems = match reference.entry() {
        None => problems_of_document(resolved.document.as_bytes()),
        Some(_) => problems(&resolved.card),
    };
    if problems.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.description))
        .collect();
    Err(Failure::new(
        Code::CardInvalid,
        format!("the card is not valid: {}", list.join("; ")),
    )
    .with_hint("tell its owner; commands use what is good in it"))
}

/// What is known of who wrote a card, in words.
fn words(standing: &SignatureStatus) -> String {
    match standing {
        SignatureStatus::Verified { kid, form } => {
            let form = match form {
                Form::Specification => "",
                Form::Sdks => ", in the form of the SDKs: empty texts, lists and objects are not covered",
            };
            format!("verified with the key {kid:?}{form}")
        }
        SignatureStatus::Unverifiable { why } => format!("unverifiable: {why}"),
        SignatureStatus::Absent => "absent".to_owned(),
    }
}

fn keys(file: &Path) -> Result<PublicKeys, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::usage(format!("--verify {}: {error}", file.display()));
    let json = std::fs::read(file).map_err(|error| failed(&error))?;
    PublicKeys::parse(&json).map_err(|error| failed(&error))
}
