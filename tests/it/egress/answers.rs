//! What hosts answer, and what they can't do by it. Over real sockets, with the resolver and the connections of the
//! system unless the test says otherwise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use a2ad::egress::{Egress, EgressClient, EgressPolicy, EgressSettings, Error};
use a2ad::server::ServerSettings;
use a2ad::shutdown::Shutdown;
use a2ad::tls::dev::{DevCa, Names, Validity};
use a2ad::tls::{ClientCertificates, TlsSettings, TlsSource};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::world::{World, settings, with_loopback};
use crate::sockets::{self, soon};

/// A host that answers each request with these bytes, and then with more of them for as long as they are read.
struct Host {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: mpsc::UnboundedReceiver<String>,
    closed: mpsc::UnboundedReceiver<()>,
}

#[derive(Clone, Copy)]
struct Script {
    answer: &'static str,
    then: Option<&'static str>,
}

impl Host {
    async fn new(answer: &'static str) -> Self {
        Self::with(Script { answer, then: None }).await
    }

    async fn with(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (heard, requests) = mpsc::unbounded_channel();
        let (close, closed) = mpsc::unbounded_channel();
        let count = connections.clone();
        Shutdown::new().spawn("host", async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (heard, close) = (heard.clone(), close.clone());
                Shutdown::new().spawn("connection", async move {
                    play(stream, script, &heard).await;
                    let _ = close.send(());
                });
            }
        });
        Self {
            address,
            connections,
            requests,
            closed,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Until the other side closes, or does not take any more.
async fn play(mut stream: TcpStream, script: Script, heard: &mpsc::UnboundedSender<String>) {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 1_024];
        match stream.read(&mut piece).await {
            Ok(read @ 1..) => request.extend_from_slice(&piece[..read]),
            _ => return,
        }
        if !request.windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        let _ = heard.send(String::from_utf8(std::mem::take(&mut request)).unwrap());
        if stream.write_all(script.answer.as_bytes()).await.is_err() {
            return;
        }
        while let Some(more) = script.then {
            if stream.write_all(more.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn client_with(settings: EgressSettings) -> EgressClient {
    let egress = Egress::open(settings, &Shutdown::new()).await.unwrap();
    egress.client(with_loopback())
}

async fn client() -> EgressClient {
    client_with(settings()).await
}

#[tokio::test]
async fn the_body_of_an_answer_comes_back_over_one_connection() {
    let mut host = Host::new("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    let client = client().await;
    for _ in 0..3 {
        assert_eq!(client.get(&host.url()).await, Ok(Bytes::from("hello")));
    }
    assert_eq!(host.connections(), 1);
    let request = host.requests.recv().await.unwrap();
    assert!(request.starts_with("GET /hook HTTP/1.1\r\n"), "{request}");
}

/// Headers and body are the caller's; what belongs to the connection is not.
#[tokio::test]
async fn a_request_goes_out_as_its_caller_made_it() {
    let mut host = Host::new("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-A: b\r\n\r\n").await;
    let request = Request::builder()
        .method(Method::POST)
        .uri(host.url())
        .header("x-a2a-notification-token", "abc")
        .header("host", "inner.example")
        .header("transfer-encoding", "chunked")
        .header("content-length", "99")
        .header("connection", "upgrade")
        .body(Bytes::from("{}"))
        .unwrap();
    let response = client().await.send(request).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["x-a"]),
        (StatusCode::ACCEPTED, &"b".parse().unwrap())
    );
    let heard = host.requests.recv().await.unwrap().to_lowercase();
    assert!(heard.starts_with("post /hook http/1.1\r\n"), "{heard}");
    for line in [
        "x-a2a-notification-token: abc",
        "content-length: 2",
        &format!("host: {}", host.address),
    ] {
        assert!(
            heard.contains(&format!("\r\n{line}\r\n")),
            "{line} is missing: {heard}"
        );
    }
    for word in ["inner.example", "chunked", "upgrade", "length: 99"] {
        assert!(!heard.contains(word), "{word}: {heard}");
    }
}

/// Every status that names another place, to a host that is reached if asked for by itself.
#[tokio::test]
async fn no_redirect_is_followed() {
    let target = Host::new("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
    for status in [300, 301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nLocation: {}\r\nRefresh: 0; url={}\r\nContent-Length: 0\r\n\r\n",
            target.url(),
            target.url()
        );
        let host = Host::new(answer.leak()).await;
        let client = client().await;
        assert_eq!(client.get(&host.url()).await, Err(Error::Status(status)));
        assert_eq!(host.connections(), 1);
    }
    assert_eq!(target.connections(), 0, "a redirect was followed");
    assert!(
        client().await.get(&target.url()).await.is_ok(),
        "it could have been reached"
    );
}

#[tokio::test]
async fn answers_that_are_too_large_are_cut() {
    let more = "x".repeat(8_192).leak();
    let chunk = format!("2000\r\n{more}\r\n").leak();
    let endless = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", &*more),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &*chunk),
        ("HTTP/1.1 200 OK\r\n\r\n", &*more),
    ];
    for (answer, more) in endless {
        let mut host = Host::with(Script {
            answer,
            then: Some(more),
        })
        .await;
        let ended = soon("the limit", client().await.get(&host.url())).await;
        assert_eq!(ended, Err(Error::TooLarge(65_536)), "{answer}");
        soon("the end of the connection", host.closed.recv()).await;
    }
    let fits = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n{}",
        "x".repeat(65_536)
    );
    let host = Host::new(fits.leak()).await;
    assert_eq!(
        client().await.get(&host.url()).await.map(|body| body.len()),
        Ok(65_536)
    );
}

#[tokio::test]
async fn headers_without_end_are_cut() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)).leak();
    let host = Host::new(many).await;
    let ended = client().await.get(&host.url()).await;
    assert!(matches!(ended, Err(Error::Http(_))), "{ended:?}");
    let mut endless = Host::with(Script {
        answer: "HTTP/1.1 200 OK\r\n",
        then: Some("x-filler: 0123456789012345678901234567890123456789\r\n"),
    })
    .await;
    let ended = soon("the limit", client().await.get(&endless.url())).await;
    assert!(matches!(ended, Err(Error::Http(_))), "{ended:?}");
    soon("the end of the connection", endless.closed.recv()).await;
}

#[tokio::test]
async fn answers_that_never_end_are_given_up() {
    let slow = EgressSettings {
        timeout: Duration::from_millis(200),
        ..settings()
    };
    for begun in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal",
    ] {
        let mut host = Host::new(begun).await;
        let client = client_with(slow.clone()).await;
        assert_eq!(
            soon("the timeout", client.get(&host.url())).await,
            Err(Error::Timeout),
            "{begun:?}"
        );
        soon("the end of the connection", host.closed.recv()).await;
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    let host = Host::new("220 mail.example ESMTP\r\n\r\n").await;
    let ended = client().await.get(&host.url()).await;
    assert!(matches!(ended, Err(Error::Http(_))), "{ended:?}");
}

/// An address that never answers takes its share of the time, not all of it.
#[tokio::test]
async fn a_silent_address_leaves_time_for_the_next() {
    let host = Host::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let quick = EgressSettings {
        connect_timeout: Duration::from_millis(400),
        ..settings()
    };
    let world = World::new(host.address, &["127.0.0.2"], with_loopback(), quick).await;
    world.name("a.localhost", &[&["127.0.0.2", "127.0.0.3"]]);
    world.name("b.localhost", &[&["127.0.0.2"]]);
    assert_eq!(
        world.client.get("http://a.localhost/").await,
        Ok(Bytes::from("ok"))
    );
    assert_eq!(world.dialed().len(), 2);
    assert_eq!(world.client.get("http://b.localhost/").await, Err(Error::Timeout));
}

/// Whoever finds no place among the connections waits for one, and not for ever.
#[tokio::test]
async fn connections_are_counted() {
    let silent = Host::new("").await;
    let host = Host::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let one = EgressSettings {
        connections_max: 1,
        connect_timeout: Duration::from_millis(300),
        timeout: Duration::from_millis(1_500),
        ..settings()
    };
    let client = client_with(one).await;
    let (silent_url, url) = (silent.url(), host.url());
    let (first, second) = tokio::join!(client.get(&silent_url), async {
        soon("the first connection", async {
            while silent.connections() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        client.get(&url).await
    });
    assert_eq!(first, Err(Error::Timeout));
    assert!(
        matches!(second, Err(Error::Local(_))),
        "the host has no part in it: {second:?}"
    );
    assert_eq!(host.connections(), 0);
    assert_eq!(soon("a place", client.get(&url)).await, Ok(Bytes::from("ok")));
}

/// A connection that nobody uses gives its place up before whoever waits for one has waited in vain.
#[tokio::test]
async fn an_idle_connection_leaves_its_place_to_who_waits() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (first, second) = (Host::new(answer).await, Host::new(answer).await);
    let one = EgressSettings {
        connections_max: 1,
        connect_timeout: Duration::from_secs(6),
        timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(60),
        ..settings()
    };
    let client = client_with(one).await;
    for _ in 0..2 {
        assert_eq!(client.get(&first.url()).await, Ok(Bytes::from("ok")));
    }
    assert_eq!(first.connections(), 1, "it was kept");
    assert_eq!(client.get(&second.url()).await, Ok(Bytes::from("ok")));
}

/// Connections of one policy serve no other: a client that may reach nothing finds none open either.
#[tokio::test]
async fn policies_share_no_connections() {
    let host = Host::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let egress = Egress::open(settings(), &Shutdown::new()).await.unwrap();
    let (may, must_not) = (
        egress.client(with_loopback()),
        egress.client(EgressPolicy::default()),
    );
    assert!(may.get(&host.url()).await.is_ok());
    for url in [host.url(), host.url().replace("http:", "https:")] {
        assert!(
            matches!(must_not.get(&url).await, Err(Error::Refused(_))),
            "{url}"
        );
    }
    assert_eq!(host.connections(), 1);
}

/// A TLS server of this machine and the file of its authority.
struct Secure {
    server: sockets::Server,
    folder: TempDir,
}

impl Secure {
    async fn new(name: &str) -> Self {
        let (folder, validity) = (tempfile::tempdir().unwrap(), Validity::days(1));
        let ca = DevCa::generate("egress", validity).unwrap();
        let names = Names {
            dns: vec![name.to_owned()],
            ips: vec!["127.0.0.1".parse().unwrap()],
            ..Names::default()
        };
        let issued = ca.issue_server(&names, validity).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        file("ca.pem", &ca.cert_pem());
        let settings = TlsSettings {
            client_certificates: ClientCertificates::Off,
            ..TlsSettings::server_only(
                file("cert.pem", &issued.cert_pem),
                file("key.pem", &issued.key_pem),
            )
        };
        let tls = Arc::new(TlsSource::open(settings).await.unwrap());
        let server = sockets::Server::start(Some(tls), ServerSettings::default()).await;
        Self { server, folder }
    }

    async fn world(&self, is_trusted: bool) -> World {
        let settings = EgressSettings {
            ca_file: is_trusted.then(|| self.folder.path().join("ca.pem")),
            ..settings()
        };
        World::new(self.server.addr, &[], EgressPolicy::default(), settings).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_count_by_name_and_authority() {
    let secure = Secure::new("hooks.example").await;
    let world = secure.world(true).await;
    world.name("hooks.example", &[&["8.8.8.8"]]);
    world.name("hooks.example.", &[&["8.8.8.8"]]);
    world.name("other.example", &[&["8.8.8.8"]]);
    for url in [
        "https://hooks.example/a",
        "https://hooks.example./a",
        "https://hooks.example/b",
    ] {
        assert_eq!(
            world.client.get(url).await,
            Ok(Bytes::from("HTTP/2.0 tls anonymous")),
            "{url}"
        );
    }
    assert_eq!(world.dialed().len(), 2, "one for each host");
    let error = world.client.get("https://other.example/").await.unwrap_err();
    assert_eq!(
        error,
        Error::Tls("its certificate is for another name".to_owned())
    );
    let error = world.client.get("https://9.9.9.9/").await.unwrap_err();
    assert!(
        matches!(&error, Error::Tls(why) if !why.contains("127.0.0.1")),
        "{error}"
    );

    let stranger = secure.world(false).await;
    stranger.name("hooks.example", &[&["8.8.8.8"]]);
    let error = stranger.client.get("https://hooks.example/").await.unwrap_err();
    assert!(
        error.to_string().contains("not known here") && error.to_string().contains("egress.ca_file"),
        "{error}"
    );
}

/// No error tells an address that a name resolved to, whatever becomes of the request.
#[tokio::test]
async fn errors_name_no_address() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let quick = EgressSettings {
        connect_timeout: Duration::from_millis(200),
        ..settings()
    };
    let world = World::new(gone, &["9.9.9.9"], EgressPolicy::default(), quick).await;
    for (name, address) in [
        ("a.example", "8.8.8.8"),
        ("b.example", "10.11.12.13"),
        ("c.example", "9.9.9.9"),
    ] {
        world.name(name, &[&[address]]);
        let error = world.client.get(&format!("https://{name}/")).await.unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(address) && !text.contains("127.0.0.1"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_file_without_authorities_is_refused() {
    let wrong = EgressSettings {
        ca_file: Some("missing.pem".into()),
        ..settings()
    };
    let error = Egress::open(wrong, &Shutdown::new()).await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains("egress.ca_file: cannot read missing.pem"),
        "{error}"
    );
}

/// Whoever wants the head only is not held up by a body, and does not fail by it.
#[tokio::test]
async fn the_head_of_an_answer_comes_whatever_its_body_is() {
    let endless = Script {
        answer: "HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\nContent-Length: 100000000\r\n\r\n",
        then: Some("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    };
    let silent = Script {
        then: None,
        ..endless
    };
    for script in [endless, silent] {
        let mut host = Host::with(script).await;
        let request = Request::post(host.url()).body(Bytes::from("x")).unwrap();
        let client = client().await;
        let head = soon("the head", client.send_for_head(request)).await.unwrap();
        assert_eq!(
            (head.status(), head.headers()["retry-after"].to_str().unwrap()),
            (StatusCode::ACCEPTED, "7")
        );
        soon("the end of the connection", host.closed.recv())
            .await
            .unwrap();
    }
}
