//! A copy of a SQLite database, made while a server writes to it.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sea_orm::{DbBackend, DbErr, Value};

use super::{Maintenance, Verified};
use crate::repository::sea_orm::OpenError;

/// Only the owner may read a copy: it holds what everybody said.
const MODE: u32 = 0o600;

/// Why there is no copy. What was written of one is removed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file exists already.
    #[error("{0} exists, and a backup never replaces a file; name another")]
    Exists(PathBuf),
    /// The file can't be made.
    #[error("can't create {path}: {cause}; check that its folder exists and that you may write to it")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The database is not in a file of this machine.
    #[error("only SQLite is copied; use pg_dump for PostgreSQL")]
    NotSqlite,
    /// The copy could not be brought to the disk.
    #[error(
        "the copy could not be brought to the disk: {0}; check that the disk works and has space, and try again"
    )]
    Sync(std::io::Error),
    /// The database refuses, or there is no space for the copy.
    #[error(
        "the database can't be copied: {0}; check that the disk has space for all of it, and the database with \
         `a2ad db verify`"
    )]
    Database(#[from] DbErr),
    /// The copy can't be opened.
    #[error("the copy can't be opened: {0}")]
    Open(#[from] OpenError),
    /// The copy is damaged, as the database itself probably is.
    #[error("the copy is not sound: {0}; check the database with `a2ad db verify`")]
    Damaged(String),
}

impl Maintenance {
    /// Copies the database into a new file, as it is at one moment, and verifies the copy.
    ///
    /// The copying (`VACUUM INTO`) is one long read: until it ends, the write-ahead log of a server that writes meanwhile
    /// grows beyond its limit (`database.wal_bytes_max`), and shrinks when the copy is made. There must be space for
    /// the copy and for what is written in the meantime.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub async fn backup(&self, target: &Path) -> Result<Verified, BackupError> {
        if self.0.get_database_backend() != DbBackend::Sqlite {
            return Err(BackupError::NotSqlite);
        }
        let text = target
            .to_str()
            .ok_or_else(|| OpenError::Path(target.to_owned()))?
            .to_owned();
        let file = create(target)?;
        let copied = self.copy(text, target, &file).await;
        if copied.is_err() {
            // A half copy is worse than none; what it failed of is told already.
            let _ = std::fs::remove_file(target);
        }
        copied
    }

    async fn copy(&self, text: String, target: &Path, file: &File) -> Result<Verified, BackupError> {
        // An empty file is one that SQLite writes into; the name is ours since it was created.
        self.rows("VACUUM INTO ?", [Value::from(text)]).await?;
        sync(target, file).map_err(BackupError::Sync)?;
        let copy = Self::open_sqlite(target).await?;
        let verified = copy.verify().await;
        copy.close().await?;
        let verified = verified?;
        match verified.findings.first() {
            None => Ok(verified),
            Some(first) => Err(BackupError::Damaged(first.to_string())),
        }
    }
}

fn create(target: &Path) -> Result<File, BackupError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(target);
    created.map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(target.to_owned()),
        _ => BackupError::Create {
            path: target.to_owned(),
            cause,
        },
    })
}

/// The bytes first, then the name.
fn sync(target: &Path, file: &File) -> std::io::Result<()> {
    file.sync_all()?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
