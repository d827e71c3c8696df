//! Mutual TLS between the program and clients of other makes.

use std::fs;
use std::path::Path;
use std::process::Command;

use a2ad::tls::dev::{DevCa, Issued, Names, Validity};
use time::{Duration, OffsetDateTime};

use crate::binary::Server;
use crate::peers::python_passes;

const ALL_CHECKS: &[&str] = &[
    "grpc_with_a_certificate",
    "http_1_and_2_on_the_same_port",
    "grpc_without_a_certificate",
    "grpc_with_an_expired_certificate",
    "grpc_with_another_authoritys_certificate",
    "http_is_as_strict",
    "clients_notice_another_server",
    "plaintext_is_not_answered",
    "the_server_goes_on_after_all_that",
    "tasks_of_another_principal_do_not_exist",
    "a_principal_is_the_same_on_every_binding",
];

const DEV_CHECKS: &[&str] = &[
    "grpc_with_a_certificate",
    "http_1_and_2_on_the_same_port",
    "grpc_without_a_certificate",
];

#[test]
fn strangers_stay_outside_and_principals_apart() {
    let dir = tempfile::tempdir().unwrap();
    write_certificates(dir.path());
    mtls(dir.path(), "full", ALL_CHECKS);
}

#[test]
fn development_certificates_are_all_that_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_a2ad"))
        .args(["certs", "dev"])
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(made.success(), "a2ad certs dev ended with {made}");
    mtls(dir.path(), "dev", DEV_CHECKS);
}

/// Starts the program on the files of this directory and runs the script against it.
fn mtls(dir: &Path, mode: &str, checks: &[&str]) {
    let config = "[tls]\ncert_file = \"server.pem\"\nkey_file = \"server.key\"\nclient_ca_file = \"ca.pem\"\n\
                  [access]\ndefault = \"allow\"\n";
    fs::write(dir.join("a2ad.toml"), config).unwrap();
    let server = Server::start_in(dir, &["--database", "memory", "--config", "a2ad.toml"]);
    let dir = dir.to_str().unwrap();
    python_passes("mtls.py", &[&server.addr.to_string(), dir, mode], checks);
}

/// A server, two good clients, one whose time is over, and one that another authority knows.
fn write_certificates(dir: &Path) {
    let ca = DevCa::generate("test CA", Validity::days(1)).unwrap();
    let stranger_ca = DevCa::generate("test CA", Validity::days(1)).unwrap();
    fs::write(dir.join("ca.pem"), ca.cert_pem()).unwrap();
    fs::write(dir.join("stranger-ca.pem"), stranger_ca.cert_pem()).unwrap();
    let server = Names {
        dns: vec!["localhost".to_owned()],
        ips: vec!["127.0.0.1".parse().unwrap()],
        ..Names::default()
    };
    write(
        dir,
        "server",
        &ca.issue_server(&server, Validity::days(1)).unwrap(),
    );
    for (name, ca, validity) in [
        ("a", &ca, Validity::days(1)),
        ("b", &ca, Validity::days(1)),
        ("expired", &ca, past()),
        ("stranger", &stranger_ca, Validity::days(1)),
    ] {
        let names = Names::spiffe(&format!("spiffe://example.org/{name}"));
        write(dir, name, &ca.issue_client(&names, validity).unwrap());
    }
}

fn write(dir: &Path, name: &str, issued: &Issued) {
    fs::write(dir.join(format!("{name}.pem")), &issued.cert_pem).unwrap();
    fs::write(dir.join(format!("{name}.key")), &issued.key_pem).unwrap();
}

fn past() -> Validity {
    let now = OffsetDateTime::now_utc();
    Validity {
        not_before: now - Duration::days(2),
        not_after: now - Duration::minutes(1),
    }
}
