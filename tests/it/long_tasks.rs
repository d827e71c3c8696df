//! Long tasks are read out of their database once, and are what the database says all the same.

use std::path::Path;

use a2ad::repository::conformance::{Sketch, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::repository::{Error, TaskRepository as _};
use a2ad::shutdown::Shutdown;
use tempfile::TempDir;

use crate::support::raw::Raw;

async fn open(path: &Path, settings: &DatabaseSettings) -> SeaOrmRepository {
    SeaOrmRepository::open_sqlite(path, settings, &Shutdown::new())
        .await
        .unwrap()
}

/// A database with a task that has begun.
struct Begun {
    _folder: TempDir,
    path: std::path::PathBuf,
    repository: SeaOrmRepository,
    sketch: Sketch,
}

impl Begun {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let repository = open(&path, &DatabaseSettings::default()).await;
        let mut sketch = Sketch::new(&scope("ada"), "long");
        repository.commit(sketch.create()).await.unwrap();
        Self {
            _folder: folder,
            path,
            repository,
            sketch,
        }
    }

    /// A long text, with a snapshot behind it.
    async fn grow(&mut self) {
        let long = self.sketch.chunks(&[&"a long text ".repeat(4_000)]);
        let write = self.sketch.with_snapshot(long);
        self.repository.commit(write).await.unwrap();
    }

    async fn write(&mut self, text: &str) {
        let write = self.sketch.chunks(&[text]);
        self.repository.commit(write).await.unwrap();
    }

    async fn reads_as(&self, sketch: &Sketch) {
        let read = self.repository.get(&sketch.scope, "long").await;
        assert_eq!(read, Ok(Some(sketch.stored())));
    }

    async fn harm(&self, sql: &str) {
        Raw::open(&self.path).await.execute(sql).await;
    }

    /// Another process on the same database.
    async fn reopen(self, settings: &DatabaseSettings) -> Self {
        self.repository.close().await;
        drop(self.repository);
        Self {
            repository: open(&self.path, settings).await,
            ..self
        }
    }
}

/// Damage to a snapshot shows to whoever reads it for the first time, and to `verify`.
#[tokio::test]
async fn the_snapshot_of_a_long_task_is_read_once() {
    let mut begun = Begun::new().await;
    begun.grow().await;
    let mut begun = begun.reopen(&DatabaseSettings::default()).await;
    begun.reads_as(&begun.sketch).await;
    begun
        .harm("UPDATE task_log SET snapshot = x'00' WHERE snapshot IS NOT NULL")
        .await;
    begun.reads_as(&begun.sketch).await;
    begun.write("one more").await;
    begun.reads_as(&begun.sketch).await;
    let forgetful = DatabaseSettings {
        snapshot_cache_bytes: 0,
        ..DatabaseSettings::default()
    };
    for settings in [DatabaseSettings::default(), forgetful] {
        begun = begun.reopen(&settings).await;
        let found = begun.repository.get(&begun.sketch.scope, "long").await;
        assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
    }
}

/// Who puts a database back under a running server should stop it first; long tasks are read as they are then all the
/// same.
#[tokio::test]
async fn a_long_task_that_was_put_back_is_read_as_it_is() {
    let mut begun = Begun::new().await;
    let before = begun.sketch.clone();
    begun.grow().await;
    begun.reads_as(&begun.sketch).await;
    begun.harm("DELETE FROM task_log WHERE last_generation > 1").await;
    begun
        .harm("UPDATE task SET generation = 1, snapshot_generation = 0")
        .await;
    begun.reads_as(&before).await;
    begun.reads_as(&before).await;
}

/// Who reads a running task again and again does not read all that has come since its snapshot each time.
#[tokio::test]
async fn many_events_behind_a_snapshot_are_read_once() {
    let mut begun = Begun::new().await;
    for _ in 0..100 {
        begun.write(&"a long text ".repeat(100)).await;
    }
    begun.reads_as(&begun.sketch).await;
    begun.harm("UPDATE task_log SET events = x'00'").await;
    begun.reads_as(&begun.sketch).await;
    begun.write("one more").await;
    begun.reads_as(&begun.sketch).await;
}
