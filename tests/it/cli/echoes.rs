//! Agents that say back what they were shown: nothing but results repeats a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::compliance::site::{Asked, Reply, Site, task};
use super::harness::{Run, User};
use crate::client::script::{Got, Script};

const TOKEN: &str = "secret-token-4711";
const KEY: &str = "secret/key%4712";
const PARAMETER: &str = "secret \"parameter\" 4713";
const PASSWORD: &str = "secret-password-4714";
const CLIENT_SECRET: &str = "secret-client-4715";

fn bearer() -> Value {
    json!({"b": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}})
}

fn api_key(location: &str) -> Value {
    json!({"k": {"apiKeySecurityScheme": {"location": location, "name": "x-api-key"}}})
}

/// Everything that came, as text.
fn said(asked: &Asked) -> String {
    let headers = asked
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    format!("{} {}", asked.target, headers.collect::<Vec<_>>().join("; "))
}

/// An agent that refuses everything, in the words that it heard.
fn refusing(schemes: &Value, status: u16, name: &'static str) -> Site {
    let required: Vec<Value> = schemes
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| json!({"schemes": {name: {"list": []}}}))
        .collect();
    let more = json!({"securitySchemes": schemes, "securityRequirements": required});
    Site::agent(more, move |asked, _| {
        let said = said(asked);
        let body = json!({"error": {"code": status, "status": name, "message": said, "details": [
            {"@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": said, "description": said}]},
        ]}});
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Said", said.clone()),
        ];
        Reply::Raw(status, headers, body.to_string())
    })
}

/// Nothing of a run but its results has one of these texts, and it is to be seen where they stood.
fn assert_hidden(run: &Run, secrets: &[&str], what: &str) {
    let is_failure = run.code != 0;
    for secret in secrets {
        assert!(!run.err.contains(secret), "{what}: {secret} in {}", run.err);
        assert!(
            !(is_failure && run.out.contains(secret)),
            "{what}: {secret} in {}",
            run.out
        );
    }
    let printed = format!("{}{}", run.out, run.err);
    assert!(printed.contains("***"), "{what}: {printed}");
}

const FORMS: [&[&str]; 4] = [
    &[],
    &["-o", "json"],
    &["--debug"],
    &["--debug", "--verbose", "--stream"],
];

#[test]
fn a_refusal_in_the_words_of_the_caller_repeats_no_secret() {
    let mut user = User::new();
    let basic = format!("Basic {}", STANDARD.encode(format!("me:{PASSWORD}")));
    let basic_parameter = format!("authorization:{basic}");
    let parameter = format!("x-anything:{PARAMETER}");
    let parameters = ["--svc-param", &parameter, "--svc-param", &basic_parameter];
    for (status, name) in [
        (401, "UNAUTHENTICATED"),
        (400, "INVALID_ARGUMENT"),
        (500, "INTERNAL"),
    ] {
        for (variable, secret, scheme) in [
            ("A2ACLI_BEARER", TOKEN, bearer()),
            ("A2ACLI_API_KEY", KEY, api_key("header")),
            ("A2ACLI_API_KEY", KEY, api_key("query")),
            ("A2ACLI_UNUSED", PASSWORD, json!({})),
        ] {
            user.environment = vec![(variable.to_owned(), secret.to_owned())];
            let site = refusing(&scheme, status, name);
            for form in FORMS {
                let url = site.url();
                let send = ["send", "-a", &url, "hello"];
                let more = match variable {
                    "A2ACLI_UNUSED" => &parameters[..],
                    _ => &parameters[..2],
                };
                let run = user.run(&[&send[..], more, form].concat());
                assert_ne!(run.code, 0, "{}", run.out);
                let encoded = basic.strip_prefix("Basic ").unwrap();
                let escaped = ["secret%2Fkey%254712", "secret \\\"parameter\\\" 4713"];
                let secrets = [TOKEN, KEY, PARAMETER, PASSWORD, encoded, escaped[0], escaped[1]];
                assert_hidden(&run, &secrets, &format!("{status} {scheme} {form:?}"));
            }
            // It was shown what it said back.
            let all = site.all();
            let shown = all.iter().map(said).collect::<String>();
            let expected = match (variable, scheme["k"]["apiKeySecurityScheme"]["location"].as_str()) {
                ("A2ACLI_UNUSED", _) => &*basic,
                (_, Some("query")) => "secret%2Fkey%254712",
                _ => secret,
            };
            assert!(shown.contains(expected) && shown.contains(PARAMETER), "{shown}");
        }
    }
}

#[test]
fn results_are_the_agents_and_what_is_told_of_them_is_not() {
    let mut user = User::new();
    user.environment = vec![("A2ACLI_BEARER".to_owned(), TOKEN.to_owned())];
    let streaming = json!({"capabilities": {"streaming": true}, "securitySchemes": bearer(),
        "securityRequirements": [{"schemes": {"b": {"list": []}}}]});
    let site = Site::agent(streaming, |asked, _| {
        let said = asked.header("authorization").unwrap_or_default().to_owned();
        let mut done = task(&said, "INPUT_REQUIRED");
        done["artifacts"] = json!([{"artifactId": "a", "parts": [{"text": said}]}]);
        match asked.path() {
            "/message:stream" => Reply::Events(vec![json!({ "task": done })]),
            _ => Reply::Json(200, done),
        }
    });
    for form in FORMS {
        let url = site.url();
        let run = user.run(&[&["send", "-a", &url, "hello"][..], form].concat());
        assert_eq!(run.code, 0, "{} {}", run.out, run.err);
        assert!(run.out.contains(TOKEN), "{}", run.out);
        assert_hidden(&run, &[TOKEN], &format!("{form:?}"));
    }
    let report = user.run(&["conformance", "-a", &site.url(), "-o", "json"]);
    assert_eq!(report.code, 0, "{}", report.err);
    assert!(!report.out.contains(TOKEN), "{}", report.out);
    assert!(report.json()["failed"].as_u64() > Some(0), "{}", report.out);
}

/// The library quotes no more than 200 letters of a place and keeps no more than 4 KiB of a text: wherever it cuts.
#[test]
fn what_is_cut_off_repeats_no_part_of_a_secret() {
    const LONG: &str = "kq7-zx9-4718-wv3-with-more-behind-it";
    let mut user = User::new();
    user.environment = vec![("A2ACLI_BEARER".to_owned(), LONG.to_owned())];
    let more =
        json!({"securitySchemes": bearer(), "securityRequirements": [{"schemes": {"b": {"list": []}}}]});
    for seen in [6, 13, LONG.len() - 1] {
        let before =
            |start: &str, length: usize| format!("{start}{}", "-".repeat(length - start.len() - seen));
        let place = format!("{}{LONG}/and/more", before("http://elsewhere.example/", 200));
        let text = format!("{}{LONG} and more", before("no: ", 4 << 10));
        for status in [307, 400] {
            let (place, text) = (place.clone(), text.clone());
            let site = Site::agent(more.clone(), move |_, _| {
                let body = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": text}});
                let headers = vec![
                    ("Content-Type", "application/json".to_owned()),
                    ("Location", place.clone()),
                ];
                Reply::Raw(status, headers, body.to_string())
            });
            for form in FORMS {
                let url = site.url();
                let run = user.run(&[&["send", "-a", &url, "hello"][..], form].concat());
                assert_ne!(run.code, 0, "{}", run.out);
                assert_hidden(&run, &[&LONG[..6]], &format!("{status} {seen} {form:?}"));
            }
        }
    }
}

/// Escapes that serializers of other languages write, in small letters and in capitals.
#[test]
fn what_is_escaped_in_another_way_is_hidden_too() {
    const ODD: &str = "k/4719+zqz&<me>=";
    let mut user = User::new();
    user.environment = vec![("A2ACLI_API_KEY".to_owned(), ODD.to_owned())];
    let more = json!({"securitySchemes": api_key("header"),
        "securityRequirements": [{"schemes": {"k": {"list": []}}}]});
    for said in [
        r"k\/4719+zqz&<me>=",
        r"k/4719\u002Bzqz\u0026\u003Cme\u003E\u003D",
        r"k\/4719\u002bzqz\u0026\u003cme\u003e=",
        r"k\u002f\u0034719+zqz&<me\u003E=",
        "k%2F4719%2Bzqz%26%3Cme%3E%3D",
        "k%2f4719%2bzqz%26%3cme%3e%3d",
        "%6B/47%319+zqz%26<me>%3D",
        r"k%2f4719%2Bzqz\u0026<me>=",
    ] {
        let site = Site::agent(more.clone(), move |_, _| {
            let body = format!(
                r#"{{"error":{{"code":400,"status":"INVALID_ARGUMENT","message":"once {said} and {}"}}}}"#,
                said.replace('\\', r"\\")
            );
            Reply::Raw(400, vec![("Content-Type", "application/json".to_owned())], body)
        });
        for form in FORMS {
            let url = site.url();
            let run = user.run(&[&["send", "-a", &url, "hello"][..], form].concat());
            assert_eq!(run.code, 1, "{}", run.out);
            // Nothing of it is left, in any form.
            assert_hidden(
                &run,
                &["4719", "47%319", "0034719", "zqz"],
                &format!("{said} {form:?}"),
            );
        }
    }
}

/// Each cookie is one secret, wherever it stands among others.
#[test]
fn each_cookie_is_hidden_by_itself() {
    let user = User::new();
    let site = Site::agent(json!({}), |_, _| {
        let message = "the session sess-4720 is not that of the user four-4721; theme=dark";
        Reply::Json(
            403,
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": message}}),
        )
    });
    for form in FORMS {
        let url = site.url();
        let cookies = "cookie:session=sess-4720; theme=dark; user=four-4721";
        let send = ["send", "-a", &url, "hello", "--svc-param", cookies];
        let run = user.run(&[&send[..], form].concat());
        assert_eq!(run.code, 4, "{} {}", run.out, run.err);
        assert_hidden(&run, &["sess-4720", "four-4721"], &format!("{form:?}"));
    }
}

/// The status of gRPC has a text that is escaped, and details that are base64.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_by_grpc_repeats_no_secret() {
    let script = Script::new(|got: &Got| {
        let host = got.head.headers.get("host").and_then(|host| host.to_str().ok());
        if got.head.method == http::Method::GET {
            let card = json!({
                "name": "Echo", "description": "Says it back", "version": "1", "skills": [],
                "defaultInputModes": ["*/*"], "defaultOutputModes": ["*/*"], "capabilities": {},
                "securitySchemes": {"k": {"apiKeySecurityScheme": {"location": "header", "name": "x-api-key"}}},
                "securityRequirements": [{"schemes": {"k": {"list": []}}}],
                "supportedInterfaces": [{"url": format!("http://{}", host.unwrap_or_default()),
                    "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
            });
            let response = Response::builder().header("content-type", "application/json");
            return response.body(Full::new(Bytes::from(card.to_string()))).unwrap();
        }
        let said = got.head.headers["x-api-key"].to_str().unwrap();
        let details = STANDARD.encode(format!("\u{8}\u{10}\u{12}\u{f}{said}"));
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "16")
            .header("grpc-message", said.replace('%', "%25"))
            .header("grpc-status-details-bin", details)
            .header("x-said", said);
        response.body(Full::default()).unwrap()
    })
    .await;
    let address = script.address.to_string();
    let runs = tokio::task::spawn_blocking(move || {
        let mut user = User::new();
        user.environment = vec![("A2ACLI_API_KEY".to_owned(), KEY.to_owned())];
        FORMS.map(|form| user.run(&[&["send", "-a", &address, "hello"][..], form].concat()))
    });
    let encoded = STANDARD.encode(KEY);
    for run in runs.await.unwrap() {
        assert_eq!(run.code, 4, "{} {}", run.out, run.err);
        assert_hidden(&run, &[KEY, "secret/key%254712", &encoded], "gRPC");
    }
    let got = script.got();
    assert!(got.iter().any(|got| got.head.version == http::Version::HTTP_2));
}

/// The authorization server is a stranger too.
#[test]
fn an_authorization_server_that_says_it_back_is_not_repeated() {
    let mut user = User::new();
    let schemes = json!({"s": {"oauth2SecurityScheme": {"flows": {"clientCredentials": {
        "tokenUrl": "BASE/token", "scopes": {}}}}}});
    let more =
        json!({"securitySchemes": schemes, "securityRequirements": [{"schemes": {"s": {"list": []}}}]});
    let strict = Site::agent(more.clone(), |asked, _| {
        let body = json!({"error": "invalid_client", "error_description": said(asked)});
        Reply::Json(401, body)
    });
    user.environment = vec![("A2ACLI_CLIENT_SECRET".to_owned(), CLIENT_SECRET.to_owned())];
    let encoded = STANDARD.encode(format!("me:{CLIENT_SECRET}"));
    for form in [&[][..], &["-o", "json"], &["--debug"]] {
        let url = strict.url();
        let login = ["auth", "login", "-a", &url, "--client-id", "me"];
        let run = user.run(&[&login[..], form].concat());
        assert_eq!(run.code, 4, "{} {}", run.out, run.err);
        assert_hidden(&run, &[CLIENT_SECRET, &encoded], &format!("{form:?}"));
    }
    assert!(
        strict
            .asked("/token")
            .iter()
            .any(|asked| said(asked).contains(&encoded))
    );
    // Nor is the token that a good one gave, by the agent that is shown it.
    let site = Site::agent(more, |asked, _| match asked.path() {
        "/token" => Reply::Json(
            200,
            json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}),
        ),
        _ => Reply::Json(
            403,
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": said(asked)}}),
        ),
    });
    let url = site.url();
    let run = user.run(&["auth", "login", "-a", &url, "--client-id", "me"]);
    assert_eq!(run.code, 0, "{} {}", run.out, run.err);
    user.environment.clear();
    for form in FORMS {
        let run = user.run(&[&["send", "-a", &url, "hello"][..], form].concat());
        assert_eq!(run.code, 4, "{} {}", run.out, run.err);
        assert_hidden(&run, &[TOKEN, CLIENT_SECRET], &format!("{form:?}"));
    }
}
