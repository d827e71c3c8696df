//! A SQLite file as nobody should treat it: beside the program that owns it, row by row and bit by bit.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, QueryResult, Statement, Value};

pub struct Raw(DatabaseConnection);

impl Raw {
    pub async fn open(path: &Path) -> Self {
        let url = format!("sqlite://{}?mode=rw", path.display());
        let mut options = sea_orm::ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        Self(Database::connect(options).await.unwrap())
    }

    pub async fn execute(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap();
    }

    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        self.0.query_all_raw(statement).await.unwrap()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let rows = self.rows(&format!("SELECT COUNT(*) AS n FROM {table}")).await;
        rows[0].try_get("", "n").unwrap()
    }

    /// A stored blob.
    pub async fn blob(&self, table: &str, column: &str, which: &str) -> Vec<u8> {
        let rows = self
            .rows(&format!("SELECT {column} AS bytes FROM {table} WHERE {which}"))
            .await;
        rows[0].try_get("", "bytes").unwrap()
    }

    /// Flips one bit of a stored blob; twice is as if nothing had been.
    pub async fn flip(&self, table: &str, column: &str, which: &str, bit: usize) {
        let mut bytes = self.blob(table, column, which).await;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let sql = format!("UPDATE {table} SET {column} = ? WHERE {which}");
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [Value::from(bytes)]);
        let changed = self.0.execute_raw(statement).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{table}.{column} where {which}");
    }

    pub async fn close(self) {
        self.0.close().await.unwrap();
    }
}
