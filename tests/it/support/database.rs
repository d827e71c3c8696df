//! What stands in a SQLite file, as text.

use std::collections::BTreeMap;
use std::path::Path;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};

/// Reads a database that others write at the same time.
pub struct Dump(DatabaseConnection);

impl Dump {
    pub async fn open(path: &Path) -> Self {
        Self(
            Database::connect(format!("sqlite://{}?mode=ro", path.display()))
                .await
                .unwrap(),
        )
    }

    /// All rows of all tables, by table.
    pub async fn tables(&self) -> BTreeMap<String, Vec<String>> {
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut tables = BTreeMap::new();
        for name in self.column(names).await {
            let columns = self
                .column(&format!("SELECT name FROM pragma_table_info('{name}')"))
                .await;
            let quoted: Vec<String> = columns
                .iter()
                .map(|column| format!("quote(\"{column}\")"))
                .collect();
            let row = quoted.join(" || '|' || ");
            let rows = self
                .column(&format!("SELECT {row} AS name FROM \"{name}\" ORDER BY 1"))
                .await;
            tables.insert(name, rows);
        }
        tables
    }

    async fn column(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        let rows = self.0.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
    }
}
