//! The example receivers, in Rust and in Python, against the same requests over sockets.

#[path = "../../../examples/webhook_receiver/app.rs"]
mod app;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use a2ad::config::Secret;
use a2ad::egress::EgressClient;
use a2ad::shutdown::Shutdown;
use a2ad::signature::{SigningKey, jwk_set};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};

use super::{EVENT, Sent, key, keys};
use crate::cards_signed::Pen;
use crate::python;

const TOKEN: &str = "the-token-of-the-configuration";
/// How long a receiver may take to start and to print.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is printed, line by line.
type Lines = Arc<Mutex<Vec<String>>>;

/// An example that runs.
struct Running {
    /// Where it listens.
    address: String,
    lines: Lines,
    child: Option<Child>,
}

impl Running {
    /// What has been printed up to the delivery of this id, which comes in the order of the answers.
    async fn until(&self, id: &str) -> Vec<String> {
        let began = Instant::now();
        loop {
            let lines = self.lines.lock().unwrap().clone();
            if lines.iter().any(|line| line.starts_with(id)) {
                return lines;
            }
            assert!(began.elapsed() < PATIENCE, "{id} is not printed: {lines:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn in_rust(keys: &str, shutdown: &Shutdown) -> Running {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sender_keys = app::keys(keys, shutdown).await.unwrap();
    let token = Some(Secret::new(TOKEN.to_owned()));
    let (router, notifications) = app::receiver(super::URL, sender_keys, token).unwrap();
    let lines = Lines::default();
    let printed = lines.clone();
    shutdown.spawn("receiver", async move {
        let _ = axum::serve(listener, router).await;
    });
    shutdown.spawn(
        "printer",
        app::print(notifications, move |line| printed.lock().unwrap().push(line)),
    );
    Running {
        address,
        lines,
        child: None,
    }
}

fn in_python(keys: &str) -> Running {
    let mut child = Command::new(python::interpreter())
        .args(["examples/webhook_receiver/receiver.py", "--listen", "127.0.0.1:0"])
        .args(["--url", super::URL, "--keys", keys])
        .env("WEBHOOK_TOKEN", TOKEN)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = Lines::default();
    let (printed, stdout) = (lines.clone(), child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            printed.lock().unwrap().push(line);
        }
    });
    let (tell, told) = std::sync::mpsc::channel();
    let log = child.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            eprintln!("receiver.py: {line}");
            if let Some(address) = line.strip_prefix("ready ") {
                let _ = tell.send(address.to_owned());
            }
        }
    });
    Running {
        address: told.recv_timeout(PATIENCE).unwrap(),
        lines,
        child: Some(child),
    }
}

/// What time it is: the examples have the clock of the machine.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

fn good(sent: &Sent<'_>) -> Request<Bytes> {
    let mut request = sent.request();
    request
        .headers_mut()
        .insert("a2a-notification-token", HeaderValue::from_static(TOKEN));
    request
}

/// Sends the requests one after the other and expects these answers, and that only what is good is printed, once.
async fn tries(running: &Running, client: &EgressClient, signer: &SigningKey) {
    let sent = |id: &str| Sent {
        created: now(),
        ..Sent::new(signer, id)
    };
    let stranger = key(99);
    let first = good(&sent("good-1"));
    let changed = |change: fn(&mut Request<Bytes>)| {
        let mut request = good(&sent("changed"));
        change(&mut request);
        request
    };
    let requests = [
        ("a good one", 200, first.clone()),
        ("the same once more", 200, first.clone()),
        ("the same signed anew", 200, good(&sent("good-1"))),
        ("another good one", 200, good(&sent("good-2"))),
        (
            "another body",
            401,
            changed(|request| {
                *request.body_mut() = Bytes::from(EVENT.replace("WORKING", "FAILED!"));
            }),
        ),
        (
            "another id",
            401,
            changed(|request| {
                request
                    .headers_mut()
                    .insert("a2a-notification-id", HeaderValue::from_static("good-3"));
            }),
        ),
        (
            "no signature",
            401,
            changed(|request| {
                request.headers_mut().remove("signature");
            }),
        ),
        ("no token", 401, sent("changed").request()),
        (
            "another token",
            401,
            changed(|request| {
                request
                    .headers_mut()
                    .insert("a2a-notification-token", HeaderValue::from_static("other"));
            }),
        ),
        (
            "another method",
            405,
            changed(|request| *request.method_mut() = Method::PUT),
        ),
        (
            "another type",
            415,
            changed(|request| {
                request
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }),
        ),
        (
            "an old one",
            401,
            good(&Sent {
                created: now() - 400,
                ..sent("old")
            }),
        ),
        (
            "one of tomorrow",
            401,
            good(&Sent {
                created: now() + 3_600,
                ..sent("tomorrow")
            }),
        ),
        (
            "for another URL",
            401,
            good(&Sent {
                url: super::URL.replace("me", "you"),
                ..sent("elsewhere")
            }),
        ),
        (
            "of another key",
            401,
            good(&Sent {
                key: &stranger,
                ..sent("stranger")
            }),
        ),
        (
            "no event",
            400,
            good(&Sent {
                body: Bytes::from_static(b"nothing"),
                ..sent("nothing")
            }),
        ),
        ("the first one again", 200, first),
        ("the last one", 200, good(&sent("last"))),
    ];
    for (name, status, mut request) in requests {
        *request.uri_mut() = format!("http://{}/hooks", running.address).parse().unwrap();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
    }
    let lines = running.until("last").await;
    let ids: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(ids, ["good-1", "good-2", "last"]);
    for line in &lines {
        let (_, event) = line.split_once(' ').unwrap();
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["statusUpdate"]["taskId"], "t-1", "{line}");
    }
}

/// Both keys that sign, read from a file, by each receiver.
#[tokio::test]
async fn good_requests_are_printed_once_and_others_refused_in_rust_and_in_python() {
    let shutdown = Shutdown::new();
    let client = keys::client(&shutdown).await;
    for algorithm in ["ES256", "EdDSA"] {
        let pen = Pen::new(algorithm);
        let signer = pen.key("k");
        let file = pen.path().with_extension("json");
        std::fs::write(&file, jwk_set([&signer])).unwrap();
        let file = file.to_str().unwrap();
        tries(&in_rust(file, &shutdown).await, &client, &signer).await;
        tries(&in_python(file), &client, &signer).await;
    }
    shutdown.abort();
}
