//! Whether there are audit records, and where they go.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{StartError, settings};
use crate::audit::{self, Audit, BadCertificate, Step, Store};
use crate::auth;
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::repository::sea_orm::AuditRecords;
use crate::server::CertificateObserver;
use crate::shutdown::Shutdown;
use crate::tls::{PeerIdentity, RefusedCertificate};

/// Records what becomes of client certificates that don't hold.
pub(super) struct Certificates(pub(super) Audit);

impl CertificateObserver for Certificates {
    fn refused(&self, peer: SocketAddr, certificate: &RefusedCertificate) {
        let fingerprint = certificate.fingerprint.as_ref();
        self.0.certificate_refused(BadCertificate {
            peer,
            name: certificate.identity.as_ref().map(PeerIdentity::principal),
            fingerprint: fingerprint.map_or_else(String::new, |bytes| auth::hex(bytes)),
            reason: certificate.reason,
        });
    }

    fn cut(&self, peer: SocketAddr, identity: &PeerIdentity, reason: &'static str) {
        self.0.connection_cut(BadCertificate {
            peer,
            name: Some(identity.principal()),
            fingerprint: auth::hex(identity.fingerprint()),
            reason,
        });
    }
}

/// Begins to record what is done; nothing is while nobody is asked who he is.
pub(super) async fn start(
    config: &Config,
    records: Option<Arc<dyn Store>>,
    clock: &Clock,
    shutdown: &Shutdown,
) -> Result<Audit, StartError> {
    if !config.is_authenticated() {
        return Ok(Audit::off());
    }
    let records = records.filter(|_| config.audit.database);
    let audit = Audit::start(settings::audit(config), records, clock.clone(), shutdown).await?;
    if !audit.is_on() {
        tracing::warn!("audit records are kept nowhere; set audit.file, or a database that lasts");
    }
    Ok(audit)
}

/// Records what an operator does with a database, for example `db prune`, where audit records are kept in it
/// (`audit.database`): once before it is done, and once with how it ended.
///
/// # Errors
/// When the database does not take the record; the text says what to look after. What can't be recorded is not to be done.
pub async fn record_admin(config: &Config, command: &str, step: Step) -> Result<(), String> {
    if !config.is_authenticated() {
        return Ok(());
    }
    record(config, command, step).await
}

/// Records what an operator does with an API key: also where the configuration at hand takes none yet.
///
/// # Errors
/// As for [`record_admin`].
pub async fn record_key_change(config: &Config, command: &str, step: Step) -> Result<(), String> {
    record(config, command, step).await
}

/// Records what an operator does with push notifications that wait or could not be sent.
///
/// # Errors
/// As for [`record_admin`].
pub async fn record_push_change(config: &Config, command: &str, step: Step) -> Result<(), String> {
    record(config, command, step).await
}

async fn record(config: &Config, command: &str, step: Step) -> Result<(), String> {
    if !config.audit.database {
        return Ok(());
    }
    let records = match config.database.backend()? {
        Backend::Memory => return Ok(()),
        Backend::Sqlite(path) => AuditRecords::open_sqlite(&path).await,
        Backend::Postgres(url) => {
            let settings = settings::database(config).map_err(|error| error.to_string())?;
            AuditRecords::open_postgres(url.expose(), &settings).await
        }
    };
    let records = records.map_err(|error| error.to_string())?;
    let recorded = audit::record_admin(&records, &Clock::system(), command, step).await;
    let closed = records.close().await;
    recorded?;
    closed.map_err(|error| error.to_string())
}
