//! Who one is, and over which connections that is told.

use std::process::Command;

use a2ad::tls::dev::{DevOptions, write_dev_certificates};

use super::harness::User;
use crate::binary::{PROGRAM, Server};

const CONFIG: &str = "[auth.api_keys]\nenabled = true\ncache_ttl_ms = 0\n\
    [access.roles.user]\nscopes = [\"use\"]\noperations = [\"send\", \"read\"]\n";

/// A server that takes API keys, a key that may send and read, and one that may do nothing.
fn server(user: &User) -> (Server, [String; 2]) {
    let folder = user.home();
    std::fs::write(folder.join("a2ad.toml"), CONFIG).unwrap();
    let key = |scope: &str| {
        let made = Command::new(PROGRAM)
            .args(["keys", "create", "ci", "--scope", scope, "--config", "a2ad.toml"])
            .args(["--database", "sqlite://a.db"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let arguments = ["--config", "a2ad.toml", "--database", "sqlite://a.db"];
    // The first start makes the database.
    drop(Server::start_in(&folder, &arguments));
    let keys = [key("use"), key("nothing")];
    (Server::start_in(&folder, &arguments), keys)
}

#[test]
fn a_key_opens_what_it_opens_on_every_binding() {
    let mut user = User::new();
    let (server, [good, powerless]) = server(&user);
    let address = server.addr.to_string();
    for binding in ["grpc", "jsonrpc", "http+json"] {
        let send = [
            "send",
            "-a",
            &address,
            "hello",
            "-o",
            "json",
            "--transport",
            binding,
        ];
        user.environment.clear();
        let run = user.run(&send);
        assert_eq!(
            (run.code, &*run.failure()),
            (4, "A2ACLI_ERR_CREDENTIALS_MISSING"),
            "{binding} {}",
            run.out
        );
        for (key, code) in [(&*powerless, 4), ("a2ad_nonsense", 4), (&good, 0)] {
            user.environment = vec![("A2ACLI_API_KEY".into(), key.into())];
            let run = user.run(&[&send[..], &["--debug"]].concat());
            assert_eq!(run.code, code, "{binding} {} {}", run.out, run.err);
            assert!(!run.out.contains(key) && !run.err.contains(key), "{}", run.err);
            assert!(run.err.contains("x-api-key: ***"), "{}", run.err);
            if code == 4 {
                assert_eq!(run.failure(), "A2ACLI_ERR_AUTH_FAILED", "{binding}");
            }
        }
        // An option counts more than the environment.
        user.environment = vec![("A2ACLI_API_KEY".into(), "a2ad_nonsense".into())];
        assert_eq!(user.run(&[&send[..], &["--api-key", &good]].concat()).code, 0);
    }
    let card = user.run(&["card", "get", "-a", &address]);
    assert!(
        card.code == 0 && card.out.contains("Security scheme: "),
        "{}",
        card.out
    );
}

#[test]
fn certificates_are_verified_unless_somebody_says_loudly_that_they_are_not() {
    let mut user = User::new();
    let folder = user.home().join("certificates");
    write_dev_certificates(&folder, DevOptions::default()).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let set = |key: &str, name: &str| format!("tls.{key}={}", file(name));
    let server = Server::start(&[
        "--database",
        "memory",
        "--set",
        &set("cert_file", "server.pem"),
        "--set",
        &set("key_file", "server.key"),
        "--set",
        &set("client_ca_file", "ca.pem"),
        "--set",
        "access.default=allow",
    ]);
    let agent = format!("https://{}", server.addr);
    let send = ["send", "-a", &agent, "hello", "-o", "json"];
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let trusted = ["--ca", &ca, "--cert", &cert, "--key", &key];
    let run = user.run(&[&send[..], &trusted].concat());
    assert_eq!(
        (run.code, run.err.contains("warning")),
        (0, false),
        "{} {}",
        run.out,
        run.err
    );
    let run = user.run(&send);
    assert_eq!(
        (run.code, &*run.failure()),
        (3, "A2ACLI_ERR_UNREACHABLE"),
        "{}",
        run.out
    );
    let half = user.run(&[&send[..], &trusted[..4]].concat());
    assert_eq!(
        (half.code, &*half.failure()),
        (2, "A2ACLI_ERR_USAGE"),
        "{}",
        half.out
    );
    // Somebody else's authority does not help, and nothing but the option turns verification off.
    let other = user.home().join("other");
    write_dev_certificates(&other, DevOptions::default()).unwrap();
    let wrong = other.join("ca.pem").display().to_string();
    let mistrusted = ["--ca", &wrong, "--cert", &cert, "--key", &key];
    let run = user.run(&[&send[..], &mistrusted].concat());
    assert_eq!(
        (run.code, &*run.failure()),
        (3, "A2ACLI_ERR_UNREACHABLE"),
        "{}",
        run.out
    );
    user.environment.push(("A2ACLI_BEARER".into(), "hunter2".into()));
    let run = user.run(&[&send[..], &mistrusted, &["--insecure"]].concat());
    assert!(run.err.contains("warning: --insecure"), "{}", run.err);
    assert!(run.err.contains("warning: a credential is sent"), "{}", run.err);
    assert!(!run.err.contains("hunter2"), "{}", run.err);
    assert_ne!(run.code, 3, "{}", run.out);
}

/// The load goes by the same certificates as anything else.
#[test]
fn a_bench_shows_its_certificate_on_every_binding() {
    let user = User::new();
    let folder = user.home().join("certificates");
    write_dev_certificates(&folder, DevOptions::default()).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let set = |key: &str, name: &str| format!("tls.{key}={}", file(name));
    let server = Server::start(&[
        "--database",
        "memory",
        "--set",
        &set("cert_file", "server.pem"),
        "--set",
        &set("key_file", "server.key"),
        "--set",
        &set("client_ca_file", "ca.pem"),
        "--set",
        "access.default=allow",
    ]);
    let agent = format!("https://{}", server.addr);
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    for binding in ["grpc", "jsonrpc", "http+json"] {
        let load = ["--requests", "40", "--concurrency", "4", "--connections", "2"];
        let bench = [
            "bench",
            "-a",
            &agent,
            "hello",
            "-o",
            "json",
            "--ca",
            &ca,
            "--transport",
            binding,
        ];
        let run = user.run(&[&bench[..], &load, &["--cert", &cert, "--key", &key]].concat());
        assert_eq!(run.code, 0, "{binding}: {} {}", run.out, run.err);
        let figures = run.json();
        assert_eq!(
            (
                &figures["succeeded"],
                &figures["outcomes"]["COMPLETED"],
                &figures["failed"]
            ),
            (&40.into(), &40.into(), &0.into()),
            "{binding}: {figures}"
        );
        let nobody = user.run(&[&bench[..], &load].concat());
        assert_eq!(
            (nobody.code, &*nobody.failure()),
            (3, "A2ACLI_ERR_UNREACHABLE"),
            "{binding}: {}",
            nobody.out
        );
    }
}
