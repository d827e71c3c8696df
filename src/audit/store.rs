//! The database, as far as this room knows it: rows with the lines of a batch.

use async_trait::async_trait;

/// A batch of records as the database keeps it: the very text of the lines, and what it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The chain.
    pub chain: String,
    /// The number of the last record in it.
    pub seq: u64,
    /// The time of the last record in milliseconds since 1970.
    pub at_ms: i64,
    /// The lines, without the end of the last one.
    pub text: String,
}

impl Row {
    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }
}

/// Keeps records beside the tasks. Every error is a sentence for the log.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes rows in one transaction; rows that are there already stay as they are, so that it may be repeated when
    /// nobody knows what became of it.
    ///
    /// # Errors
    /// When the database does not take them now.
    async fn append(&self, rows: &[Row]) -> Result<(), String>;

    /// The newest row.
    ///
    /// # Errors
    /// When the database gives no answer.
    async fn newest(&self) -> Result<Option<Row>, String>;

    /// The last row before a time of each chain that goes on behind it; `None` if there is no row before that time.
    ///
    /// # Errors
    /// When the database gives no answer.
    async fn last_before(&self, before_ms: i64) -> Result<Option<Vec<Row>>, String>;

    /// Removes rows from before a time, the oldest first, and at most `limit`; the number removed.
    ///
    /// # Errors
    /// When the database does not do it now.
    async fn remove_before(&self, before_ms: i64, limit: u64) -> Result<u64, String>;
}
