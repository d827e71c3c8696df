//! Fetching small documents: cards and catalogs, kept as their servers allow.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode, header};

use super::caching::{Keeping, keeping};
use super::{CardStore, Policies, StoredDocument};
use crate::client::credential::Given;
use crate::client::{ClientSettings, Error};
use crate::clock::Clock;
use crate::egress::{self, Egress, EgressClient, EgressPolicy, Peer, is_inner};

/// What fetches documents. Clones share its connections and what it keeps.
#[derive(Clone)]
pub(in crate::client) struct Documents {
    /// For what the user names: the client shows its certificate.
    named: EgressClient,
    /// The ways out with the client's certificate and without.
    ways: [Egress; 2],
    policies: Arc<Policies>,
    store: Arc<dyn CardStore>,
    settings: Arc<ClientSettings>,
    given: Arc<[Given]>,
    clock: Clock,
}

impl Documents {
    /// What the user names is fetched by the first way, which shows the client's certificate, and what others name by the
    /// second; `given` is shown to an origin that it was given for by name, where that asks who comes.
    pub(in crate::client) fn new(
        ways: [Egress; 2],
        policies: Policies,
        store: Arc<dyn CardStore>,
        settings: Arc<ClientSettings>,
        given: Vec<Given>,
    ) -> Self {
        Self {
            named: ways[0].client(policies.allowed.clone()),
            ways,
            policies: Arc::new(policies),
            store,
            settings,
            given: given.into(),
            clock: Clock::system(),
        }
    }

    /// What may be reached of what is named.
    pub(super) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The limits.
    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// A document that the user named; `None` where there is none.
    pub(super) async fn named(&self, url: &str) -> Result<Option<Arc<StoredDocument>>, Error> {
        self.get(&self.named, url, true).await
    }

    /// A document that another document named, under a policy for those; whether it is at the origin that the user named.
    pub(super) async fn linked(
        &self,
        url: &str,
        policy: &EgressPolicy,
        is_named: bool,
    ) -> Result<Option<Arc<StoredDocument>>, Error> {
        let way = &self.ways[usize::from(!is_named)];
        self.get(&way.client(policy.clone()), url, is_named).await
    }

    async fn get(
        &self,
        client: &EgressClient,
        url: &str,
        is_named: bool,
    ) -> Result<Option<Arc<StoredDocument>>, Error> {
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
        let (mut response, known) = self.asked(client, url, known).await?;
        if response.status() == StatusCode::UNAUTHORIZED && is_named {
            let credentials = self.credentials(url).await?;
            if !credentials.is_empty() {
                response = self.ask(client, url, None, credentials).await?;
                // What is for those who are known is kept for nobody else.
                let headers = response.headers_mut();
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
        }
        self.taken(url, response, known, now_ms).await
    }

    /// The answer of whoever need not know who comes, with the document that it says is unchanged. Who is of another kind of
    /// place than the document came from can't say so: what it has itself is asked for.
    async fn asked(
        &self,
        client: &EgressClient,
        url: &str,
        known: Option<Arc<StoredDocument>>,
    ) -> Result<(Response<Bytes>, Option<Arc<StoredDocument>>), Error> {
        let response = self.ask(client, url, known.as_deref(), HeaderMap::new()).await?;
        let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
        let came_from = is_from_inside(response.extensions());
        if is_unchanged && known.as_ref().is_some_and(|known| known.is_inner != came_from) {
            let response = self.ask(client, url, None, HeaderMap::new()).await?;
            return Ok((response, None));
        }
        Ok((response, known))
    }

    /// What is shown to the origin of a document that asks who comes.
    ///
    /// # Errors
    /// The first of those of the credentials for it, if there is no other.
    async fn credentials(&self, url: &str) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let Ok(uri) = url.parse() else {
            return Ok(headers);
        };
        let mut failed = None;
        for given in &*self.given {
            match given.header_for(&uri).await {
                Ok(Some((name, value))) => {
                    headers.entry(name).or_insert(value);
                }
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if headers.is_empty() => Err(error),
            _ => Ok(headers),
        }
    }

    async fn ask(
        &self,
        client: &EgressClient,
        url: &str,
        known: Option<&StoredDocument>,
        credentials: HeaderMap,
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
        request.headers_mut().extend(credentials);
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
                Ok(Some(self.keep(url, text, None, &head, now_ms).await))
            }
            (StatusCode::NOT_MODIFIED, Some(known)) => {
                let text = known.text.clone();
                Ok(Some(self.keep(url, text, Some(&known), &head, now_ms).await))
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
        head: &Parts,
        now_ms: i64,
    ) -> Arc<StoredDocument> {
        let headers = &head.headers;
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
            is_inner: is_from_inside(&head.extensions),
        });
        match keeping {
            Keeping::For(_) => self.store.put(url, document.clone()).await,
            Keeping::Never => self.store.remove(url).await,
        }
        document
    }
}

/// Whether an answer came from this machine or a network of one's own.
fn is_from_inside(extensions: &Extensions) -> bool {
    extensions.get::<Peer>().is_some_and(|peer| is_inner(peer.0))
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
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            "; it may show its card to those only who have a credential: give one for that origin by name \
             (--credential-origin)"
        }
        _ => "",
    };
    Error::CardNotFound(format!("{url} answered with status {status}{advice}"))
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
