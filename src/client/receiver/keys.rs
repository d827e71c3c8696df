//! The keys of the sender, fetched when they are needed and kept for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::ReceiverSettings;
use crate::egress::EgressClient;
use crate::signature::PublicKeys;

/// Where the keys of the sender come from.
pub enum SenderKeys {
    /// These, which somebody got over a way that is trusted.
    Fixed(PublicKeys),
    /// The JWK set at a URL of the sender: `/.well-known/jwks.json`. By https only, unless the client's policy says
    /// otherwise: who can change the answer can sign.
    Url {
        /// What fetches it.
        client: Box<EgressClient>,
        /// The URL.
        url: String,
    },
}

impl SenderKeys {
    /// The JWK set at a URL, fetched by this client.
    pub fn at(client: EgressClient, url: impl Into<String>) -> Self {
        Self::Url {
            client: Box::new(client),
            url: url.into(),
        }
    }
}

/// Keys with their age. One request fetches them at a time; others wait for it only while there are none.
pub(super) struct KeyCache {
    origin: Option<(EgressClient, String)>,
    fresh: Duration,
    pause: Duration,
    stale_max: Duration,
    known: Mutex<Known>,
    flight: tokio::sync::Mutex<()>,
}

/// The keys are being fetched by somebody else.
#[derive(Debug)]
pub(super) struct UnderWay;

#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<PublicKeys>>,
    /// When they were had.
    at: Option<Instant>,
    /// When somebody tried last, and how often.
    attempted: Option<Instant>,
    attempts: u64,
}

impl KeyCache {
    pub(super) fn new(keys: SenderKeys, settings: &ReceiverSettings) -> Self {
        let (origin, known) = match keys {
            SenderKeys::Fixed(keys) => {
                let keys = Some(Arc::new(keys));
                (
                    None,
                    Known {
                        keys,
                        ..Known::default()
                    },
                )
            }
            SenderKeys::Url { client, url } => (Some((*client, url)), Known::default()),
        };
        Self {
            origin,
            fresh: settings.keys_fresh,
            pause: settings.keys_pause,
            stale_max: settings.keys_stale_max,
            known: Mutex::new(known),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// The keys, fetched if there are none or they are old; `None` when they can't be had. While somebody else fetches
    /// them the old ones do: who waited for that would hold a place, and strangers could hold all of them.
    pub(super) async fn current(&self) -> Option<Arc<PublicKeys>> {
        let known = self.known();
        let is_fresh = known.at.is_none_or(|at| at.elapsed() <= self.fresh);
        match known.keys {
            Some(keys) if is_fresh => Some(keys),
            _ => match (self.flight.try_lock(), self.usable()) {
                (Ok(flight), _) => self.fetched_by(flight, known.attempts).await,
                (Err(_), Some(old)) => Some(old),
                (Err(_), None) => self.fetched_since(known.attempts).await,
            },
        }
    }

    /// The keys, fetched once more because one is not among them; `None` when nothing is new.
    ///
    /// # Errors
    /// [`UnderWay`] when somebody else is fetching them: anybody can name a key that there is not, and who waited here
    /// would take a place from requests whose keys are known.
    pub(super) async fn newer_than(
        &self,
        keys: &Arc<PublicKeys>,
    ) -> Result<Option<Arc<PublicKeys>>, UnderWay> {
        let known = self.known();
        let newer = match known.keys {
            Some(newer) if !Arc::ptr_eq(&newer, keys) => Some(newer),
            _ if self.origin.is_none() => None,
            _ => {
                let flight = self.flight.try_lock().map_err(|_| UnderWay)?;
                self.fetched_by(flight, known.attempts).await
            }
        };
        Ok(newer.filter(|newer| !Arc::ptr_eq(newer, keys)))
    }

    /// As [`KeyCache::fetched_by`], when whoever fetches them has done so.
    async fn fetched_since(&self, attempts: u64) -> Option<Arc<PublicKeys>> {
        self.fetched_by(self.flight.lock().await, attempts).await
    }

    /// The keys after one more attempt than those that were seen; too soon after the last one there is none.
    async fn fetched_by(&self, _flight: MutexGuard<'_, ()>, attempts: u64) -> Option<Arc<PublicKeys>> {
        let Some((client, url)) = &self.origin else {
            return self.usable();
        };
        let known = self.known();
        let is_too_soon = known.attempted.is_some_and(|at| at.elapsed() < self.pause);
        if known.attempts != attempts || is_too_soon {
            return self.usable();
        }
        let fetched = client.get(url).await.map_err(|error| error.to_string());
        let parsed = fetched.and_then(|json| PublicKeys::parse(&json).map_err(|error| error.to_string()));
        self.keep(parsed, url);
        self.usable()
    }

    fn keep(&self, parsed: Result<PublicKeys, String>, url: &str) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.attempts += 1;
        known.attempted = Some(now);
        match parsed {
            Ok(keys) => {
                known.keys = Some(Arc::new(keys));
                known.at = Some(now);
            }
            Err(why) => tracing::warn!(%url, %why, "the keys of the sender can't be had; the old ones stay"),
        }
    }

    /// The keys that there are, unless they are too old to be trusted.
    fn usable(&self) -> Option<Arc<PublicKeys>> {
        let known = self.known();
        let is_stale = known.at.is_some_and(|at| at.elapsed() > self.stale_max);
        known.keys.filter(|_| !is_stale)
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{SigningKey, jwk_set};

    fn set() -> PublicKeys {
        let key = SigningKey::of_seed(&[1; 32]).unwrap();
        PublicKeys::parse(jwk_set([&key]).as_bytes()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn while_somebody_fetches_keys_the_old_ones_do() {
        let settings = ReceiverSettings::default();
        let cache = KeyCache::new(SenderKeys::Fixed(set()), &settings);
        cache.keep(Ok(set()), "https://a.example");
        let flight = cache.flight.lock().await;
        let second = Duration::from_secs(1);
        let current = || tokio::time::timeout(second, cache.current());
        tokio::time::advance(settings.keys_fresh + second).await;
        assert!(current().await.unwrap().is_some());
        tokio::time::advance(settings.keys_stale_max).await;
        assert!(current().await.is_err(), "too old to be trusted: it waits");
        drop(flight);
        assert!(current().await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_could_not_be_fetched_for_too_long_are_not_used() {
        let settings = ReceiverSettings::default();
        let cache = KeyCache::new(SenderKeys::Fixed(set()), &settings);
        cache.keep(Ok(set()), "https://a.example");
        tokio::time::advance(settings.keys_stale_max).await;
        cache.keep(Err("away".to_owned()), "https://a.example");
        assert!(cache.usable().is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(cache.usable().is_none());
    }
}
