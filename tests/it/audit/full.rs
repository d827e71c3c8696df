//! A disk that takes no more records: calls end with UNAVAILABLE, and go on when there is space.

use std::process::Command;

use super::program::Place;
use crate::binary::Server;
use crate::support::engine::eventually;
use crate::support::wire::Wire;

fn limit_files(server: &Server, bytes: &str) {
    let id = server.id().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status();
    assert!(limited.expect("prlimit is part of util-linux").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_calls_until_there_is_space() {
    let place = Place::new("");
    // Beyond the limit there is a signal, which would end the process; a full disk sends none.
    let shell = format!("trap '' XFSZ; cd {}", place.files.path("").display());
    let arguments = ["--config", "a2ad.toml", "--database", "memory"];
    let server = Server::start_after(&shell, &arguments);
    let caller = place.caller(&server, "a").await;
    let answered = caller.send(Wire::Grpc, "before", "x").await;
    answered.expect("there is space");
    let length = std::fs::metadata(place.file()).unwrap().len();
    // In the middle of the next record.
    limit_files(&server, &(length + 100).to_string());
    let refused = async || match caller.send(Wire::Grpc, "full", "x").await {
        Ok(_) => false,
        Err(error) => error.contains("audit"),
    };
    eventually(refused).await;
    for wire in Wire::ALL {
        let error = caller.send(wire, "full", "x").await.unwrap_err();
        assert!(error.contains("audit log"), "{wire:?}: {error}");
    }
    limit_files(&server, "unlimited");
    eventually(async || caller.send(Wire::Grpc, "after", "x").await.is_ok()).await;
    server.terminate();
    assert!(server.ended().success());
    let (whole, text) = place.verify(&["--file", "audit.jsonl"]);
    assert!(whole && !text.contains("torn"), "{text}");
    let recorded = |id: &str| {
        let of = |record: &&a2ad::audit::Record<'_>| {
            record.method.is_some() && record.request_id.as_deref() == Some(id) && record.outcome == "ok"
        };
        place.records().iter().filter(of).count()
    };
    assert_eq!((recorded("before"), recorded("after")), (1, 1));
}
