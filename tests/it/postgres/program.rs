//! The program itself: one URL switches the backend.

use std::process::Command;

use a2ad::pb::TaskState;

use crate::binary::Server;
use crate::support::messages::{get, send, state, task};
use crate::support::postgres::database;
use crate::support::wire::{TestClient, Wire};

fn migrate(url: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_a2ad"))
        .arg("migrate")
        .env("A2AD__DATABASE__URL", url)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
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
