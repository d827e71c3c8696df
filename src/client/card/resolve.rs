//! From a reference to a card.

use std::path::Path;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use url::Url;

use super::catalog::{Catalog, Place};
use super::{CardReference, CardSource, Documents, SignatureStatus, Verification, legacy};
use crate::client::Error;
use crate::pb::{AgentCard, json};

/// Finds cards. Clones share what was fetched.
#[derive(Clone)]
pub struct Resolver {
    documents: Documents,
    verification: Option<Verification>,
}

/// A card, and what is known of it.
#[derive(Clone, Debug)]
pub struct ResolvedCard {
    /// The card.
    pub card: Arc<AgentCard>,
    /// Where it came from.
    pub source: CardSource,
    /// The origin that the user named, for which credentials are given; `None` for a file and the cards in it.
    pub named_origin: Option<String>,
    /// Whether it came from this machine or from a network of one's own ([`is_inner`](crate::egress::is_inner)).
    pub is_inner: bool,
    /// Whether its owner wrote it.
    pub signature: SignatureStatus,
    /// The document that it was read from: the card itself, or the catalog that it stood in.
    pub document: Arc<str>,
}

impl ResolvedCard {
    /// Whether it is the card of a version before 1.0, which can be shown and not spoken to.
    pub fn is_legacy(&self) -> bool {
        let interfaces = &self.card.supported_interfaces;
        !interfaces.is_empty()
            && interfaces
                .iter()
                .all(|one| one.protocol_version.starts_with("0."))
    }
}

impl Resolver {
    pub(in crate::client) fn new(documents: Documents, verification: Option<Verification>) -> Self {
        Self {
            documents,
            verification,
        }
    }

    /// The card that a reference names.
    ///
    /// # Errors
    /// [`Error::CardNotFound`] when there is none, [`Error::Card`] when it is not one that can be read or a good signature is
    /// required and missing, [`Error::Unreachable`] and [`Error::TooLarge`].
    pub async fn resolve(&self, reference: &CardReference) -> Result<ResolvedCard, Error> {
        let (text, source, is_inner) = self.document(reference).await?;
        match Catalog::read(&text, self.documents.settings().catalog_entries_max)? {
            Some(catalog) => match catalog.find(reference.entry())? {
                Place::Inline(card) => self.judged(*card, source, is_inner, text.into()),
                Place::Url(url) => {
                    let mut found = self.listed(&source, is_inner, &url).await?;
                    // A stranger's catalog does not say whom secrets are for. A file is the user's word.
                    found.named_origin = source.origin().or(found.named_origin);
                    Ok(found)
                }
            },
            None if reference.entry().is_some() => Err(Error::Card(format!(
                "{source} is no catalog, so that no entry of it can be meant; leave out what is behind the #"
            ))),
            None => self.judged(read(&text, &source)?, source, is_inner, text.into()),
        }
    }

    /// What the first place that has something holds, and whether that is at an address that is not public.
    async fn document(&self, reference: &CardReference) -> Result<(String, CardSource, bool), Error> {
        if let Some(path) = reference.as_file() {
            let text = self.file(path).await?;
            return Ok((text, CardSource::File(path.to_owned()), true));
        }
        let urls = reference.urls();
        for url in &urls {
            let found = match self.documents.named(url).await {
                // What is no place for cards may answer anything; the well-known paths behind it may be ones.
                Err(Error::CardNotFound(_)) if !url.contains("/.well-known/") && urls.len() > 1 => None,
                answered => answered?,
            };
            if let Some(found) = found {
                // The page of somebody's site stands where a card might.
                let is_last = urls.last() == Some(url);
                if is_last || found.text.trim_start().starts_with(['{', '[']) {
                    let source = CardSource::Url(url.clone());
                    return Ok((found.text.clone(), source, found.is_inner));
                }
            }
        }
        Err(Error::CardNotFound(format!(
            "there is nothing at {}",
            urls.join(", nor at ")
        )))
    }

    async fn file(&self, path: &Path) -> Result<String, Error> {
        let limit = self.documents.settings().card_bytes_max;
        let failed = |error: std::io::Error| Error::CardNotFound(format!("{}: {error}", path.display()));
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let mut text = String::new();
        // One byte more than is taken, to see that there is more.
        let mut bounded = file.take(limit as u64 + 1);
        bounded.read_to_string(&mut text).await.map_err(failed)?;
        if text.len() > limit {
            return Err(Error::TooLarge {
                what: "the agent card",
                limit,
            });
        }
        Ok(text)
    }

    /// The card that a catalog names. What a stranger's catalog names is fetched under the policy for strangers.
    async fn listed(&self, catalog: &CardSource, is_inner: bool, url: &str) -> Result<ResolvedCard, Error> {
        let whole = match catalog {
            CardSource::Url(base) => Url::parse(base).and_then(|base| base.join(url)),
            CardSource::File(_) => Url::parse(url),
        };
        let shown: String = url.chars().take(200).collect();
        let url = whole
            .map_err(|error| Error::Card(format!("the catalog {catalog} names the card {shown:?}: {error}")))?
            .to_string();
        let (policy, _) = catalog.policy(&url, is_inner, self.documents.policies())?;
        let source = CardSource::Url(url.clone());
        let is_named = source.origin() == catalog.origin();
        let found = self.documents.linked(&url, policy, is_named).await?;
        let Some(found) = found else {
            return Err(Error::CardNotFound(format!(
                "there is nothing at {url}, where the catalog {catalog} says it is"
            )));
        };
        let card = read(&found.text, &source)?;
        self.judged(card, source, found.is_inner, found.text.as_str().into())
    }

    fn judged(
        &self,
        card: AgentCard,
        source: CardSource,
        is_inner: bool,
        document: Arc<str>,
    ) -> Result<ResolvedCard, Error> {
        let signature = SignatureStatus::of(&card, self.verification.as_ref())?;
        Ok(ResolvedCard {
            named_origin: source.origin(),
            card: Arc::new(card),
            source,
            is_inner,
            signature,
            document,
        })
    }
}

/// The card in a document, of this version or an older one.
fn read(text: &str, source: &CardSource) -> Result<AgentCard, Error> {
    let card: Result<AgentCard, _> = json::from_str(text);
    match card {
        Ok(card) if !card.supported_interfaces.is_empty() => Ok(card),
        Ok(card) => match legacy::read(text) {
            Some(old) => Ok(old),
            None if card.name.is_empty() => Err(Error::Card(format!(
                "{source} holds JSON that is no agent card: it has neither a name nor supportedInterfaces"
            ))),
            None => Ok(card),
        },
        // Other members of an old card have another form, too.
        Err(error) => legacy::read(text).ok_or_else(|| Error::Card(format!("{source}: {error}"))),
    }
}
