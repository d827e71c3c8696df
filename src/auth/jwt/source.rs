//! Where an issuer's keys come from, and how they are kept.
//!
//! One background task for each issuer fetches them, so that there is one flight at a time however many calls wait. Calls
//! read what it published last. A token with an unknown key asks for a fetch, which is granted once in a while: keys that
//! were rotated are known at once, and tokens with made-up key ids cost nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::issuer::Surroundings;
use super::keys::Keys;
use super::token::Token;
use crate::auth::error::SetupError;
use crate::auth::settings::{IssuerSettings, KeySource};
use crate::egress::EgressClient;
use crate::shutdown::Shutdown;

/// The calls of one issuer that may wait for its keys at the same time.
const WAITERS_MAX: usize = 256;

/// What stands in a discovery document (OpenID Connect Discovery 1.0 section 3), as far as it is read.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys of an issuer as they were had last.
#[derive(Clone, Debug, Default)]
struct Published {
    keys: Option<Arc<Keys>>,
    /// When they were had.
    at: Option<Instant>,
    /// How many attempts to get them have ended, good or not.
    attempts: u64,
    /// Whether the last of these failed.
    is_away: bool,
}

/// Why there are no keys for a token.
pub(super) enum NoKeys {
    /// The issuer has none that it could have been signed with.
    NoneFits,
    /// They can't be had.
    Away,
}

/// The keys of one issuer, kept fresh in the background.
pub(super) struct KeyFeed {
    published: watch::Receiver<Published>,
    wanted: Arc<Notify>,
    version: Arc<AtomicU64>,
    timeout: Duration,
    stale_max: Duration,
    /// The calls that may wait for newer keys; others are answered by what is known.
    waiters: Semaphore,
}

impl KeyFeed {
    /// Begins to follow the keys.
    ///
    /// # Errors
    /// When a file can't be used, or a URL may not be asked. That an issuer can't be reached is no error: it may come.
    pub(super) async fn open(
        settings: &IssuerSettings,
        around: &Surroundings<'_>,
    ) -> Result<Self, SetupError> {
        let client = around.egress.client(settings.egress.clone());
        let origin = Origin::of(settings, &client)?;
        let pace = Pace::of(settings, around);
        let (publish, published) = watch::channel(origin.first(settings).await?);
        let (wanted, version) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
        let keeper = Keeper {
            fetcher: Fetcher {
                name: settings.name.clone(),
                origin,
                client,
                algorithms: settings.algorithms.clone(),
            },
            publish,
            wanted: wanted.clone(),
            version: version.clone(),
            interval: pace.interval,
            pause: pace.pause,
            last: None,
            attempted: None,
        };
        around
            .shutdown
            .spawn("issuer keys", keeper.run(around.shutdown.clone()));
        Ok(Self {
            published,
            wanted,
            version,
            timeout: around.keys_timeout,
            waiters: Semaphore::new(WAITERS_MAX),
            stale_max: pace.stale_max,
        })
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.known().is_some()
    }

    /// Keys of which one may have made the signature of a token.
    pub(super) async fn for_token(&self, token: &Token<'_>) -> Result<Arc<Keys>, NoKeys> {
        let known = self.known();
        if let Some(keys) = known.as_ref().filter(|keys| keys.know(token)) {
            return Ok(keys.clone());
        }
        let Ok(_waiter) = self.waiters.try_acquire() else {
            return Err(self.none(known.is_some()));
        };
        let mut published = self.published.clone();
        let attempts = published.borrow_and_update().attempts;
        self.wanted.notify_one();
        // The keeper answers every wish, at once when it may not ask the issuer again so soon.
        let newer = published.wait_for(|published| published.attempts > attempts);
        if timeout(self.timeout, newer).await.is_err() {
            return Err(NoKeys::Away);
        }
        match self.known() {
            Some(keys) if keys.know(token) => Ok(keys),
            known => Err(self.none(known.is_some())),
        }
    }

    /// Why there are none: an issuer that can't be asked may have a key that is not known yet.
    fn none(&self, has_keys: bool) -> NoKeys {
        if has_keys && !self.published.borrow().is_away {
            NoKeys::NoneFits
        } else {
            NoKeys::Away
        }
    }

    /// Whether the key that made a signature is still one of the issuer's.
    pub(super) fn has(&self, key: [u8; 32]) -> bool {
        self.known().is_some_and(|keys| keys.has(key))
    }

    /// The keys that were had last, unless they are too old.
    fn known(&self) -> Option<Arc<Keys>> {
        let published = self.published.borrow();
        let at = published.at?;
        (at.elapsed() <= self.stale_max).then(|| published.keys.clone())?
    }
}

/// Where keys come from.
enum Origin {
    File(PathBuf),
    Url(String),
    /// The issuer whose discovery document has the URL.
    Discovery(String),
}

/// How often keys are fetched, and for how long they are good.
struct Pace {
    interval: Duration,
    pause: Duration,
    stale_max: Duration,
}

impl Pace {
    /// A file is looked at often, because that costs nothing, and what it held last is good for as long as it is there.
    fn of(settings: &IssuerSettings, around: &Surroundings<'_>) -> Self {
        match settings.keys {
            KeySource::File(_) => Self {
                interval: around.reload_interval,
                pause: around.reload_interval,
                stale_max: Duration::MAX,
            },
            KeySource::Url(_) | KeySource::Discovery => Self {
                interval: settings.refresh_interval,
                pause: settings.refresh_pause,
                stale_max: settings.stale_max,
            },
        }
    }
}

impl Origin {
    /// Where the settings say that keys come from, if it may be asked.
    fn of(settings: &IssuerSettings, client: &EgressClient) -> Result<Self, SetupError> {
        let origin = match &settings.keys {
            KeySource::File(path) => Self::File(path.clone()),
            KeySource::Url(url) => Self::Url(url.clone()),
            KeySource::Discovery => Self::Discovery(settings.issuer.clone()),
        };
        let Some(url) = origin.url() else {
            return Ok(origin);
        };
        match client.policy().check(&url) {
            Ok(_) => Ok(origin),
            Err(refusal) => Err(SetupError::Egress {
                name: settings.name.clone(),
                why: format!("the URL {url} {refusal}; or name its network in allowed_networks"),
            }),
        }
    }

    /// What is known at the start: the keys of a file. Who has to be asked is asked by the keeper.
    async fn first(&self, settings: &IssuerSettings) -> Result<Published, SetupError> {
        Ok(match self {
            Self::File(path) => Published {
                keys: Some(Arc::new(first_of_file(settings, path).await?)),
                at: Some(Instant::now()),
                attempts: 1,
                is_away: false,
            },
            Self::Url(_) | Self::Discovery(_) => Published::default(),
        })
    }

    /// The first URL that is asked.
    fn url(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Url(url) => Some(url.clone()),
            Self::Discovery(issuer) => {
                let base = issuer.trim_end_matches('/');
                Some(format!("{base}/.well-known/openid-configuration"))
            }
        }
    }
}

/// The keys of a file at the start, where a mistake can still be told.
async fn first_of_file(settings: &IssuerSettings, path: &Path) -> Result<Keys, SetupError> {
    let name = || settings.name.clone();
    let json = tokio::fs::read(path)
        .await
        .map_err(|cause| SetupError::KeysFile {
            name: name(),
            path: path.to_owned(),
            cause,
        })?;
    let unusable = |why| SetupError::Keys {
        name: name(),
        path: path.to_owned(),
        why,
    };
    let keys = Keys::parse(&json, &settings.algorithms).map_err(unusable)?;
    if keys.is_empty() {
        return Err(unusable(
            "has no key that can sign with one of the algorithms that are taken",
        ));
    }
    Ok(keys)
}

/// Gets the keys once.
struct Fetcher {
    name: String,
    origin: Origin,
    client: EgressClient,
    algorithms: Vec<Algorithm>,
}

impl Fetcher {
    /// The JWK set as it stands at its origin now.
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let get = async |url: &str| self.client.get(url).await.map_err(|error| error.to_string());
        match &self.origin {
            Origin::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string()),
            Origin::Url(url) => Ok(get(url).await?.to_vec()),
            Origin::Discovery(issuer) => {
                let document = get(&self.origin.url().unwrap_or_default()).await?;
                let document: Discovery = serde_json::from_slice(&document)
                    .map_err(|_| "its discovery document is not one".to_owned())?;
                if document.issuer != *issuer {
                    return Err("its discovery document is of another issuer".to_owned());
                }
                Ok(get(&document.jwks_uri).await?.to_vec())
            }
        }
    }
}

/// The background task that keeps the keys of one issuer.
struct Keeper {
    fetcher: Fetcher,
    publish: watch::Sender<Published>,
    wanted: Arc<Notify>,
    version: Arc<AtomicU64>,
    interval: Duration,
    pause: Duration,
    /// The bytes that were taken last.
    last: Option<Vec<u8>>,
    /// When the origin was asked last.
    attempted: Option<Instant>,
}

impl Keeper {
    async fn run(mut self, shutdown: Shutdown) {
        let mut next = Instant::now();
        loop {
            let is_due = tokio::select! {
                () = shutdown.draining() => return,
                () = tokio::time::sleep_until(next) => true,
                () = self.wanted.notified() => false,
            };
            if !is_due && self.attempted.is_some_and(|at| at.elapsed() < self.pause) {
                // Too soon to ask again: who waits is told that nothing is new.
                self.publish.send_modify(|published| published.attempts += 1);
                continue;
            }
            let good = self.refresh().await;
            self.attempted = Some(Instant::now());
            next = Instant::now()
                + if good {
                    self.interval
                } else {
                    self.pause.min(self.interval)
                };
        }
    }

    /// One attempt; false when there are no new keys to be had.
    async fn refresh(&mut self) -> bool {
        let (name, fetched) = (&self.fetcher.name, self.fetcher.fetch().await);
        let parsed = fetched.and_then(|json| {
            if self.last.as_ref() == Some(&json) {
                return Ok(None);
            }
            let keys =
                Keys::parse(&json, &self.fetcher.algorithms).map_err(|why| format!("what it has {why}"))?;
            Ok(Some((json, keys)))
        });
        let good = parsed.is_ok();
        match parsed {
            Ok(None) => {}
            Ok(Some((json, keys))) => {
                self.last = Some(json);
                self.publish
                    .send_modify(|published| published.keys = Some(Arc::new(keys)));
                self.version.fetch_add(1, Ordering::AcqRel);
                tracing::info!(issuer = %name, "the issuer's keys are new");
            }
            Err(why) => {
                tracing::warn!(issuer = %name, %why, "the issuer's keys can't be had; the old ones stay")
            }
        }
        self.publish.send_modify(|published| {
            published.attempts += 1;
            published.is_away = !good;
            if good {
                published.at = Some(Instant::now());
            }
        });
        good
    }
}
