//! Fetching small documents: cards and catalogs, kept as their servers allow.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};

use super::caching::{Keeping, keeping};
use super::{CardStore, StoredDocument};
use crate::client::{ClientSettings, Error};
use crate::clock::Clock;
use crate::egress::{self, EgressClient, EgressPolicy};

/// What fetches documents. Clones share its connections and what it keeps.
#[derive(Clone)]
pub(in crate::client) struct Documents {
    /// For what the user names: the client shows its certificate.
    named: EgressClient,
    /// For what is trusted beyond that, without the certificate.
    beside: EgressClient,
    /// For what a stranger's document names.
    linked: EgressClient,
    store: Arc<dyn CardStore>,
    settings: Arc<ClientSettings>,
    clock: Clock,
}

impl Documents {
    /// What the user names is fetched by the first client, what else is trusted by the second, what strangers name by the
    /// third.
    pub(in crate::client) fn new(
        [named, beside, linked]: [EgressClient; 3],
        store: Arc<dyn CardStore>,
        settings: Arc<ClientSettings>,
    ) -> Self {
        Self {
            named,
            beside,
            linked,
            store,
            settings,
            clock: Clock::system(),
        }
    }

    /// The policy of what strangers name.
    pub(super) fn linked_policy(&self) -> &EgressPolicy {
        self.linked.policy()
    }

    /// The policy of what the user names.
    pub(super) fn named_policy(&self) -> &EgressPolicy {
        self.named.policy()
    }

    /// The limits.
    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// A document that the user named; `None` where there is none.
    pub(super) async fn named(&self, url: &str) -> Result<Option<Arc<StoredDocument>>, Error> {
        self.get(&self.named, url).await
    }

    /// A document that a trusted document named.
    pub(super) async fn beside(&self, url: &str) -> Result<Option<Arc<StoredDocument>>, Error> {
        self.get(&self.beside, url).await
    }

    /// A document that another document named, under the policy for those.
    pub(super) async fn linked(&self, url: &str) -> Result<Option<Arc<StoredDocument>>, Error> {
        self.get(&self.linked, url).await
    }

    async fn get(&self, client: &EgressClient, url: &str) -> Result<Option<Arc<StoredDocument>>, Error> {
        // Checked before the store is asked: it holds what was fetched under any policy.
        client
            .policy()
            .check(url)
            .map_err(|refusal| Error::Card(format!("{url}: the URL {refusal}")))?;
        let known = self.store.get(url).await;
        let now_ms = self.clock.now_ms();
        let fresh_max_ms = millis(self.settings.card_fresh_max);
        if let Some(known) = &known
            // No longer than is allowed now, whatever was allowed when it was kept.
            && (now_ms..=now_ms.saturating_add(fresh_max_ms)).contains(&known.fresh_until_ms)
        {
            return Ok(Some(known.clone()));
        }
        let response = self.ask(client, url, known.as_deref()).await?;
        self.taken(url, response, known, now_ms).await
    }

    async fn ask(
        &self,
        client: &EgressClient,
        url: &str,
        known: Option<&StoredDocument>,
    ) -> Result<Response<Bytes>, Error> {
        let request = Request::get(url).header(
            header::ACCEPT,
            "application/a2a+json, application/json, application/linkset+json",
        );
        let mut request = request
            .body(Bytes::new())
            .map_err(|error| Error::Card(format!("{url}: {error}")))?;
        let tags = [
            (header::IF_NONE_MATCH, known.and_then(|known| known.etag.as_ref())),
            (
                header::IF_MODIFIED_SINCE,
                known.and_then(|known| known.last_modified.as_ref()),
            ),
        ];
        for (name, value) in tags {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                request.headers_mut().insert(name, value);
            }
        }
        let patience = self.settings.card_timeout;
        match tokio::time::timeout(patience, client.send(request)).await {
            Ok(answered) => answered.map_err(|error| failed(url, &error)),
            Err(_) => Err(Error::Unreachable {
                address: url.to_owned(),
                cause: format!("no answer within {patience:?}"),
            }),
        }
    }

    async fn taken(
        &self,
        url: &str,
        response: Response<Bytes>,
        known: Option<Arc<StoredDocument>>,
        now_ms: i64,
    ) -> Result<Option<Arc<StoredDocument>>, Error> {
        let (head, body) = response.into_parts();
        match (head.status, known) {
            (StatusCode::OK, _) => {
                let text = String::from_utf8(body.into())
                    .map_err(|_| Error::Card(format!("{url}: it is no text in UTF-8")))?;
                Ok(Some(self.keep(url, text, None, &head.headers, now_ms).await))
            }
            (StatusCode::NOT_MODIFIED, Some(known)) => {
                let text = known.text.clone();
                Ok(Some(
                    self.keep(url, text, Some(&known), &head.headers, now_ms).await,
                ))
            }
            (StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED, _) => {
                self.store.remove(url).await;
                Ok(None)
            }
            (status, _) => Err(refused(url, status, &head.headers)),
        }
    }

    /// Keeps what came, with the tags of `known` where an answer that it is unchanged repeats none.
    async fn keep(
        &self,
        url: &str,
        text: String,
        known: Option<&StoredDocument>,
        headers: &HeaderMap,
        now_ms: i64,
    ) -> Arc<StoredDocument> {
        let tag = |name: header::HeaderName, before: Option<&String>| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned).or_else(|| before.cloned())
        };
        let keeping = keeping(headers, self.settings.card_fresh_max);
        let fresh = match keeping {
            Keeping::For(fresh) => fresh,
            Keeping::Never => Duration::ZERO,
        };
        let document = Arc::new(StoredDocument {
            text,
            etag: tag(header::ETAG, known.and_then(|known| known.etag.as_ref())),
            last_modified: tag(
                header::LAST_MODIFIED,
                known.and_then(|known| known.last_modified.as_ref()),
            ),
            // A document that is fresh for no time at all is not fresh in the millisecond in which it came.
            fresh_until_ms: now_ms.saturating_add(millis(fresh)).saturating_sub(1),
        });
        match keeping {
            Keeping::For(_) => self.store.put(url, document.clone()).await,
            Keeping::Never => self.store.remove(url).await,
        }
        document
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// An answer that is neither a document nor the news that there is none.
fn refused(url: &str, status: StatusCode, headers: &HeaderMap) -> Error {
    if status.is_redirection() {
        let place = headers
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let place: String = place.unwrap_or("nowhere").chars().take(200).collect();
        return Error::CardNotFound(format!(
            "{url} redirects to {place:?}, which is not followed; name that place if it is the right one"
        ));
    }
    Error::CardNotFound(format!("{url} answered with status {status}"))
}

pub(in crate::client) fn failed(url: &str, error: &egress::Error) -> Error {
    match error {
        egress::Error::Refused(refusal) => Error::Card(format!("{url}: the URL {refusal}")),
        egress::Error::TooLarge(limit) => Error::TooLarge {
            what: "the document",
            limit: *limit,
        },
        other => Error::Unreachable {
            address: url.to_owned(),
            cause: other.to_string(),
        },
    }
}
