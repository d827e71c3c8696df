//! `[database]`: where tasks are kept.

use std::path::PathBuf;

use super::schema::{MIB, section};
use super::secret::{DatabaseUrl, Secret};

section! {
    /// The database behind the task log.
    pub struct Database {
        /// `sqlite://PATH` for a file, "memory" for tasks that end with the process, or
        /// `postgres://USER:PASSWORD@HOST:PORT/NAME`. Two slashes start a relative path, three an absolute one. For TLS
        /// to PostgreSQL: `?sslmode=verify-full&sslrootcert=FILE`, and sslcert and sslkey for a client certificate.
        url: DatabaseUrl = DatabaseUrl::from("sqlite://a2ad.db");
        /// Connections that read at the same time.
        readers: u32 = 4, 1..=1_024;
        /// Connections to PostgreSQL that write at the same time; a SQLite file has one writer. What concerns one task
        /// always takes the same one.
        committers: u32 = 2, 1..=64;
        /// Writes that share one transaction. More of them share one fsync, and wait a little longer for it. So many
        /// changes of push configurations and of deliveries are on their way at once, whether their callers still wait
        /// or not.
        commit_batch_max: usize = 256, 1..=10_000;
        /// Writes that wait for the committer before writers are held back.
        commit_queue_max: usize = 4_096, 1..=1_000_000;
        /// Milliseconds that one read may take before its caller gets an error; a long read keeps the log from
        /// shrinking.
        read_timeout_ms: u64 = 10_000, 1..=600_000;
        /// SQLite only: bytes of the write-ahead log (the -wal file) above which readers are made to step off it, so
        /// that it can begin anew. One long read can keep it growing until that read ends or times out.
        wal_bytes_max: usize = 64 * MIB, 65_536..=4_000_000_000;
        /// Bytes of memory for the snapshots of long tasks as they were written or read last, so that reading a long task
        /// again does not move all of it out of the database; 0 for none. Tasks kept in memory need none.
        snapshot_cache_bytes: usize = 64 * MIB, 0..=4_000_000_000;
        /// Milliseconds that PostgreSQL may take to write one batch. Beyond, nobody knows whether it was written: the
        /// callers get UNAVAILABLE, and the connection is given up. Together with connect_timeout_ms less than two
        /// thirds of execution.lease_ms: a hung batch must not cost a lease.
        commit_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Milliseconds that connecting to PostgreSQL may take, and that work waits for a connection while the server is
        /// away.
        connect_timeout_ms: u64 = 5_000, 1..=600_000;
        /// PostgreSQL's statement_timeout in milliseconds; 0 for none.
        statement_timeout_ms: u64 = 10_000, 0..=600_000;
        /// PostgreSQL's lock_timeout in milliseconds; 0 for none.
        lock_timeout_ms: u64 = 5_000, 0..=600_000;
        /// PostgreSQL's idle_in_transaction_session_timeout in milliseconds; 0 for none.
        idle_transaction_timeout_ms: u64 = 10_000, 0..=600_000;
        /// PostgreSQL's application_name, which its views of activity show.
        application_name: String = "a2ad".to_owned();
    }
}

/// What a database URL stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In the process, gone with it.
    Memory,
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the whole URL, which may hold a password.
    Postgres(Secret<String>),
}

impl Database {
    /// Reads a database URL; the error says what to write instead.
    pub fn parse(url: &str) -> Result<Backend, String> {
        if url == "memory" {
            return Ok(Backend::Memory);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Backend::Postgres(Secret::new(url.to_owned())));
        }
        match url.strip_prefix("sqlite://") {
            Some("") => Err(
                "no path after sqlite://; write sqlite://a2ad.db or sqlite:///var/lib/a2ad/a2ad.db".into(),
            ),
            Some(path) if path.starts_with(":memory:") => {
                Err("write memory instead of sqlite://:memory:".into())
            }
            Some(path) if path.contains(['?', '#', '\0']) => {
                Err("a sqlite URL takes no parameters; write sqlite:// and the path alone".into())
            }
            Some(path) => Ok(Backend::Sqlite(PathBuf::from(path))),
            None => {
                Err("not a database that is known here; write memory, sqlite://PATH or postgres://...".into())
            }
        }
    }

    /// What the configured URL stands for.
    pub fn backend(&self) -> Result<Backend, String> {
        Self::parse(self.url.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_backend() {
        let sqlite = |path: &str| Ok(Backend::Sqlite(PathBuf::from(path)));
        assert_eq!(Database::parse("memory"), Ok(Backend::Memory));
        assert_eq!(Database::parse("sqlite://a2ad.db"), sqlite("a2ad.db"));
        assert_eq!(
            Database::parse("sqlite:///var/lib/a2ad/a2ad.db"),
            sqlite("/var/lib/a2ad/a2ad.db")
        );
        let postgres = Database::parse("postgres://u:hunter2@db/a2ad").expect("parses");
        assert!(!format!("{postgres:?}").contains("hunter2"));
        assert_eq!(Database::default().backend(), sqlite("a2ad.db"));
    }

    #[test]
    fn other_urls_are_refused_with_what_to_write() {
        for (url, hint) in [
            ("sqlite://", "sqlite://a2ad.db"),
            ("sqlite://:memory:", "write memory"),
            ("sqlite://a.db?mode=rwc", "no parameters"),
            ("mysql://u:hunter2@db", "write memory, sqlite://PATH"),
            ("", "sqlite://PATH"),
        ] {
            let error = Database::parse(url).expect_err("refused");
            assert!(
                error.contains(hint) && !error.contains("hunter2"),
                "{url}: {error}"
            );
        }
    }
}
