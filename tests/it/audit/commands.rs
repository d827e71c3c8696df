//! `a2ad audit`, and the records of what operators do.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use a2ad::audit::Kind;

use super::program::{Place, stored};
use crate::binary::PROGRAM;
use crate::support::raw::Raw;
use crate::support::wire::Wire;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_shows_the_newest_records_and_what_comes() {
    let place = Place::new("");
    let server = place.start();
    let caller = place.caller(&server, "a").await;
    for which in [&["--file", "audit.jsonl"][..], &["--config", "a2ad.toml"]] {
        let mut tail = Command::new(PROGRAM)
            .args(["audit", "tail", "-n", "1000", "--follow", "--output", "json"])
            .args(which)
            .current_dir(place.files.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let id = format!("call-{}", which.len() + which[1].len());
        caller.send(Wire::Grpc, &id, "x").await.unwrap();
        let lines = BufReader::new(tail.stdout.take().unwrap()).lines();
        let seen = tokio::task::spawn_blocking(move || {
            let mut lines = lines.map_while(Result::ok);
            let last = lines.find(|line| line.contains(&format!("\"{id}\"")));
            last.is_some()
        });
        let seen = crate::sockets::soon("the record of the call", seen)
            .await
            .unwrap();
        tail.kill().unwrap();
        tail.wait().unwrap();
        assert!(seen, "{which:?}");
    }
    let shown = place.run(&["audit", "tail", "-n", "2", "--file", "audit.jsonl"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("agent:echo") || text.contains("SendMessage"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_names_the_first_wrong_record_and_fails() {
    let place = Place::new("");
    let server = place.start();
    let caller = place.caller(&server, "a").await;
    for number in 0..5 {
        caller
            .send(Wire::Grpc, &format!("call-{number}"), "x")
            .await
            .unwrap();
    }
    server.terminate();
    assert!(server.ended().success());
    place.is_whole();
    let head = place.records().last().unwrap().hash.clone().unwrap();
    for file in [&["--file", "audit.jsonl"][..], &[]] {
        let (whole, text) = place.verify(&[file, &["--head", &head]].concat());
        assert!(whole && text.contains(&*head), "{text}");
        let other = "0".repeat(64);
        let (whole, text) = place.verify(&[file, &["--head", &other]].concat());
        assert!(!whole && text.contains("cut off"), "{text}");
    }
    let text = std::fs::read_to_string(place.file()).unwrap();
    std::fs::write(place.file(), text.replace("call-3", "call-9")).unwrap();
    let (whole, text) = place.verify(&["--file", "audit.jsonl"]);
    assert!(
        !whole && text.contains("audit.jsonl:") && text.contains("was changed"),
        "{text}"
    );
    let raw = Raw::open(&place.database()).await;
    // The batch behind the first one: each has a call at least.
    let second = "SELECT seq FROM audit_record ORDER BY seq LIMIT 1 OFFSET 1";
    raw.execute(&format!("DELETE FROM audit_record WHERE seq = ({second})"))
        .await;
    let (whole, text) = place.verify(&[]);
    assert!(!whole && text.contains("follows record 1 of its chain"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_is_recorded_beside_a_running_server() {
    let place = Place::new("");
    let server = place.start();
    let copied = place.run(&["db", "backup", "copy.db", "--config", "a2ad.toml"]);
    assert!(copied.status.success(), "{copied:?}");
    server.terminate();
    assert!(server.ended().success());
    let pruned = place.run(&["db", "prune", "--config", "a2ad.toml"]);
    assert!(pruned.status.success(), "{pruned:?}");
    let raw = Raw::open(&place.database()).await;
    let mut admin = stored(&raw).await;
    admin.retain(|record| record.kind == Kind::Admin);
    let told: Vec<_> = admin
        .iter()
        .map(|record| (record.method.as_deref().unwrap(), &*record.outcome))
        .collect();
    let expected = ["db backup", "db prune"].map(|command| [(command, "INTENDED"), (command, "ok")]);
    assert_eq!(told, expected.concat());
    let own = std::fs::metadata("/proc/self").unwrap().uid();
    for record in &admin {
        assert_eq!(record.kind, Kind::Admin);
        assert_eq!(record.principal.as_deref(), Some(&*format!("os:{own}")));
        assert_eq!(record.claims.as_deref(), Some("somebody else"));
    }
    place.is_whole();
}
