//! How a database is used.

use std::time::Duration;

use crate::secrets::KeySource;

/// How a database is used. Every limit is a configuration key of `[database]`.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Connections for reading.
    pub readers: u32,
    /// Connections for writing; SQLite has one whatever this says.
    pub committers: u32,
    /// The most tasks whose changes share one transaction.
    pub commit_batch_max: usize,
    /// The most changes that may wait for a transaction; writers wait beyond it.
    pub commit_queue_max: usize,
    /// How long a read may take before the caller is told that the database is not available.
    pub read_timeout: Duration,
    /// SQLite only: bytes of the write-ahead log above which readers are made to step off it.
    pub wal_bytes_max: u64,
    /// The most bytes of large snapshots that are kept in memory; 0 for none.
    pub snapshot_cache_bytes: u64,
    /// How long PostgreSQL may take to write one batch before its outcome counts as unknown and the connection is
    /// given up.
    pub commit_timeout: Duration,
    /// How long connecting to PostgreSQL may take, and how long work waits for a connection while there is none.
    pub connect_timeout: Duration,
    /// PostgreSQL's `statement_timeout`.
    pub statement_timeout: Duration,
    /// PostgreSQL's `lock_timeout`.
    pub lock_timeout: Duration,
    /// PostgreSQL's `idle_in_transaction_session_timeout`.
    pub idle_transaction_timeout: Duration,
    /// PostgreSQL's `application_name`, which its views of activity show.
    pub application_name: String,
    /// The keys that push configurations are sealed with.
    pub keys: KeySource,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            readers: 4,
            committers: 2,
            commit_batch_max: 256,
            commit_queue_max: 4_096,
            read_timeout: Duration::from_secs(10),
            wal_bytes_max: 64 * 1024 * 1024,
            snapshot_cache_bytes: 64 * 1024 * 1024,
            commit_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_transaction_timeout: Duration::from_secs(10),
            application_name: "a2ad".to_owned(),
            keys: KeySource::none(),
        }
    }
}
