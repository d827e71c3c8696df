//! Keys that change, on SQLite and PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use a2ad::repository::conformance::{Sketch, scope};
use a2ad::repository::sea_orm::{Resealed, SeaOrmRepository};
use a2ad::repository::{Error, TaskRepository, TaskWrite};
use a2ad::secrets::{self, Keyring};

use super::{Place, config, keys};

const TASKS: usize = 3;
const CONFIGS: usize = 50;

/// Some tasks with configurations; the first came with the tasks' messages.
async fn fill(repository: &SeaOrmRepository) {
    let scope = scope("ada");
    for task in 0..TASKS {
        let id = format!("t{task}");
        let create = TaskWrite {
            push_configs: vec![config(&id, "c0")],
            ..Sketch::new(&scope, &id).create()
        };
        repository.commit(create).await.unwrap();
        for number in 1..CONFIGS {
            let config = config(&id, &format!("c{number}"));
            assert_eq!(
                repository.put_push_config(&scope, &config, CONFIGS).await,
                Ok(true)
            );
        }
    }
}

/// True if every configuration reads as it was stored.
async fn reads(repository: &SeaOrmRepository) -> Result<bool, Error> {
    let mut all = true;
    for task in 0..TASKS {
        let id = format!("t{task}");
        let read = repository.push_configs(&scope("ada"), &id).await?.unwrap();
        all &= read.len() == CONFIGS && read.iter().all(|read| *read == config(&id, &read.id));
    }
    Ok(all)
}

/// A key is changed as an operator does it: the new one with the old one beside it, everything sealed anew, the old one
/// away. Who has only the old one is told which is missing, and nothing is lost by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_without_a_loss() {
    const ALL: u64 = (TASKS * CONFIGS) as u64;
    for place in Place::both() {
        let repository = place.open(keys(1, &[])).await;
        fill(&repository).await;
        assert_eq!(reads(&repository).await, Ok(true));
        repository.close().await;
        drop(repository);

        let repository = place.open(keys(2, &[1])).await;
        assert_eq!(reads(&repository).await, Ok(true), "the former key opens");
        let maintenance = place.maintenance().await;
        let resealed = maintenance.reseal(&keys(2, &[1])).await.unwrap();
        assert_eq!((resealed.rows, resealed.changed), (ALL, 0));
        let again = maintenance.reseal(&keys(2, &[1])).await.unwrap();
        assert_eq!((again.rows, again.current), (0, ALL));
        assert_eq!(reads(&repository).await, Ok(true), "a server with both goes on");
        repository.close().await;
        drop(repository);

        let unknown = Error::Secrets(secrets::Error::UnknownKey(Keyring::new(&[2; 32], &[]).current()));
        let repository = place.open(keys(1, &[])).await;
        assert_eq!(reads(&repository).await, Err(unknown.clone()));
        let error = maintenance.reseal(&keys(1, &[])).await.unwrap_err().to_string();
        assert!(error.contains("secrets.previous_keys"), "{error}");
        assert!(
            maintenance.verify().await.unwrap().is_sound(),
            "no key is needed for it"
        );
        repository.close().await;
        drop(repository);

        let repository = place.open(keys(2, &[])).await;
        assert_eq!(reads(&repository).await, Ok(true), "the new key is enough");
        repository.close().await;
        maintenance.close().await.unwrap();
    }
}

/// A server that stores configurations while they are sealed anew loses none, and ends with the last of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_anew_takes_nothing_from_a_server_that_writes() {
    for place in Place::both() {
        let repository = place.open(keys(1, &[2])).await;
        fill(&repository).await;
        let maintenance = place.maintenance().await;
        let over = AtomicBool::new(false);
        let url = |round: usize| format!("https://example.com/{round}");
        let write = async {
            let mut round = 0;
            while round < 20 || !over.load(Ordering::SeqCst) {
                round += 1;
                let mut config = config("t1", "c7");
                config.url = url(round);
                let put = repository.put_push_config(&scope("ada"), &config, CONFIGS).await;
                assert_eq!(put, Ok(true));
            }
            round
        };
        let reseal = async {
            let mut passes = Vec::new();
            for _ in 0..5 {
                // Each pass undoes the one before, so that there is always something to do.
                for keys in [keys(2, &[1]), keys(1, &[2])] {
                    passes.push(maintenance.reseal(&keys).await.unwrap());
                }
            }
            over.store(true, Ordering::SeqCst);
            passes
        };
        let (rounds, passes) = tokio::join!(write, reseal);
        let seen = |pass: &Resealed| pass.rows + pass.current + pass.changed;
        assert!(
            passes.iter().all(|pass| seen(pass) == (TASKS * CONFIGS) as u64),
            "{passes:?}"
        );
        let read = repository
            .push_configs(&scope("ada"), "t1")
            .await
            .unwrap()
            .unwrap();
        let last = read.iter().find(|config| config.id == "c7").unwrap();
        assert_eq!(last.url, url(rounds), "an older configuration came back");
        assert_eq!(read.len(), CONFIGS);
        repository.close().await;
        maintenance.close().await.unwrap();
    }
}

/// Without a key, what holds a secret is refused before anything is stored of it or with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_nothing_secret_is_stored() {
    for place in Place::both() {
        let repository: Arc<SeaOrmRepository> = Arc::new(place.open(a2ad::secrets::KeySource::none()).await);
        let scope = scope("ada");
        let no_key = Error::Secrets(secrets::Error::NoKey);
        let create = TaskWrite {
            push_configs: vec![config("t", "c")],
            ..Sketch::new(&scope, "t").create()
        };
        assert_eq!(repository.commit(create).await, Err(no_key.clone()));
        assert_eq!(repository.get(&scope, "t").await, Ok(None));
        repository
            .commit(Sketch::new(&scope, "t").create())
            .await
            .unwrap();
        let secret = config("t", "c");
        assert_eq!(repository.put_push_config(&scope, &secret, 9).await, Err(no_key));
        let open = a2ad::repository::conformance::push_config("t", "c", super::URL);
        assert_eq!(repository.put_push_config(&scope, &open, 9).await, Ok(true));
        assert_eq!(repository.push_configs(&scope, "t").await, Ok(Some(vec![open])));
        repository.close().await;
    }
}
