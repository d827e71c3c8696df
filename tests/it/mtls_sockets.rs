//! The tls room behind the server room: who gets in, who does not, and how files are followed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use a2ad::server::ServerSettings;
use a2ad::shutdown::Shutdown;
use a2ad::tls::dev::{DevCa, Issued, Names, Validity};
use a2ad::tls::{Authorities, ClientCertificates, ClientNames, ClientTls, Error, TlsSettings, TlsSource};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::sockets::{Server, http1, http2, request, soon, text};

pub const BILLING: &str = "spiffe://example.org/billing";

/// A directory of files for one listener, and the authority that they come from.
pub struct Files {
    dir: TempDir,
    pub ca: DevCa,
}

impl Files {
    pub fn new() -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
            ca: DevCa::generate("test CA", Validity::days(1)).unwrap(),
        };
        files.write("ca.pem", &files.ca.cert_pem());
        files.write_server();
        files
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// A new server certificate in place of the old one.
    pub fn write_server(&self) {
        let names = Names {
            dns: vec!["localhost".to_owned()],
            ..Names::default()
        };
        let server = self.ca.issue_server(&names, Validity::days(1)).unwrap();
        self.write("server.pem", &server.cert_pem);
        self.write("server.key", &server.key_pem);
    }

    pub fn settings(&self) -> TlsSettings {
        TlsSettings::mutual(
            self.path("server.pem"),
            self.path("server.key"),
            self.path("ca.pem"),
        )
    }

    async fn source(&self) -> Arc<TlsSource> {
        Arc::new(TlsSource::open(self.settings()).await.unwrap())
    }

    pub fn client(&self, names: &Names) -> Issued {
        self.ca.issue_client(names, Validity::days(1)).unwrap()
    }

    /// What a client with this certificate connects with.
    pub async fn config(&self, client: Option<&Issued>, alpn: &[&str]) -> ClientConfig {
        self.client_tls(client).rustls(alpn).await.unwrap()
    }

    pub fn client_tls(&self, client: Option<&Issued>) -> ClientTls {
        if let Some(client) = client {
            self.write("client.pem", &client.cert_pem);
            self.write("client.key", &client.key_pem);
        }
        ClientTls {
            ca_file: self.path("ca.pem"),
            cert_file: client.map(|_| self.path("client.pem")),
            key_file: client.map(|_| self.path("client.key")),
        }
    }

    /// Connects with this certificate and makes one request.
    async fn attempt(&self, server: &Server, client: Option<&Issued>) -> Result<String, String> {
        attempt(server, self.config(client, &["http/1.1"]).await).await
    }
}

pub async fn connect(server: &Server, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    soon("a handshake", connector.connect(name, server.connect().await)).await
}

/// With TLS 1.3 a client learns that it was refused only when it reads, so it takes a request to know.
pub async fn attempt(server: &Server, config: ClientConfig) -> Result<String, String> {
    let tls = connect(server, config).await.map_err(|error| error.to_string())?;
    let mut client = http1(tls).await.map_err(|error| error.to_string())?;
    let answer = soon("an answer", client.send.send_request(request("/"))).await;
    Ok(text(answer.map_err(|error| format!("{error:?}"))?).await)
}

async fn server_certificate(server: &Server, config: ClientConfig) -> CertificateDer<'static> {
    let tls = connect(server, config).await.unwrap();
    tls.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

#[tokio::test]
async fn both_protocols_are_served_with_the_callers_identity() {
    let files = Files::new();
    let server = Server::start(Some(files.source().await), ServerSettings::default()).await;
    let client = files.client(&Names::spiffe(BILLING));

    let tls = connect(&server, files.config(Some(&client), &["h2", "http/1.1"]).await)
        .await
        .unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let mut two = http2(tls).await.unwrap();
    let answer = soon("an answer", two.send.send_request(request("/")))
        .await
        .unwrap();
    assert_eq!(text(answer).await, format!("HTTP/2.0 tls {BILLING}"));

    for alpn in [["http/1.1"].as_slice(), &[]] {
        let answer = attempt(&server, files.config(Some(&client), alpn).await)
            .await
            .unwrap();
        assert_eq!(answer, format!("HTTP/1.1 tls {BILLING}"));
    }
    let by_name = files.client(&Names {
        dns: vec!["client.example.org".to_owned()],
        ..Names::default()
    });
    assert_eq!(
        files.attempt(&server, Some(&by_name)).await.unwrap(),
        "HTTP/1.1 tls dns:client.example.org"
    );
}

#[tokio::test]
async fn a_grpc_channel_connects_with_our_client_settings() {
    let files = Files::new();
    let server = Server::start(Some(files.source().await), ServerSettings::default()).await;
    let client = files.client(&Names::spiffe(BILLING));
    let tls = files.client_tls(Some(&client)).tonic().await.unwrap();
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("https://localhost:{}", server.addr.port()));
    soon("a channel", endpoint.unwrap().tls_config(tls).unwrap().connect())
        .await
        .unwrap();
}

/// Certificates that no listener may let in, whether it requires certificates or not.
fn bad_clients(files: &Files) -> Vec<(&'static str, Issued)> {
    let names = Names::spiffe(BILLING);
    let now = OffsetDateTime::now_utc();
    let past = Validity {
        not_before: now - Duration::days(2),
        not_after: now - Duration::days(1),
    };
    let future = Validity {
        not_before: now + Duration::days(1),
        not_after: now + Duration::days(2),
    };
    // The same name as the good authority, another key.
    let stranger = DevCa::generate("test CA", Validity::days(1)).unwrap();
    let two_ids = Names {
        uris: vec![BILLING.to_owned(), "spiffe://example.org/other".to_owned()],
        ..names.clone()
    };
    let wildcard = Names {
        dns: vec!["*.example.org".to_owned()],
        ..Names::default()
    };
    vec![
        (
            "wrong authority",
            stranger.issue_client(&names, Validity::days(1)).unwrap(),
        ),
        ("expired", files.ca.issue_client(&names, past).unwrap()),
        ("not yet valid", files.ca.issue_client(&names, future).unwrap()),
        (
            "made for servers",
            files.ca.issue_server(&names, Validity::days(1)).unwrap(),
        ),
        ("no name", files.client(&Names::default())),
        ("two ids", files.client(&two_ids)),
        ("wildcard", files.client(&wildcard)),
    ]
}

#[tokio::test]
async fn bad_certificates_and_none_are_refused_when_they_are_required() {
    let files = Files::new();
    let server = Server::start(Some(files.source().await), ServerSettings::default()).await;
    for (why, client) in bad_clients(&files) {
        assert!(files.attempt(&server, Some(&client)).await.is_err(), "{why}");
    }
    assert!(files.attempt(&server, None).await.is_err(), "no certificate");
    assert!(
        files
            .attempt(&server, Some(&files.client(&Names::spiffe(BILLING))))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn optional_certificates_may_be_missing_but_not_bad() {
    let files = Files::new();
    let settings = TlsSettings {
        client_certificates: ClientCertificates::Optional,
        ..files.settings()
    };
    let source = Arc::new(TlsSource::open(settings).await.unwrap());
    let server = Server::start(Some(source), ServerSettings::default()).await;
    assert_eq!(
        files.attempt(&server, None).await.unwrap(),
        "HTTP/1.1 tls anonymous"
    );
    let client = files.client(&Names::spiffe(BILLING));
    assert_eq!(
        files.attempt(&server, Some(&client)).await.unwrap(),
        format!("HTTP/1.1 tls {BILLING}")
    );
    for (why, client) in bad_clients(&files) {
        assert!(files.attempt(&server, Some(&client)).await.is_err(), "{why}");
    }
}

#[tokio::test]
async fn without_client_certificates_nobody_is_asked() {
    let files = Files::new();
    let settings = TlsSettings::server_only(files.path("server.pem"), files.path("server.key"));
    let source = Arc::new(TlsSource::open(settings).await.unwrap());
    let server = Server::start(Some(source), ServerSettings::default()).await;
    let client = files.client(&Names::spiffe(BILLING));
    for client in [None, Some(&client)] {
        assert_eq!(
            files.attempt(&server, client).await.unwrap(),
            "HTTP/1.1 tls anonymous"
        );
    }
}

#[tokio::test]
async fn tls_1_2_is_taken_only_when_it_is_allowed() {
    let files = Files::new();
    let client = files.client(&Names::spiffe(BILLING));
    for (allow_tls12, expected) in [(false, false), (true, true)] {
        let settings = TlsSettings {
            allow_tls12,
            ..files.settings()
        };
        let source = Arc::new(TlsSource::open(settings).await.unwrap());
        let server = Server::start(Some(source), ServerSettings::default()).await;
        let roots = files.config(None, &[]).await;
        let mut store = rustls::RootCertStore::empty();
        for root in pem_certificates(&files.path("ca.pem")) {
            store.add(root).unwrap();
        }
        let old = ClientConfig::builder_with_provider(Arc::clone(roots.crypto_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(store)
            .with_client_auth_cert(
                pem_certificates_of(&client.cert_pem),
                rustls::pki_types::pem::PemObject::from_pem_slice(client.key_pem.as_bytes()).unwrap(),
            )
            .unwrap();
        assert_eq!(
            attempt(&server, old).await.is_ok(),
            expected,
            "allow_tls12 = {allow_tls12}"
        );
        assert!(
            files.attempt(&server, Some(&client)).await.is_ok(),
            "TLS 1.3 is always taken"
        );
    }
}

fn pem_certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    pem_certificates_of(&fs::read_to_string(file).unwrap())
}

fn pem_certificates_of(text: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test]
async fn a_reload_changes_what_new_connections_see_and_leaves_the_others_alone() {
    let files = Files::new();
    let source = files.source().await;
    let server = Server::start(Some(Arc::clone(&source)), ServerSettings::default()).await;
    let client = files.client(&Names::spiffe(BILLING));
    let config = files.config(Some(&client), &["h2"]).await;
    let mut old = http2(connect(&server, config.clone()).await.unwrap())
        .await
        .unwrap();
    let before = server_certificate(&server, config.clone()).await;

    files.write_server();
    source.reload().await.unwrap();
    let after = server_certificate(&server, config.clone()).await;
    assert_ne!(before, after);
    assert_eq!(
        soon("an answer", old.send.send_request(request("/")))
            .await
            .unwrap()
            .status(),
        200
    );

    files.write("server.key", "nonsense");
    let refused = source.reload().await.unwrap_err();
    assert!(refused.to_string().contains("server.key"), "{refused}");
    assert_eq!(server_certificate(&server, config).await, after);
}

#[tokio::test]
async fn changed_files_are_noticed_and_broken_ones_change_nothing() {
    let files = Files::new();
    let settings = TlsSettings {
        reload_interval_ms: 5,
        ..files.settings()
    };
    let source = Arc::new(TlsSource::open(settings).await.unwrap());
    let watching = Shutdown::new();
    source.watch(&watching);
    let begun = source.server_config();

    let good = fs::read_to_string(files.path("server.pem")).unwrap();
    files.write("server.pem", "broken");
    files.write("server.pem", &good);
    fs::remove_file(files.path("server.key")).unwrap();
    files.write_server();
    let changed = async {
        while Arc::ptr_eq(&begun, &source.server_config()) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    soon("the reload", changed).await;
    watching.drain();
    assert!(
        watching.finished(std::time::Duration::from_secs(20)).await,
        "watching must end with draining"
    );
}

#[tokio::test]
async fn a_revoked_client_is_refused_and_the_list_is_followed() {
    let files = Files::new();
    let (kept, revoked) = (
        files.client(&Names::spiffe(BILLING)),
        files.client(&Names::spiffe(BILLING)),
    );
    files.write("crl.pem", &files.ca.crl(&[], Validity::days(1)).unwrap());
    let settings = TlsSettings {
        crl_files: vec![files.path("crl.pem")],
        ..files.settings()
    };
    let source = Arc::new(TlsSource::open(settings).await.unwrap());
    let server = Server::start(Some(Arc::clone(&source)), ServerSettings::default()).await;
    // One client configuration throughout: a resumed session must not carry a revoked certificate past the list.
    let config = files.config(Some(&revoked), &["http/1.1"]).await;
    assert!(attempt(&server, config.clone()).await.is_ok());

    files.write(
        "crl.pem",
        &files
            .ca
            .crl(std::slice::from_ref(&revoked.serial), Validity::days(1))
            .unwrap(),
    );
    source.reload().await.unwrap();
    let refused = attempt(&server, config).await.unwrap_err();
    assert!(refused.contains("CertificateRevoked"), "{refused}");
    assert!(files.attempt(&server, Some(&kept)).await.is_ok());
}

#[tokio::test]
async fn slow_handshakes_block_nobody() {
    let files = Files::new();
    let server = Server::start(Some(files.source().await), ServerSettings::default()).await;
    let mut slow = [server.connect().await, server.connect().await];
    // The start of a handshake record, and never its rest.
    slow[0].write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    let client = files.client(&Names::spiffe(BILLING));
    assert!(files.attempt(&server, Some(&client)).await.is_ok());
}

#[tokio::test]
async fn slow_handshakes_are_closed_in_time() {
    let files = Files::new();
    let settings = ServerSettings {
        handshake_timeout_ms: 50,
        ..ServerSettings::default()
    };
    let server = Server::start(Some(files.source().await), settings).await;
    for sent in [[].as_slice(), &[0x16, 3, 1, 2, 0]] {
        let mut tcp = server.connect().await;
        tcp.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon("the end of a slow handshake", tcp.read_to_end(&mut rest)).await;
    }
}

#[tokio::test]
async fn beyond_the_most_handshakes_the_next_one_waits_for_its_turn() {
    let files = Files::new();
    let settings = ServerSettings {
        handshakes_max: 1,
        ..ServerSettings::default()
    };
    let server = Server::start(Some(files.source().await), settings).await;
    let slow = server.connect().await;
    let client = files.client(&Names::spiffe(BILLING));
    let attempt = files.attempt(&server, Some(&client));
    let hang_up = async {
        tokio::task::yield_now().await;
        drop(slow);
    };
    assert!(tokio::join!(attempt, hang_up).0.is_ok());
}

#[tokio::test]
async fn draining_does_not_wait_for_handshakes_or_for_idle_connections() {
    let files = Files::new();
    let server = Server::start(Some(files.source().await), ServerSettings::default()).await;
    let _slow = server.connect().await;
    let client = files.client(&Names::spiffe(BILLING));
    let config = files.config(Some(&client), &["http/1.1"]).await;
    let mut idle = http1(connect(&server, config.clone()).await.unwrap())
        .await
        .unwrap();
    text(
        soon("an answer", idle.send.send_request(request("/")))
            .await
            .unwrap(),
    )
    .await;
    let _silent = connect(&server, config).await.unwrap();
    server.shutdown.drain();
    idle.closed().await;
    server.done().await;
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_closed() {
    let files = Files::new();
    let server = Server::start(Some(files.source().await), ServerSettings::default()).await;
    let mut tcp = server.connect().await;
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = soon("the end of the connection", tcp.read_to_end(&mut rest)).await;
    assert!(
        !rest.starts_with(b"HTTP"),
        "no request may be answered in the clear"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_say_which_file_is_wrong() {
    let files = Files::new();
    let says = async |settings: TlsSettings, text: &str| {
        let refused = TlsSource::open(settings).await.unwrap_err().to_string();
        assert!(refused.contains(text), "{refused:?} does not say {text:?}");
    };
    let good = files.settings();
    says(
        TlsSettings {
            cert_file: files.path("none.pem"),
            ..good.clone()
        },
        "none.pem",
    )
    .await;
    files.write("empty.pem", "");
    says(
        TlsSettings {
            cert_file: files.path("empty.pem"),
            ..good.clone()
        },
        "empty.pem",
    )
    .await;
    says(
        TlsSettings {
            key_file: files.path("server.pem"),
            ..good.clone()
        },
        "private key",
    )
    .await;
    let other = files.client(&Names::spiffe(BILLING));
    files.write("other.key", &other.key_pem);
    says(
        TlsSettings {
            key_file: files.path("other.key"),
            ..good.clone()
        },
        "other.key",
    )
    .await;
    says(
        TlsSettings {
            client_ca_file: None,
            ..good.clone()
        },
        "client_ca_file",
    )
    .await;
    says(
        TlsSettings {
            crl_files: vec![files.path("ca.pem")],
            ..good.clone()
        },
        "revocation list",
    )
    .await;
    says(
        TlsSettings {
            client_names: ClientNames::Spiffe,
            ..good.clone()
        },
        "list the trust domains",
    )
    .await;
    let own = Authorities {
        ca_file: files.path("partner.pem"),
        crl_files: Vec::new(),
    };
    says(
        TlsSettings {
            trust_domains: [("partner.example".to_owned(), Some(own))].into(),
            ..good.clone()
        },
        "partner.pem",
    )
    .await;
    files.write(
        "bad.crl",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    says(
        TlsSettings {
            crl_files: vec![files.path("bad.crl")],
            ..good
        },
        "bad.crl",
    )
    .await;

    let half = ClientTls {
        cert_file: None,
        ..files.client_tls(Some(&other))
    };
    assert!(matches!(half.rustls(&[]).await, Err(Error::HalfKeyPair)));
}
