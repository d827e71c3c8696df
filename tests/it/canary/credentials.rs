//! Credentials that are taken: a token, an API key and the keys of the runtime itself, used and used wrongly, and then
//! looked for.

use std::process::Command;

use serde_json::json;

use super::search::{Canary, Haystack, found_in};
use super::start;
use crate::audit::program::Place;
use crate::binary::PROGRAM;
use crate::identity::issuer::{AUDIENCE, FileIssuer, ISSUER};
use crate::support::engine::eventually;

/// The configuration behind that of every place.
fn config(issuer: &FileIssuer, key: &str) -> String {
    format!(
        "[auth.issuers.idp]\nissuer = \"{ISSUER}\"\naudiences = [\"{AUDIENCE}\"]\nkeys_file = \"{}\"\n\
         [auth.api_keys]\nenabled = true\n[secrets]\nkey = \"{key}\"\n[database]\nurl = \"sqlite://a2ad.db\"\n",
        issuer.path().display()
    )
}

fn new_api_key(place: &Place) -> String {
    let output = Command::new(PROGRAM)
        .args(["keys", "create", "ci", "--scope", "read", "--config", "a2ad.toml"])
        .current_dir(place.files.path(""))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_that_is_taken_shows() {
    let issuer = FileIssuer::new();
    let secret_key = Canary::hex("secrets.key");
    let place = Place::new(&config(&issuer, &secret_key.text));
    let api_key = new_api_key(&place);
    let running = start(&place).await;
    let caller = place.caller_at(running.port, "a").await;
    let good = issuer.issuer.token(&issuer.issuer.claims("ada"));
    let expired = issuer.issuer.token_of("ada", json!({"exp": 1}));
    let other = issuer.issuer.token_of("ada", json!({"aud": "other"}));
    let wrong_key = format!("{}{}", &api_key[..api_key.len() - 2], "zz");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "not-there"}});
    let mut answers = String::new();
    for (name, value, status) in [
        ("authorization", format!("Bearer {good}"), 200),
        ("authorization", format!("Bearer {expired}"), 401),
        ("authorization", format!("Bearer {other}"), 401),
        ("authorization", format!("Bearer {good}x"), 401),
        ("x-api-key", api_key.clone(), 200),
        ("x-api-key", wrong_key.clone(), 401),
    ] {
        let (got, text) = caller.http("POST", "/", &[(name, &value)], &body).await;
        assert_eq!(got, status, "{text}");
        answers.push_str(&text);
    }
    let read = |name: &str| std::fs::read(place.files.path(name)).unwrap();
    eventually(async || {
        String::from_utf8_lossy(&read("audit.jsonl"))
            .matches("not-there")
            .count()
            >= 2
    })
    .await;
    let database = [read("a2ad.db"), read("a2ad.db-wal")].concat();
    let listed = place.run(&["keys", "list", "--config", "a2ad.toml"]);
    let checked = place.run(&["config", "check", "--config", "a2ad.toml"]);
    drop(running);

    // Of a token the signature, of a key the secret: what stands before it is no secret.
    let secret_of = |text: &str, mark: char| text.rsplit_once(mark).unwrap().1.to_owned();
    let api_secret = api_key["a2ad_0123456789abcdef01234567_".len()..].to_owned();
    let canaries = [
        Canary::exactly("good token", &secret_of(&good, '.')),
        Canary::exactly("expired token", &secret_of(&expired, '.')),
        Canary::exactly("token for others", &secret_of(&other, '.')),
        Canary::exactly("api key", &api_secret),
        Canary::exactly(
            "wrong api key",
            &wrong_key["a2ad_0123456789abcdef01234567_".len()..],
        ),
        secret_key,
    ];
    let places = [
        ("standard output", read("stdout")),
        ("log", read("stderr")),
        ("audit file", read("audit.jsonl")),
        ("database", database),
        ("answers", answers.into_bytes()),
        ("keys list", [listed.stdout, listed.stderr].concat()),
        ("config check", [checked.stdout, checked.stderr].concat()),
    ];
    let mut searches = 0;
    for (name, bytes) in &places {
        let bytes = Haystack::new(bytes);
        for canary in &canaries {
            searches += 1;
            assert_eq!(found_in(&bytes, canary), None, "{} in {name}", canary.name);
        }
    }
    // The id of the key is what an operator needs, and is there to be found.
    let id = Canary::exactly("id of the key", &api_key[5..29]);
    for name in ["audit file", "database", "keys list"] {
        let bytes = &places.iter().find(|(place, _)| *place == name).unwrap().1;
        assert!(found_in(&Haystack::new(bytes), &id).is_some(), "{name}");
    }
    println!(
        "{searches} searches for {} credentials, none shown",
        canaries.len()
    );
}
