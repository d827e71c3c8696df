//! The keys of a running server for webhooks, as receivers find them.

use a2ad::signature::PublicKeys;
use serde_json::Value;

use crate::cards_signed::Pen;
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World};

async fn ids(world: &World) -> Vec<String> {
    let reply = world
        .client(Wire::HttpJson)
        .http("GET", "/.well-known/jwks.json", "")
        .await;
    assert_eq!(reply.status, 200);
    PublicKeys::parse(&reply.body).unwrap();
    let set: Value = serde_json::from_slice(&reply.body).unwrap();
    let keys = set["keys"].as_array().unwrap();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    assert!(
        keys.iter()
            .all(|key| text(key, "use") == "sig" && key["d"].is_null())
    );
    keys.iter().map(|key| text(key, "kid")).collect()
}

#[tokio::test]
async fn webhooks_have_a_key_without_any_configuration_and_servers_with_one_secret_share_it() {
    let shared = |byte: &str| {
        let key = a2ad::config::Secret::new(byte.repeat(32));
        Scenario::new().set(move |config| config.secrets.key = Some(key))
    };
    let (one, other) = (shared("0a").start().await, shared("0a").start().await);
    let found = ids(&one).await;
    assert_eq!((found.len(), &found), (1, &ids(&other).await));
    assert_ne!(ids(&shared("0b").start().await).await, found);

    // The key file of SQLite is there from the start, and the former key stays published.
    let world = Scenario::new().sqlite().start().await;
    let of_file = ids(&world).await;
    assert_eq!(of_file.len(), 1);
    assert!(world.database().with_extension("db.key").exists());
}

#[tokio::test]
async fn configured_keys_are_published_once_each() {
    let (card, push, next) = (Pen::new("ES256"), Pen::new("EdDSA"), Pen::new("ES256"));
    let thumbprint = |pen: &Pen| {
        let key = a2ad::signature::SigningKey::read(&pen.path(), None, None).unwrap();
        key.id().to_owned()
    };
    let world = Scenario::new()
        .set(|config| config.card.signing_key_file = Some(card.path()))
        .start()
        .await;
    assert_eq!(
        ids(&world).await,
        [thumbprint(&card)],
        "that of cards signs webhooks too"
    );
    let world = Scenario::new()
        .set(|config| {
            config.card.signing_key_file = Some(card.path());
            config.push.signing_key_file = Some(push.path());
            config.push.published_key_files = vec![next.path(), push.path()];
        })
        .start()
        .await;
    assert_eq!(
        ids(&world).await,
        [thumbprint(&card), thumbprint(&push), thumbprint(&next)]
    );
}
