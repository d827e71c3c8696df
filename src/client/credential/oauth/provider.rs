//! Tokens that are got when they are needed, and renewed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{OnceCell, OwnedMutexGuard, oneshot};
use tokio::time::Instant;

use super::endpoints::Endpoints;
use super::exchange::{Refreshed, by_refresh, by_secret, kept};
use super::{Grant, OAuthSettings, StoredToken, TokenStore};
use crate::client::Error;
use crate::client::credential::{Credential, CredentialKind, CredentialProvider};
use crate::clock::Clock;
use crate::egress::EgressClient;
use crate::shutdown::Shutdown;

/// A provider of tokens. Clones share them.
#[derive(Clone)]
pub struct OAuthProvider(Arc<Inner>);

struct Inner {
    settings: OAuthSettings,
    web: EgressClient,
    store: Option<Arc<dyn TokenStore>>,
    endpoints: OnceCell<Endpoints>,
    state: Mutex<State>,
    /// Held by the one who gets a token.
    flight: Arc<tokio::sync::Mutex<()>>,
    /// Where tokens are got, so that no caller that goes away takes a rotated refresh token along.
    work: Shutdown,
    clock: Clock,
}

#[derive(Default)]
struct State {
    token: Option<StoredToken>,
    was_loaded: bool,
    /// When a token was renewed last because an agent did not take it.
    forced: Option<Instant>,
    /// How often a token was asked for, and why the last time gave none.
    attempts: u64,
    failure: Option<Failure>,
}

/// An error that many can be told.
#[derive(Clone)]
enum Failure {
    Refused(String),
    Missing(String),
    Credential(String),
    Unreachable(String, String),
    Unavailable(String),
}

impl OAuthProvider {
    /// A provider that asks for its first token when it is needed. `web` is what asks
    /// ([`ClientBuilder::web`](crate::client::ClientBuilder::web)); with a store, tokens outlive the process.
    pub fn new(settings: OAuthSettings, web: EgressClient, store: Option<Arc<dyn TokenStore>>) -> Self {
        Self(Arc::new(Inner {
            settings,
            web,
            store,
            endpoints: OnceCell::new(),
            state: Mutex::default(),
            flight: Arc::default(),
            work: Shutdown::new(),
            clock: Clock::system(),
        }))
    }

    /// What it was made with.
    pub fn settings(&self) -> &OAuthSettings {
        &self.0.settings
    }

    /// Forgets the token, here and in the store.
    ///
    /// # Errors
    /// [`Error::Credential`] when the store can't be written.
    pub async fn forget(&self) -> Result<(), Error> {
        let _flight = self.0.flight.lock().await;
        self.state().token = None;
        match &self.0.store {
            Some(store) => store
                .remove(&self.0.settings.key())
                .await
                .map_err(Error::Credential),
            None => Ok(()),
        }
    }

    pub(super) fn web(&self) -> &EgressClient {
        &self.0.web
    }

    pub(super) async fn endpoints(&self) -> Result<&Endpoints, Error> {
        let Inner {
            settings,
            web,
            endpoints,
            ..
        } = self.0.as_ref();
        endpoints
            .get_or_try_init(|| Endpoints::of(&settings.endpoints, web))
            .await
    }

    /// Keeps a token that was got elsewhere, by a person who signed in.
    pub(super) async fn keep(&self, answer: &oauth2::basic::BasicTokenResponse) -> Result<(), Error> {
        let _flight = self.0.flight.lock().await;
        let token = kept(answer, None, &self.0.settings, self.0.clock.now_ms())?;
        self.taken(token).await.map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<StoredToken> {
        let now_ms = self.0.clock.now_ms();
        let token = self.state().token.clone();
        token.filter(|token| token.is_fresh(now_ms))
    }

    async fn token(&self) -> Result<StoredToken, Error> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let seen = self.state().attempts;
        let flight = self.0.flight.clone().lock_owned().await;
        self.load().await;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let failed = {
            let state = self.state();
            state.failure.clone().filter(|_| state.attempts != seen)
        };
        match failed {
            // Somebody has just been told, while this one waited.
            Some(failure) => Err(failure.into()),
            None => self.obtain(flight).await,
        }
    }

    /// Looks into the store, until it could be read once.
    async fn load(&self) {
        let was_loaded = self.state().was_loaded;
        let (false, Some(store)) = (was_loaded, &self.0.store) else {
            return;
        };
        match store.load(&self.0.settings.key()).await {
            Ok(token) => {
                let mut state = self.state();
                state.was_loaded = true;
                state.token = token;
            }
            Err(why) => tracing::warn!(%why, "kept tokens can't be read; a new one is asked for"),
        }
    }

    /// As [`Self::fetched`], to its end even if nobody waits for it any longer.
    async fn obtain(&self, flight: OwnedMutexGuard<()>) -> Result<StoredToken, Error> {
        let (tell, told) = oneshot::channel();
        let this = self.clone();
        self.0.work.spawn_unstoppable("token", async move {
            let got = this.fetched().await;
            drop(flight);
            // Whoever has gone away needs none.
            drop(tell.send(got));
        });
        let ended = |_| Err(Error::TokenUnavailable("asking for it ended early".to_owned()));
        told.await.unwrap_or_else(ended)
    }

    /// A new token, or the old one as long as it counts and the server has trouble.
    async fn fetched(&self) -> Result<StoredToken, Error> {
        let before = self.state().token.clone();
        let got = self.ask(before.as_ref()).await;
        let now_ms = self.0.clock.now_ms();
        self.state().attempts += 1;
        let answer = match got.and_then(|answer| kept(&answer, before.as_ref(), &self.0.settings, now_ms)) {
            Ok(token) => return self.taken(token).await,
            Err(error) => error,
        };
        if let Some(before) = before
            && answer.is_transient()
            && before.is_alive(now_ms)
        {
            tracing::warn!(cause = %answer, "a token is not renewed yet; the old one counts a little longer");
            return Ok(before);
        }
        self.state().failure = Failure::of(&answer);
        Err(answer)
    }

    async fn taken(&self, token: StoredToken) -> Result<StoredToken, Error> {
        {
            let mut state = self.state();
            state.token = Some(token.clone());
            state.was_loaded = true;
            state.failure = None;
        }
        if let Some(store) = &self.0.store
            && let Err(why) = store.save(&self.0.settings.key(), &token).await
        {
            tracing::warn!(%why, "a token can't be kept; it is good for this process only");
        }
        Ok(token)
    }

    async fn ask(&self, before: Option<&StoredToken>) -> Result<oauth2::basic::BasicTokenResponse, Error> {
        let Inner { settings, web, .. } = self.0.as_ref();
        let refresh_token = before.and_then(|token| token.refresh_token.as_ref());
        if refresh_token.is_none() && settings.grant == Grant::DeviceCode {
            return Err(Error::CredentialMissing(
                "nobody has signed in for a token, or that was too long ago; sign in (auth login)".to_owned(),
            ));
        }
        let endpoints = self.endpoints().await?;
        if let Some(refresh_token) = refresh_token {
            match (
                by_refresh(settings, endpoints, web, refresh_token).await,
                settings.grant,
            ) {
                (Ok(Refreshed::Spent(why)) | Err(Error::TokenRefused(why)), Grant::ClientCredentials) => {
                    tracing::debug!(%why, "a token is not renewed; another one is asked for");
                }
                (Ok(Refreshed::Spent(why)), Grant::DeviceCode) => {
                    self.state().token = None;
                    return Err(Error::CredentialMissing(format!(
                        "{why}; sign in again (auth login)"
                    )));
                }
                (Ok(Refreshed::Token(answer)), _) => return Ok(*answer),
                (Err(error), _) => return Err(error),
            }
        }
        by_secret(settings, endpoints, web).await
    }
}

#[async_trait]
impl CredentialProvider for OAuthProvider {
    fn kind(&self) -> CredentialKind {
        CredentialKind::Token
    }

    async fn credential(&self) -> Result<Credential, Error> {
        Ok(Credential::Token(self.token().await?.access_token))
    }

    fn is_renewable(&self) -> bool {
        true
    }

    async fn renewed(&self, rejected: &Credential) -> Result<Option<Credential>, Error> {
        let flight = self.0.flight.clone().lock_owned().await;
        let is_pointless = {
            let state = self.state();
            let Some(token) = &state.token else {
                return Ok(None);
            };
            if Credential::Token(token.access_token.clone()) != *rejected {
                // Somebody else has renewed it.
                return Ok(Some(Credential::Token(token.access_token.clone())));
            }
            let pause = self.0.settings.renew_pause;
            let is_too_soon = state.forced.is_some_and(|at| at.elapsed() < pause);
            is_too_soon || (self.0.settings.grant == Grant::DeviceCode && token.refresh_token.is_none())
        };
        if is_pointless {
            return Ok(None);
        }
        self.state().forced = Some(Instant::now());
        let token = self.obtain(flight).await?;
        let renewed = Credential::Token(token.access_token);
        Ok((renewed != *rejected).then_some(renewed))
    }
}

impl fmt::Debug for OAuthProvider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("OAuthProvider").field(&self.0.settings).finish()
    }
}

impl Failure {
    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::TokenRefused(why) => Some(Self::Refused(why.clone())),
            Error::CredentialMissing(why) => Some(Self::Missing(why.clone())),
            Error::Credential(why) => Some(Self::Credential(why.clone())),
            Error::TokenUnavailable(why) => Some(Self::Unavailable(why.clone())),
            Error::Unreachable { address, cause } => Some(Self::Unreachable(address.clone(), cause.clone())),
            _ => None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::TokenRefused(why),
            Failure::Missing(why) => Self::CredentialMissing(why),
            Failure::Credential(why) => Self::Credential(why),
            Failure::Unavailable(why) => Self::TokenUnavailable(why),
            Failure::Unreachable(address, cause) => Self::Unreachable { address, cause },
        }
    }
}
