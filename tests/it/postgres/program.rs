//! The program itself: one URL switches the backend.

use std::process::Command;

use a2ad::pb::TaskState;

use super::opening::Encrypted;
use crate::binary::{PROGRAM, Server};
use crate::support::messages::{get, send, state, task};
use crate::support::postgres::database;
use crate::support::wire::{TestClient, Wire};

fn migrate(url: &str) -> (bool, String) {
    run(url, &["migrate"])
}

/// Whether the program succeeds, and what it says.
fn run(url: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env("A2AD__DATABASE__URL", url)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// What looks at a database and what makes its tables heed the same settings as the server.
const COMMANDS: [&[&str]; 3] = [&["migrate"], &["db", "stats"], &["db", "verify"]];

#[test]
fn commands_verify_the_servers_certificate() {
    let encrypted = Encrypted::start();
    let url = |root: &str| format!("{}?sslmode=verify-full&sslrootcert={root}", encrypted.by_name());
    for command in COMMANDS {
        let (fine, text) = run(&url(&encrypted.good), command);
        assert!(fine, "{command:?}: {text}");
        let (fine, text) = run(&url(&encrypted.bad), command);
        assert!(!fine && text.contains("sslrootcert"), "{command:?}: {text}");
    }
}

#[test]
fn commands_heed_the_settings_of_the_database() {
    // Takes connections, because the system does, and says nothing.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://u:hunter2@{}/db", silent.local_addr().unwrap());
    for command in COMMANDS {
        let limited = [command, &["--set", "database.connect_timeout_ms=123"]].concat();
        let (fine, text) = run(&url, &limited);
        assert!(
            !fine && text.contains("no answer within 123ms"),
            "{command:?}: {text}"
        );
    }
    let database = database();
    database.sql(
        "CREATE TABLE seen (name TEXT);
         CREATE FUNCTION look() RETURNS event_trigger AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('application_name')); END $$ LANGUAGE plpgsql;
         CREATE EVENT TRIGGER look ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION look();",
    );
    let named = ["migrate", "--set", "database.application_name=operator"];
    let (fine, text) = run(database.url(), &named);
    assert!(fine, "{text}");
    assert_eq!(database.sql("SELECT DISTINCT name FROM seen"), "operator");
}

#[test]
fn migrations_are_a_command_that_shows_no_password() {
    let database = database();
    let url = database.url().replace("a2ad@", "a2ad:hunter2@");
    let (fine, text) = migrate(&url);
    assert!(
        fine && text.contains("a2ad:***@") && !text.contains("hunter2"),
        "{text}"
    );
    assert!(!text.contains(": 0 migrations applied"), "{text}");
    let (fine, text) = migrate(&url);
    assert!(fine && text.contains(": 0 migrations applied"), "{text}");
    let (fine, text) = migrate(&url.replace("127.0.0.1", "127.0.0.1:1/x?"));
    assert!(!fine && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_killed_program_has_lost_nothing() {
    let database = database();
    let arguments = [
        "--database",
        database.url(),
        "--set",
        "database.application_name=program",
    ];
    let server = Server::start(&arguments);
    let client = TestClient::new(server.addr, Wire::Grpc);
    let stored = task(client.call(send("echo", "m", "hello")).await.unwrap());
    let named = "SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE application_name = 'program' \
                 AND datname = current_database()";
    assert_eq!(database.sql(named), "t");
    server.kill();
    let server = Server::start(&arguments);
    let client = TestClient::new(server.addr, Wire::Grpc);
    let found = client.call(get("echo", &stored.id)).await.unwrap();
    assert_eq!(state(&found), TaskState::Completed);
}
