//! Records of client certificates: those that a handshake refuses, and those whose connections are cut.

use std::sync::Arc;

use a2ad::audit::{Kind, Record};
use a2ad::tls::dev::{DevCa, Issued, Names, Validity};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::program::{Place, records};
use crate::sockets::soon;
use crate::support::engine::eventually;
use crate::support::wire::Wire;

const A: &str = "spiffe://example.org/a";
const B: &str = "spiffe://example.org/b";

/// A server with a revocation list, which nobody is on.
fn place(more: &str) -> Place {
    let place = Place::new("");
    place.files.write(
        "a2ad.toml",
        &format!(
            "[tls]\ncert_file = \"server.pem\"\nkey_file = \"server.key\"\nclient_ca_file = \"ca.pem\"\n\
             crl_files = [\"crl.pem\"]\nreload_interval_ms = 50\n[access]\ndefault = \"allow\"\n\
             [audit]\nfile = \"audit.jsonl\"\nsync_interval_ms = 20\n{more}"
        ),
    );
    revoke(&place, &[]);
    place
}

fn revoke(place: &Place, clients: &[&Issued]) {
    let serials: Vec<Vec<u8>> = clients.iter().map(|client| client.serial.clone()).collect();
    let list = place.files.ca.crl(&serials, Validity::days(1)).unwrap();
    place.files.write("new.pem", &list);
    std::fs::rename(place.files.path("new.pem"), place.files.path("crl.pem")).unwrap();
}

fn fingerprint(issued: &Issued) -> String {
    let der = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn connect(place: &Place, port: u16, client: Option<&Issued>) -> TlsStream<TcpStream> {
    let config = Arc::new(place.files.config(client, &["http/1.1"]).await);
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(config).connect(name, tcp);
    soon("a handshake", connected).await.unwrap()
}

/// With TLS 1.3 a client learns that it was refused when it reads.
async fn is_refused(place: &Place, port: u16, client: Option<&Issued>) {
    let mut tls = connect(place, port, client).await;
    let _ = tls
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let read = soon("a refusal", tls.read(&mut [0; 1])).await;
    assert!(read.is_err(), "{read:?}");
}

fn of_kind(place: &Place, kind: Kind) -> Vec<Record<'static>> {
    let text = std::fs::read_to_string(place.file()).unwrap();
    let mut all = records(&text);
    all.retain(|record| record.kind == kind);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_certificate_that_does_not_hold_has_one_record() {
    let place = place("");
    let server = place.start();
    let port = server.addr.port();
    let over = Validity {
        not_before: OffsetDateTime::now_utc() - Duration::days(2),
        not_after: OffsetDateTime::now_utc() - Duration::days(1),
    };
    let expired = place.files.ca.issue_client(&Names::spiffe(A), over).unwrap();
    let elsewhere = DevCa::generate("another CA", Validity::days(1)).unwrap();
    let foreign = elsewhere
        .issue_client(&Names::spiffe(A), Validity::days(1))
        .unwrap();
    let nameless = place.files.client(&Names::default());
    is_refused(&place, port, None).await;
    is_refused(&place, port, Some(&expired)).await;
    is_refused(&place, port, Some(&foreign)).await;
    is_refused(&place, port, Some(&nameless)).await;

    // Two that are there when one of them is revoked.
    let (kept, revoked) = (
        place.files.client(&Names::spiffe(A)),
        place.files.client(&Names::spiffe(B)),
    );
    let mut open = connect(&place, port, Some(&revoked)).await;
    let mut other = connect(&place, port, Some(&kept)).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for tls in [&mut open, &mut other] {
        tls.write_all(request).await.unwrap();
        soon("an answer", tls.read(&mut [0; 4_096])).await.unwrap();
    }
    revoke(&place, &[&revoked]);
    // To its end, whichever way that comes.
    let mut rest = Vec::new();
    let _ = soon("the end", open.read_to_end(&mut rest)).await;
    is_refused(&place, port, Some(&revoked)).await;
    other.write_all(request).await.unwrap();
    assert!(soon("an answer", other.read(&mut [0; 4_096])).await.unwrap() > 0);
    server.terminate();
    assert!(server.ended().success());

    let refused: Vec<_> = of_kind(&place, Kind::Authentication)
        .into_iter()
        .map(|record| {
            assert!(record.peer.as_deref().unwrap().starts_with("127.0.0.1:"));
            assert!(record.principal.is_none() && record.binding.is_none());
            let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
            (
                record.outcome.clone().into_owned(),
                text(record.claims),
                text(record.credential_id),
            )
        })
        .collect();
    let is = |outcome: &str, claims: Option<&str>, issued: Option<&Issued>| {
        (
            outcome.to_owned(),
            claims.map(str::to_owned),
            issued.map(fingerprint),
        )
    };
    assert_eq!(
        refused,
        [
            is("missing", None, None),
            is("expired", Some(A), Some(&expired)),
            is("unknown-issuer", Some(A), Some(&foreign)),
            is("no-name", None, Some(&nameless)),
            is("revoked", Some(B), Some(&revoked)),
        ]
    );
    let cut = of_kind(&place, Kind::Connection);
    assert_eq!(cut.len(), 1, "{cut:?}");
    assert_eq!(cut[0].outcome, "revoked");
    assert_eq!(cut[0].principal.as_deref(), Some(B));
    assert_eq!(cut[0].credential.as_deref(), Some("certificate"));
    assert_eq!(cut[0].credential_id.as_deref(), Some(&*fingerprint(&revoked)));
    assert!(cut[0].claims.is_none() && cut[0].peer.is_some());
    place.is_whole();
}

/// Each of many has a record or is counted, and callers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bad_certificates_is_recorded_in_part_and_counted_in_full() {
    const FLOOD: u64 = 60;
    let place = place("strangers_per_s_max = 1\n");
    let server = place.start();
    let caller = place.caller(&server, "a").await;
    caller.send(Wire::Grpc, "before", "x").await.unwrap();
    let elsewhere = DevCa::generate("another CA", Validity::days(1)).unwrap();
    let foreign = elsewhere
        .issue_client(&Names::spiffe(A), Validity::days(1))
        .unwrap();
    let config = Arc::new(place.files.config(Some(&foreign), &["http/1.1"]).await);
    let floods = (0..FLOOD).map(|_| async {
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = TlsConnector::from(config.clone())
            .connect(name, tcp)
            .await
            .unwrap();
        let read = soon("a refusal", tls.read(&mut [0; 1])).await;
        assert!(read.is_err(), "{read:?}");
    });
    futures_util::future::join_all(floods).await;
    caller.send(Wire::Grpc, "after", "x").await.unwrap();
    let counted = || {
        let recorded = of_kind(&place, Kind::Authentication).len() as u64;
        let lost = of_kind(&place, Kind::Chain);
        let suppressed: u64 = lost.iter().filter_map(|record| record.suppressed).sum();
        (recorded, suppressed)
    };
    eventually(async || counted().0 + counted().1 == FLOOD).await;
    server.terminate();
    assert!(server.ended().success());
    let (recorded, suppressed) = counted();
    assert_eq!(recorded + suppressed, FLOOD);
    assert!(recorded >= 1 && suppressed >= 1, "{recorded} and {suppressed}");
    println!("{FLOOD} bad certificates: {recorded} records, {suppressed} counted");
    place.is_whole();
}
