//! Audit records as they are read back: by chain to be verified, by time to be shown.

use sea_orm::{DbErr, Value};

use super::Maintenance;
use crate::audit::Row;
use crate::repository::sea_orm::audit::row;
use crate::repository::sea_orm::sql::number;

const BY_CHAIN: &str = "SELECT chain, seq, at_ms, record FROM audit_record WHERE (chain, seq) > ($1, $2) \
     ORDER BY chain, seq LIMIT $3";

const BY_TIME: &str = "SELECT chain, seq, at_ms, record FROM audit_record WHERE (at_ms, chain, seq) > ($1, $2, $3) \
     ORDER BY at_ms, chain, seq LIMIT $4";

const LAST: &str = "SELECT chain, seq, at_ms, record FROM audit_record \
     ORDER BY at_ms DESC, chain DESC, seq DESC LIMIT $1";

const ONE: &str = "SELECT chain, seq, at_ms, record FROM audit_record WHERE chain = $1 AND seq = $2";

impl Maintenance {
    /// At most `limit` batches of audit records behind one of them, chain by chain.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn audit_by_chain(&self, after: (&str, u64), limit: u64) -> Result<Vec<Row>, DbErr> {
        let values = [Value::from(after.0), number(after.1), number(limit)];
        self.rows(BY_CHAIN, values).await?.iter().map(row).collect()
    }

    /// At most `limit` batches of audit records behind one of them, in the order of their times.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn audit_by_time(&self, after: (i64, &str, u64), limit: u64) -> Result<Vec<Row>, DbErr> {
        let values = [
            Value::from(after.0),
            Value::from(after.1),
            number(after.2),
            number(limit),
        ];
        self.rows(BY_TIME, values).await?.iter().map(row).collect()
    }

    /// The newest batches of audit records, at most `count`, in the order of their times.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn last_audit(&self, count: u64) -> Result<Vec<Row>, DbErr> {
        let rows = self.rows(LAST, [number(count)]).await?;
        rows.iter().rev().map(row).collect()
    }

    /// The batch of audit records that ends with this one.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn audit_record(&self, chain: &str, seq: u64) -> Result<Option<Row>, DbErr> {
        let rows = self.rows(ONE, [Value::from(chain), number(seq)]).await?;
        rows.first().map(row).transpose()
    }
}
