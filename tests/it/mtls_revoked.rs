//! Open connections whose caller would no longer be let in: they are cut, soon and with all their requests, and nobody
//! else's are.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use a2ad::server::ServerSettings;
use a2ad::shutdown::Shutdown;
use a2ad::tls::dev::{DevCa, Issued, Names, Validity};
use a2ad::tls::{Authorities, ClientNames, TlsSettings, TlsSource};
use rustls::pki_types::ServerName;
use time::OffsetDateTime;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;

use crate::mtls_sockets::{BILLING, Files, attempt, connect};
use crate::sockets::{Client, Server, http1, http2, request, soon, text};

const RELOAD_MS: u64 = 50;

/// What cutting may take beyond the reload interval, on a busy machine too.
const CUT_MS_MAX: u64 = 5_000;

/// A listener that follows its files.
struct Listener {
    files: Files,
    source: Arc<TlsSource>,
    server: Server,
    watching: Shutdown,
}

impl Listener {
    async fn start(files: Files, settings: TlsSettings) -> Self {
        let settings = TlsSettings {
            reload_interval_ms: RELOAD_MS,
            ..settings
        };
        let source = Arc::new(TlsSource::open(settings).await.unwrap());
        let watching = Shutdown::new();
        source.watch(&watching);
        // So that nothing but what is tested ends a connection on which nothing is said.
        let patient = ServerSettings {
            header_timeout_ms: 600_000,
            ..ServerSettings::default()
        };
        let server = Server::start(Some(Arc::clone(&source)), patient).await;
        Self {
            files,
            source,
            server,
            watching,
        }
    }

    /// A listener with an empty revocation list.
    async fn with_list() -> Self {
        let files = Files::new();
        files.write("crl.pem", &files.ca.crl(&[], Validity::days(1)).unwrap());
        let settings = TlsSettings {
            crl_files: vec![files.path("crl.pem")],
            ..files.settings()
        };
        Self::start(files, settings).await
    }

    fn revoke(&self, clients: &[&Issued]) {
        let serials: Vec<Vec<u8>> = clients.iter().map(|client| client.serial.clone()).collect();
        let list = self.files.ca.crl(&serials, Validity::days(1)).unwrap();
        self.files.write("new.pem", &list);
        std::fs::rename(self.files.path("new.pem"), self.files.path("crl.pem")).unwrap();
    }

    /// A connection of this client on which one request is open.
    async fn open(&self, client: &Issued) -> Open {
        let config = self.files.config(Some(client), &["h2"]).await;
        let mut connection = http2(connect(&self.server, config).await.unwrap()).await.unwrap();
        let answer = connection.send.send_request(request("/hold"));
        let (done, answered) = tokio::sync::oneshot::channel();
        Shutdown::new().spawn_unstoppable("held request", async move {
            let _ = done.send(answer.await);
        });
        self.server.gate.entered().await;
        Open { connection, answered }
    }

    async fn done(self) {
        self.watching.drain();
        self.server.shutdown.drain();
        self.server.done().await;
    }
}

type Send = hyper::client::conn::http2::SendRequest<http_body_util::Empty<bytes::Bytes>>;

struct Open {
    connection: Client<Send>,
    answered: tokio::sync::oneshot::Receiver<hyper::Result<http::Response<hyper::body::Incoming>>>,
}

impl Open {
    /// Waits until connection and request are over.
    async fn breaks_off(self) {
        let answer = soon("the end of a request", self.answered).await.unwrap();
        assert!(answer.is_err(), "the request was answered: {answer:?}");
        self.connection.closed().await;
    }

    /// The request is answered as if nothing had been, and so is the next one.
    async fn goes_on(mut self, server: &Server) {
        server.gate.open();
        let answer = soon("the answer", self.answered).await.unwrap().unwrap();
        assert_eq!(text(answer).await, format!("HTTP/2.0 tls {BILLING}"));
        let next = soon("the next answer", self.connection.send.send_request(request("/")));
        assert_eq!(next.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_revoked_caller_is_cut_in_time_and_others_are_not() {
    let listener = Listener::with_list().await;
    let [revoked, kept] = [(); 2].map(|()| listener.files.client(&Names::spiffe(BILLING)));
    let mut cut = Vec::new();
    let mut going_on = Vec::new();
    for _ in 0..16 {
        cut.push(listener.open(&revoked).await);
        going_on.push(listener.open(&kept).await);
    }
    let begun = Instant::now();
    listener.revoke(&[&revoked]);
    for open in cut {
        open.breaks_off().await;
    }
    let took = begun.elapsed();
    println!("16 connections of a revoked caller were cut in {took:?}, files looked at every {RELOAD_MS} ms");
    assert!(took < Duration::from_millis(RELOAD_MS + CUT_MS_MAX), "{took:?}");
    for open in going_on {
        open.goes_on(&listener.server).await;
    }
    listener.done().await;
}

#[tokio::test]
async fn http_1_and_connections_without_a_request_are_cut_too() {
    let listener = Listener::with_list().await;
    let revoked = listener.files.client(&Names::spiffe(BILLING));
    let config = listener.files.config(Some(&revoked), &["http/1.1"]).await;
    let mut idle = http1(connect(&listener.server, config.clone()).await.unwrap())
        .await
        .unwrap();
    let answer = soon("an answer", idle.send.send_request(request("/"))).await;
    text(answer.unwrap()).await;
    let mut held = http1(connect(&listener.server, config.clone()).await.unwrap())
        .await
        .unwrap();
    let answer = held.send.send_request(request("/hold"));
    let wait = async {
        listener.server.gate.entered().await;
        // Whether the server is through with this handshake or not when the list comes: it ends either way.
        let mut silent = connect(&listener.server, config.clone()).await.unwrap();
        listener.revoke(&[&revoked]);
        let mut rest = Vec::new();
        let _ = soon("the end of a silent connection", silent.read_to_end(&mut rest)).await;
    };
    let (answer, ()) = tokio::join!(soon("the end of the held request", answer), wait);
    assert!(answer.is_err(), "{answer:?}");
    idle.closed().await;
    held.closed().await;
    listener.done().await;
}

#[tokio::test]
async fn an_expired_caller_is_cut_though_no_file_changes() {
    let files = Files::new();
    let settings = files.settings();
    let listener = Listener::start(files, settings).await;
    let kept = listener.files.client(&Names::spiffe(BILLING));
    let kept = listener.open(&kept).await;
    let now = OffsetDateTime::now_utc();
    let short = Validity {
        not_before: now - time::Duration::HOUR,
        not_after: now + time::Duration::seconds(4),
    };
    let expiring = listener
        .files
        .ca
        .issue_client(&Names::spiffe(BILLING), short)
        .unwrap();
    let expiring = listener.open(&expiring).await;
    expiring.breaks_off().await;
    kept.goes_on(&listener.server).await;
    listener.done().await;
}

#[tokio::test]
async fn a_caller_is_cut_when_its_authority_goes() {
    let files = Files::new();
    let other = DevCa::generate("the other CA", Validity::days(1)).unwrap();
    files.write("clients.pem", &(files.ca.cert_pem() + &other.cert_pem()));
    let settings = TlsSettings {
        client_ca_file: Some(files.path("clients.pem")),
        ..files.settings()
    };
    let listener = Listener::start(files, settings).await;
    let gone = other
        .issue_client(&Names::spiffe(BILLING), Validity::days(1))
        .unwrap();
    let kept = listener.files.client(&Names::spiffe(BILLING));
    let (gone, kept) = (listener.open(&gone).await, listener.open(&kept).await);
    listener.files.write("clients.pem", &listener.files.ca.cert_pem());
    gone.breaks_off().await;
    kept.goes_on(&listener.server).await;
    listener.done().await;
}

#[tokio::test]
async fn a_trust_domain_is_followed_by_its_own_files() {
    let files = Files::new();
    let partner = DevCa::generate("partner CA", Validity::days(1)).unwrap();
    files.write("partner.pem", &partner.cert_pem());
    files.write("partner.crl", &partner.crl(&[], Validity::days(1)).unwrap());
    let own = Authorities {
        ca_file: files.path("partner.pem"),
        crl_files: vec![files.path("partner.crl")],
    };
    let settings = TlsSettings {
        client_names: ClientNames::Spiffe,
        trust_domains: [
            ("example.org".to_owned(), None),
            ("partner.example".to_owned(), Some(own)),
        ]
        .into(),
        ..files.settings()
    };
    let listener = Listener::start(files, settings).await;
    let guest = partner
        .issue_client(&Names::spiffe("spiffe://partner.example/a"), Validity::days(1))
        .unwrap();
    let kept = listener.files.client(&Names::spiffe(BILLING));
    let (open, kept) = (listener.open(&guest).await, listener.open(&kept).await);
    let list = partner
        .crl(std::slice::from_ref(&guest.serial), Validity::days(1))
        .unwrap();
    listener.files.write("partner.crl", &list);
    open.breaks_off().await;
    kept.goes_on(&listener.server).await;
    let config = listener.files.config(Some(&guest), &["http/1.1"]).await;
    let refused = attempt(&listener.server, config).await.unwrap_err();
    assert!(refused.contains("CertificateRevoked"), "{refused}");
    listener.done().await;
}

#[tokio::test]
async fn new_files_of_every_kind_drop_no_stream() {
    let listener = Listener::with_list().await;
    let kept = listener.files.client(&Names::spiffe(BILLING));
    let open = listener.open(&kept).await;
    let other = DevCa::generate("the other CA", Validity::days(1)).unwrap();

    listener.files.write_server();
    listener.source.reload().await.unwrap();
    let both = listener.files.ca.cert_pem() + &other.cert_pem();
    listener.files.write("ca.pem", &both);
    listener.source.reload().await.unwrap();
    listener.revoke(&[&listener.files.client(&Names::spiffe(BILLING))]);
    listener.source.reload().await.unwrap();
    // Broken ones stand for nothing: whoever was let in by the last good ones stays.
    for file in ["crl.pem", "ca.pem", "server.pem"] {
        listener.files.write(file, "broken");
        listener.source.reload().await.unwrap_err();
    }
    open.goes_on(&listener.server).await;
    listener.done().await;
}

#[tokio::test]
async fn a_handshake_that_began_before_a_revocation_ends_behind_it() {
    let listener = Listener::with_list().await;
    let [revoked, kept] = [(); 2].map(|()| listener.files.client(&Names::spiffe(BILLING)));
    for (client, is_let_in) in [(&revoked, false), (&kept, true)] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let mut accepting = pin!(listener.source.accept(ours));
        let has_begun = poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx).is_pending())).await;
        assert!(has_begun);
        listener.revoke(&[&revoked]);
        listener.source.reload().await.unwrap();
        let config = Arc::new(listener.files.config(Some(client), &[]).await);
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(config).connect(name, theirs);
        let (accepted, connected) = soon("a handshake", async { tokio::join!(accepting, connecting) }).await;
        connected.unwrap();
        assert_eq!(accepted.is_ok(), is_let_in, "{:?}", accepted.err());
    }
    listener.done().await;
}
