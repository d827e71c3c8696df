//! Where the beds of a test keep their tasks, and how time passes there.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use a2ad::clock::Clock;
use a2ad::repository::conformance::NOW_MS;
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::shutdown::Shutdown;
use tokio::runtime::Runtime;

use super::observed::Observed;
use super::postgres::{database, psql};
use super::raw::Raw;

#[derive(Clone, Copy)]
enum Backend {
    Memory,
    Sqlite,
    Postgres,
}

std::thread_local! {
    static BACKEND: Cell<Backend> = const { Cell::new(Backend::Memory) };
}

/// Runs a test whose beds keep their tasks in PostgreSQL, each in a database of its own, unless they choose.
pub fn on_postgres(test: fn()) {
    on(Backend::Postgres, test);
}

/// Runs a test whose beds keep their tasks in SQLite, each in a file of its own, unless they choose.
pub fn on_sqlite(test: fn()) {
    on(Backend::Sqlite, test);
}

fn on(backend: Backend, test: fn()) {
    BACKEND.set(backend);
    test();
    BACKEND.set(Backend::Memory);
}

/// A repository, and the way to its rows that nobody else has.
#[derive(Clone)]
pub struct Kept {
    pub repository: Arc<Observed>,
    rows: Rows,
}

#[derive(Clone)]
enum Rows {
    /// In memory: there is none.
    Hidden,
    Sqlite(PathBuf),
    Postgres(String),
}

impl Kept {
    /// An empty one of the kind that the test runs on. In memory, leases are measured by `clock`; a database has its own.
    pub fn fresh(clock: Option<&Clock>) -> Self {
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
        let open = match BACKEND.get() {
            Backend::Memory => {
                let memory = clock.map_or_else(MemoryRepository::new, |clock| {
                    MemoryRepository::with_clock(clock.clone())
                });
                return Self::hidden(Observed::new(Arc::new(memory)));
            }
            Backend::Sqlite => || RUNTIME.block_on(Self::sqlite()),
            Backend::Postgres => || RUNTIME.block_on(Self::postgres()),
        };
        // Callers can't wait, whatever runtime they are in.
        std::thread::scope(|scope| scope.spawn(open).join()).unwrap()
    }

    /// A repository whose rows nobody reaches.
    pub fn hidden(repository: Arc<Observed>) -> Self {
        Self {
            repository,
            rows: Rows::Hidden,
        }
    }

    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let settings = DatabaseSettings::default();
        let repository = SeaOrmRepository::open_sqlite(&path, &settings, &Shutdown::new()).await;
        Self {
            repository: Observed::holding(Arc::new(repository.unwrap()), folder),
            rows: Rows::Sqlite(path),
        }
    }

    async fn postgres() -> Self {
        let database = database();
        let url = database.url().to_owned();
        let settings = DatabaseSettings::default();
        let repository = SeaOrmRepository::open_postgres(&url, &settings, &Shutdown::new()).await;
        Self {
            repository: Observed::holding(Arc::new(repository.unwrap()), database),
            rows: Rows::Postgres(url),
        }
    }

    /// So much time passes: in memory by the clock, in a database by bringing the ends of all leases nearer to the time
    /// that it tells itself.
    pub async fn passes(&self, clock: &Clock, ms: i64) {
        clock.advance_ms(ms);
        self.execute(&format!(
            "UPDATE task SET lease_until_ms = CASE WHEN lease_until_ms > {ms} THEN lease_until_ms - {ms} ELSE 1 END \
             WHERE lease_until_ms > 0"
        ))
        .await;
    }

    /// Changes rows behind everybody's back; false in memory, where there are none.
    pub async fn execute(&self, statement: &str) -> bool {
        match self.rows.clone() {
            Rows::Hidden => return false,
            Rows::Sqlite(path) => {
                let raw = Raw::open(&path).await;
                raw.execute(statement).await;
                raw.close().await;
            }
            Rows::Postgres(url) => {
                let statement = statement.to_owned();
                let run = tokio::task::spawn_blocking(move || psql(&url, &statement));
                run.await.unwrap();
            }
        }
        true
    }
}

/// A clock that stands still until it is moved.
pub fn still() -> Clock {
    Clock::manual(NOW_MS)
}
