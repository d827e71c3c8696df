//! The program: `a2ad db reseal`, and what `a2ad db` says of keys.

use std::path::Path;
use std::process::{Command, Output};

use a2ad::pb::{GetTaskPushNotificationConfigRequest, TaskPushNotificationConfig};

use super::{config, in_the_clear};
use crate::binary::{PROGRAM, Server};
use crate::support::messages::{message, send_of, task};
use crate::support::wire::{TestClient, Wire};

fn db(database: &Path, arguments: &[&str], keys: &[String]) -> Output {
    Command::new(PROGRAM)
        .arg("db")
        .args(arguments)
        .arg("--database")
        .arg(url(database))
        .args(keys)
        .output()
        .unwrap()
}

fn url(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

/// The flags for a key and former ones.
fn flags(key: u8, previous: &[u8]) -> Vec<String> {
    let hex = |byte: &u8| format!("{byte:02x}").repeat(32);
    let mut flags = vec!["--set".to_owned(), format!("secrets.key={}", hex(&key))];
    if !previous.is_empty() {
        let previous: Vec<String> = previous.iter().map(hex).collect();
        flags.extend([
            "--set".to_owned(),
            format!("secrets.previous_keys={}", previous.join(",")),
        ]);
    }
    flags
}

fn start(database: &Path, keys: &[String]) -> Server {
    let mut arguments = vec!["--database".to_owned(), url(database)];
    arguments.extend(keys.iter().cloned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Server::start(&arguments)
}

fn stop(server: Server) {
    server.terminate();
    assert!(server.ended().success());
}

async fn entrust(client: &TestClient) -> TaskPushNotificationConfig {
    let done = task(client.call(send_of("echo", message("m", "hello"))).await.unwrap());
    let asked = TaskPushNotificationConfig {
        tenant: "echo".to_owned(),
        ..config(&done.id, "mine")
    };
    client.call(asked).await.unwrap()
}

async fn read(
    server: &Server,
    config: &TaskPushNotificationConfig,
) -> Result<TaskPushNotificationConfig, String> {
    let one = GetTaskPushNotificationConfigRequest {
        tenant: "echo".to_owned(),
        task_id: config.task_id.clone(),
        id: config.id.clone(),
    };
    let read = TestClient::new(server.addr, Wire::Grpc).call(one).await;
    read.map_err(|error| error.message.into())
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// From the file's own key to a configured one and to another one, with a server running while all is sealed anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_changed_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    let server = start(&database, &[]);
    let asked = entrust(&TestClient::new(server.addr, Wire::Grpc)).await;
    let copy = folder.path().join("copy.db");
    let copied = db(&database, &["backup", copy.to_str().unwrap()], &[]);
    let text = said(&copied);
    assert!(
        copied.status.success() && text.contains("a2ad.db.key is not in the copy"),
        "{text}"
    );
    assert!(text.contains("copy.db.key"), "{text}");
    stop(server);

    for (keys, rows) in [(flags(1, &[]), 1), (flags(2, &[1]), 1), (flags(2, &[1]), 0)] {
        let server = start(&database, &keys);
        assert_eq!(read(&server, &asked).await.as_ref(), Ok(&asked));
        let resealed = db(&database, &["reseal"], &keys);
        let text = said(&resealed);
        assert!(resealed.status.success(), "{text}");
        assert!(
            text.starts_with(&format!("{rows} push configurations sealed")),
            "{text}"
        );
        assert!(
            !text.contains("0101") && !text.contains("0202"),
            "a key is shown: {text}"
        );
        assert_eq!(read(&server, &asked).await.as_ref(), Ok(&asked));
        stop(server);
        // The key file is needed once more at most.
        let _ = std::fs::remove_file(folder.path().join("a2ad.db.key"));
    }

    let wrong = flags(1, &[]);
    let server = start(&database, &wrong);
    let error = read(&server, &asked).await.unwrap_err();
    assert!(error.contains("secrets.previous_keys"), "{error}");
    stop(server);
    let resealed = db(&database, &["reseal"], &wrong);
    assert!(
        !resealed.status.success() && said(&resealed).contains("secrets.previous_keys"),
        "{resealed:?}"
    );
    let verified = db(&database, &["verify"], &[]);
    assert!(
        verified.status.success() && said(&verified).contains("0 findings"),
        "{verified:?}"
    );

    let server = start(&database, &flags(2, &[]));
    assert_eq!(read(&server, &asked).await, Ok(asked.clone()));
    stop(server);
    let secrets = [super::TOKEN, super::CREDENTIALS, super::URL];
    assert_eq!(in_the_clear(folder.path(), &secrets), [""; 0]);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("a2ad.db");
    stop(start(&database, &[]));
    let key = folder.path().join("a2ad.db.key");
    // The server has signed webhooks with it, had there been any.
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = db(&database, &["reseal"], &[]);
    assert!(
        !refused.status.success() && said(&refused).contains("chmod 600"),
        "{refused:?}"
    );
}
