//! API keys from their making to their end, by the program that an operator uses.

use std::path::Path;
use std::process::Command;

use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;

use super::scope_role;
use crate::support::raw::Raw;
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World};

/// Runs `a2ad keys` on a database: whether it went well, and what it printed.
fn keys(database: &Path, arguments: &[&str]) -> (bool, String) {
    let (command, rest) = arguments.split_first().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_a2ad"))
        .args(["keys", command, "--database"])
        .arg(format!("sqlite://{}", database.display()))
        .args(rest)
        .output()
        .unwrap();
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8(text).unwrap().trim().to_owned(),
    )
}

async fn world() -> World {
    Scenario::new()
        .sqlite()
        .set(|config| {
            config.auth.api_keys.enabled = true;
            config.auth.api_keys.cache_ttl_ms = 0;
            config
                .access
                .roles
                .insert("reader".to_owned(), scope_role("read", &["read"]));
        })
        .start()
        .await
}

async fn ask(world: &World, wire: Wire, key: &str) -> Result<(), crate::support::wire::WireError> {
    let client = world.client(wire).with("x-api-key", key);
    client.call(ListTasksRequest::default()).await.map(drop)
}

#[tokio::test]
async fn a_key_works_from_its_making_to_its_revocation() {
    let world = world().await;
    let database = world.database();
    let (made, key) = keys(
        &database,
        &["create", "ci", "--scope", "read", "--scope", "other"],
    );
    assert!(
        made && key.starts_with("a2ad_") && key.lines().count() == 1,
        "{key}"
    );
    let (_, powerless) = keys(&database, &["create", "nobody"]);
    for wire in Wire::ALL {
        ask(&world, wire, &key).await.unwrap();
        ask(&world, wire, &powerless)
            .await
            .unwrap_err()
            .is(Kind::PermissionDenied);
    }
    let id = key.split('_').nth(1).unwrap();
    let (_, list) = keys(&database, &["list"]);
    assert!(
        list.contains(id) && list.contains("key:ci") && list.contains("[read other]"),
        "{list}"
    );
    assert!(!list.contains(&key) && list.lines().count() == 2, "{list}");
    assert!(keys(&database, &["revoke", id]).0);
    for wire in Wire::ALL {
        ask(&world, wire, &key)
            .await
            .unwrap_err()
            .is(Kind::Unauthenticated);
    }
    let (_, list) = keys(&database, &["list", "--json"]);
    assert!(
        list.lines()
            .any(|line| line.contains(id) && line.contains("\"revoked\":\"20")),
        "{list}"
    );
    let (known, error) = keys(&database, &["revoke", "0123456789abcdef01234567"]);
    assert!(!known && error.contains("a2ad keys list"), "{error}");
}

#[tokio::test]
async fn what_is_no_key_of_ours_is_refused() {
    let world = world().await;
    let (_, key) = keys(&world.database(), &["create", "ci", "--scope", "read"]);
    let (head, secret) = key.rsplit_at_id();
    let bad = [
        String::new(),
        "x".to_owned(),
        head.to_owned(),
        key[..key.len() - 1].to_owned(),
        format!("{key}A"),
        key.to_uppercase(),
        format!("A2AD{}", &key[4..]),
        format!("{head}_{}", "A".repeat(secret.len())),
        format!("a2ad_000000000000000000000000_{secret}"),
        format!("a2ad_' OR 1=1 --_{secret}"),
        format!("a2ad__{secret}"),
        format!("Bearer {key}"),
    ];
    for text in &bad {
        for wire in Wire::ALL {
            let error = ask(&world, wire, text)
                .await
                .expect_err(text)
                .is(Kind::Unauthenticated);
            let challenge = error.headers["www-authenticate"].to_str().unwrap();
            assert_eq!(challenge, "ApiKey realm=\"a2ad\", header=\"x-api-key\"");
        }
    }
    for wire in Wire::ALL {
        let as_token = world.client(wire).with("authorization", &format!("Bearer {key}"));
        let error = as_token.call(ListTasksRequest::default()).await.unwrap_err();
        error.is(Kind::Unauthenticated);
        ask(&world, wire, &key).await.unwrap();
    }
}

trait SplitKey {
    /// What stands before the secret, and the secret.
    fn rsplit_at_id(&self) -> (&str, &str);
}

impl SplitKey for String {
    fn rsplit_at_id(&self) -> (&str, &str) {
        let place = "a2ad_0123456789abcdef01234567".len();
        (&self[..place], &self[place + 1..])
    }
}

#[tokio::test]
async fn a_key_has_an_end_and_its_hash_is_all_that_is_kept() {
    let world = world().await;
    let database = world.database();
    let (_, key) = keys(&database, &["create", "ci", "--scope", "read", "--days", "1"]);
    ask(&world, Wire::Grpc, &key).await.unwrap();
    let raw = Raw::open(&database).await;
    raw.execute("UPDATE api_key SET expires_ms = 1000").await;
    let error = ask(&world, Wire::Grpc, &key)
        .await
        .unwrap_err()
        .is(Kind::Unauthenticated);
    assert!(error.message.contains("expired"), "{error:?}");
    raw.close().await;
    let secret = key.rsplit_at_id().1;
    for file in std::fs::read_dir(database.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "the secret is in a file");
    }
}

#[test]
fn names_and_scopes_are_words() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("a.db");
    for arguments in [
        &["create", "two words"][..],
        &["create", ""],
        &["create", "a\nb"],
        &["create", "a", "--scope", "x y"],
        &["create", "a", "--organisation", "\"b\""],
    ] {
        let (made, error) = keys(&database, arguments);
        assert!(!made && error.contains("visible ASCII"), "{arguments:?}: {error}");
    }
}
