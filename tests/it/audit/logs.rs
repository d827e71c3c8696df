//! Logs of records made in this process, of several chains, in a file and in a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use a2ad::access::Method;
use a2ad::audit::{Audit, AuditSettings, Lines, Medium, Output, Store, Stranger, Verified, Verifier};
use a2ad::clock::Clock;
use a2ad::context::{Binding, CallContext, Principal};
use a2ad::repository::TaskRepository as _;
use a2ad::repository::sea_orm::{DatabaseSettings, Maintenance, SeaOrmRepository};
use a2ad::shutdown::Shutdown;
use tempfile::TempDir;

use crate::support::engine::eventually;

pub struct Log {
    folder: TempDir,
}

impl Log {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A chain for each of these numbers of calls.
    pub async fn of_chains(calls: &[usize]) -> Self {
        let log = Self::new();
        for calls in calls {
            log.chain(*calls).await;
        }
        log
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("a2ad.db")
    }

    pub fn settings(&self) -> AuditSettings {
        AuditSettings {
            output: Some(Output::File(self.file())),
            ..AuditSettings::default()
        }
    }

    /// One more chain of a process that lives for so many calls.
    pub async fn chain(&self, calls: usize) {
        self.chain_with(self.settings(), Clock::system(), calls).await;
    }

    pub async fn chain_with(&self, settings: AuditSettings, clock: Clock, calls: usize) {
        let shutdown = Shutdown::new();
        let repository = self.open().await;
        let store: Arc<dyn Store> = repository.clone();
        let audit = Audit::start(settings, Some(store), clock, &shutdown)
            .await
            .unwrap();
        for number in 0..calls {
            call(&audit, number).unwrap();
        }
        audit.close().await;
        self.close(repository).await;
    }

    /// The database, as a server has it open.
    pub async fn open(&self) -> Arc<SeaOrmRepository> {
        let (settings, shutdown) = (DatabaseSettings::default(), Shutdown::new());
        let opened = SeaOrmRepository::open_sqlite(&self.database(), &settings, &shutdown).await;
        Arc::new(opened.unwrap())
    }

    pub async fn close(&self, repository: Arc<SeaOrmRepository>) {
        repository.close().await;
        // Whoever waits for the end of the writer may be a little behind it.
        eventually(async || Arc::strong_count(&repository) == 1).await;
    }

    pub async fn verify_database(&self, head: Option<String>) -> Verified {
        let database = Maintenance::open_sqlite(&self.database()).await.unwrap();
        let mut verifier = Verifier::new(Medium::Database, head);
        for row in database.audit_by_chain(("", 0), 100_000).await.unwrap() {
            let place = format!("{}:{}", row.chain, row.seq);
            verifier.take_row(place, &row);
        }
        for reference in verifier.references() {
            let named = &reference.1;
            let found = database.audit_record(&named.chain, named.seq).await.unwrap();
            verifier.looked_up(reference, found.as_ref().map(|row| row.text.as_str()));
        }
        database.close().await.unwrap();
        verifier.finish()
    }
}

pub fn verify_file(file: &Path, head: Option<String>) -> Verified {
    let mut verifier = Verifier::new(Medium::File, head);
    let mut lines = Lines::open(file, 0).unwrap();
    while let Some(line) = lines.next_line().unwrap() {
        verifier.take_line("a line", &line);
    }
    verifier.finish()
}

/// A call that is refused or recorded.
pub fn call(audit: &Audit, number: usize) -> Result<(), a2ad::error::Error> {
    call_by(audit, "spiffe://example.org/a", number)
}

pub fn call_by(audit: &Audit, name: &str, number: usize) -> Result<(), a2ad::error::Error> {
    let who = CallContext {
        peer: Some(([192, 0, 2, 1], 4711).into()),
        ..CallContext::detached(Principal::verified(name), Arc::from(format!("request-{number}")))
    };
    let agent = || Arc::from("echo");
    audit
        .call(&who, Method::GetTask, agent, ("task", "context"))?
        .ends(None);
    Ok(())
}

pub fn stranger(audit: &Audit) {
    audit.authentication_failed(Stranger {
        peer: None,
        binding: Binding::Grpc,
        credential: a2ad::access::CredentialKind::Jwt,
        reason: "EXPIRED",
        request_id: Arc::from("r"),
        trace: None,
    });
}
