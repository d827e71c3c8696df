//! Whether a key is good, and for how long that is believed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::ApiKey;
use crate::access::{Caller, CredentialKind};
use crate::auth::error::{Failure, Reason};
use crate::clock::Clock;
use crate::repository::{ApiKeyRepository, ApiKeyRow};
use crate::secrets::{self, KeySource};

/// The keys of the database, each remembered for a moment: within that time one that was revoked still works.
pub(in crate::auth) struct ApiKeys {
    rows: Arc<dyn ApiKeyRepository>,
    secrets: KeySource,
    clock: Clock,
    ttl_ms: i64,
    found: Cache<Arc<str>, Arc<Found>>,
}

/// A row as it was found, or that there is none.
struct Found {
    at_ms: i64,
    record: Option<Arc<Record>>,
}

/// A key that exists.
pub(in crate::auth) struct Record {
    pub(in crate::auth) row: ApiKeyRow,
    /// The caller that it makes, once somebody came by it.
    pub(in crate::auth) caller: OnceLock<Arc<Caller>>,
}

impl ApiKeys {
    pub(in crate::auth) fn new(
        rows: Arc<dyn ApiKeyRepository>,
        secrets: KeySource,
        clock: Clock,
        ttl: Duration,
        entries_max: usize,
    ) -> Self {
        Self {
            rows,
            secrets,
            clock,
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            found: Cache::new(entries_max),
        }
    }

    /// What is kept of a key, if it is good.
    pub(in crate::auth) async fn verify(&self, key: &ApiKey<'_>) -> Result<Arc<Record>, Failure> {
        let refused = |reason| Failure::of(CredentialKind::ApiKey, reason);
        let away = |error: secrets::Error| {
            tracing::warn!(key.id = key.id, %error, "an API key can't be verified");
            Failure::Unavailable("API keys can't be verified at the moment; the operator's log says why")
        };
        let Some(keyring) = self.secrets.known().map_err(away)? else {
            return Err(away(secrets::Error::NoKey));
        };
        // An id that was never given out costs no look at the database.
        if !key.is_ours(&keyring).map_err(away)? {
            return Err(refused(Reason::UnknownKey));
        }
        let record = self
            .find(key.id)
            .await?
            .ok_or_else(|| refused(Reason::UnknownKey))?;
        if !key.is_of(&record.row, &keyring).map_err(away)? {
            return Err(refused(Reason::UnknownKey));
        }
        // Only who has the secret learns how it ended.
        self.check(&record.row).map_err(refused)?;
        Ok(record)
    }

    /// Whether the key with this id would still be taken.
    pub(in crate::auth) async fn still_stands(&self, id: &str) -> Result<(), Reason> {
        match self.find(id).await {
            Ok(Some(record)) => self.check(&record.row),
            Ok(None) => Err(Reason::UnknownKey),
            // Nobody is thrown out because the database is away for a moment.
            Err(_) => Ok(()),
        }
    }

    fn check(&self, row: &ApiKeyRow) -> Result<(), Reason> {
        if row.revoked_ms.is_some() {
            return Err(Reason::UnknownKey);
        }
        if row.expires_ms.is_some_and(|end| end <= self.clock.now_ms()) {
            return Err(Reason::Expired);
        }
        Ok(())
    }

    async fn find(&self, id: &str) -> Result<Option<Arc<Record>>, Failure> {
        let now_ms = self.clock.now_ms();
        if let Some(found) = self.found.get(id)
            && now_ms < found.at_ms.saturating_add(self.ttl_ms)
        {
            return Ok(found.record.clone());
        }
        let row = self.rows.api_key(id).await.map_err(|error| {
            tracing::warn!(%error, "an API key can't be looked up");
            Failure::Unavailable("API keys can't be looked up at the moment; try again")
        })?;
        let record = row.map(|row| {
            Arc::new(Record {
                row,
                caller: OnceLock::new(),
            })
        });
        let found = Found {
            at_ms: now_ms,
            record: record.clone(),
        };
        self.found.insert(Arc::from(id), Arc::new(found));
        Ok(record)
    }
}
