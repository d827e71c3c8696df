//! Why records can't be kept where the configuration says.

use std::path::PathBuf;

/// Why no chain could be begun.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be opened, read or locked.
    #[error("audit.file {path}: {cause}; check that the folder exists and that a2ad may write there")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Another process writes the file.
    #[error("audit.file {0} is written by another process; give each process a file of its own")]
    InUse(PathBuf),
    /// The database gives no answer.
    #[error(
        "the audit records in the database can't be read: {0}; look after the database, or set audit.database = false"
    )]
    Database(String),
}
