//! Cards from the command line: what is kept of them, what is said of bad ones, and how much is shown of extended ones.

use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::compliance::site::{self, Reply, Site};
use super::harness::{Run, User};
use crate::client::script::Script;

/// A place that has one card, which may be kept for a while.
async fn kept_for(seconds: u32) -> Script {
    let card = site::card("http://127.0.0.1:1", &json!({})).to_string();
    Script::new(move |_| {
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("cache-control", format!("max-age={seconds}"));
        response.body(Full::new(card.clone().into())).unwrap()
    })
    .await
}

async fn run(user: User, arguments: &[&str]) -> (Run, User) {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let run = user.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        (run, user)
    });
    ran.await.unwrap()
}

/// From one run to the next, for one user, and as long as its server allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_kept_for_its_user() {
    let place = kept_for(600).await;
    let address = place.address.to_string();
    let get = ["card", "get", "-a", &address, "-o", "json"];
    let mut user = User::new();
    for _ in 0..3 {
        let (first, back) = run(user, &get).await;
        assert_eq!(
            (first.code, &first.json()["name"]),
            (0, &json!("Scripted")),
            "{}",
            first.err
        );
        user = back;
    }
    assert_eq!(place.got().len(), 1, "asked for once");
    let folder = user.home().join(".cache/a2a-cli/cards");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

    // A file that somebody has damaged is no card.
    let file = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&file, "{").unwrap();
    let (again, mut user) = run(user, &get).await;
    assert_eq!((again.code, place.got().len()), (0, 2), "{}", again.err);

    // Whose certificates are not checked is kept for nobody, and what was kept is not taken for it.
    let insecure = [&get[..], &["--insecure"]].concat();
    for expected in [3, 4] {
        let (run, back) = run(user, &insecure).await;
        assert_eq!((run.code, place.got().len()), (0, expected), "{}", run.err);
        user = back;
    }
    let (other, _) = run(User::new(), &get).await;
    assert_eq!((other.code, place.got().len()), (0, 5), "another user has none");

    let place = kept_for(0).await;
    let address = place.address.to_string();
    let get = ["card", "get", "-a", &address];
    for _ in 0..2 {
        let (run, back) = run(user, &get).await;
        assert_eq!(run.code, 0, "{}", run.err);
        user = back;
    }
    assert_eq!(place.got().len(), 2);
}

/// A folder that can't be written costs the cache and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_folder_cards_are_fetched_each_time() {
    let place = kept_for(600).await;
    let address = place.address.to_string();
    let user = User::new();
    std::fs::write(user.home().join(".cache"), "no folder").unwrap();
    let get = ["card", "get", "-a", &address];
    let (first, user) = run(user, &get).await;
    let (second, _) = run(user, &get).await;
    assert_eq!((first.code, second.code), (0, 0), "{}{}", first.err, second.err);
    assert_eq!(place.got().len(), 2);
}

/// All that is wrong, each with its place; of a catalog's entry that of the entry alone.
#[test]
fn validation_lists_all_that_is_wrong() {
    let user = User::new();
    let mut bad = site::card("ftp://127.0.0.1", &json!({}));
    bad["version"] = json!("");
    bad["skills"][0]["id"] = json!("");
    bad["securityRequirements"] = json!([{"schemes": {"none": {}}}]);
    let good = site::card("http://127.0.0.1:1", &json!({"name": "Good"}));
    bad["name"] = json!("Bad");
    let catalog = json!({"agents": [good, bad]});
    let write = |name: &str, value: &Value| {
        std::fs::write(user.work().join(name), value.to_string()).unwrap();
    };
    write("bad.json", &bad);
    write("catalog.json", &catalog);
    let places = [
        "supportedInterfaces[0].url",
        "version",
        "skills[0].id",
        "securityRequirements[0].schemes.none",
    ];
    for reference in ["./bad.json", "./catalog.json#Bad"] {
        let run = user.run(&["card", "get", "-a", reference, "--validate", "-o", "json"]);
        assert_eq!(
            (run.code, run.failure().as_str()),
            (1, "A2ACLI_ERR_CARD_INVALID"),
            "{}",
            run.err
        );
        let message = run.json()["error"]["message"].to_string();
        for place in places {
            assert!(message.contains(place), "{reference} {place}: {message}");
        }
    }
    // Without being asked to, the command shows what there is.
    let shown = user.run(&["card", "get", "-a", "./bad.json"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(!shown.out.contains("Valid: "), "{}", shown.out);
    let valid = user.run(&["card", "get", "-a", "./catalog.json#Good", "--validate"]);
    assert_eq!(valid.code, 0, "{}", valid.err);
    assert!(
        valid.out.lines().any(|line| line == "Valid: yes"),
        "{}",
        valid.out
    );
    let both = user.run(&["card", "get", "-a", "./bad.json", "--validate", "--extended"]);
    assert_eq!(both.code, 2, "{}", both.err);
}

/// `--verbose` shows the skills of the card that is shown, which is the extended one.
#[test]
fn an_extended_card_is_shown_in_full() {
    let skill = json!({"skills": [{"id": "inner", "name": "Inner", "description": "For friends", "tags": ["x", "y"],
        "examples": ["try this"]}]});
    let agent = Site::agent(
        json!({"capabilities": {"extendedAgentCard": true}}),
        move |asked, base| match asked.path() {
            "/extendedAgentCard" => Reply::Json(200, site::card(base, &skill)),
            _ => Reply::Json(404, json!({})),
        },
    );
    let user = User::new();
    let get = ["card", "get", "-a", &agent.url()];
    let details = [
        "Skill description: For friends",
        "Skill tags: x, y",
        "Skill example: try this",
    ];
    for (more, is_extended, is_full) in [
        (&["--extended", "--verbose"][..], true, true),
        (&["--extended"], true, false),
        (&["--verbose"], false, false),
    ] {
        let run = user.run(&[&get[..], more].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        let has = |line: &str| run.out.lines().any(|other| other == line);
        assert_eq!(has("Skill: inner: Inner"), is_extended, "{more:?}: {}", run.out);
        for line in details {
            assert_eq!(has(line), is_full, "{more:?}: {line}: {}", run.out);
        }
    }
    let json = user.run(&[&get[..], &["--extended", "--verbose", "-o", "json"]].concat());
    assert_eq!(json.json()["skills"][0]["examples"], json!(["try this"]));
}
