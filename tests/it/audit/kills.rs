//! kill -9 in the middle: the file is whole but for a torn end, which the next start takes out, and the chains go on.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::audit::Kind;
use futures_util::future::join_all;

use super::program::Place;
use crate::support::engine::eventually;
use crate::support::random::Random;
use crate::support::wire::Wire;

const KILLS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_a_log_that_goes_on() {
    let place = Place::new("");
    let mut random = Random::from_environment();
    for life in 0..KILLS {
        let server = place.start();
        let caller = place.caller(&server, "a").await;
        let answered = AtomicUsize::new(0);
        let calls = 20 + random.below(200) as usize;
        let busy = async {
            let sends = (0..8).map(|client| {
                let (caller, answered) = (&caller, &answered);
                async move {
                    for number in 0.. {
                        let id = format!("{life}-{client}-{number}");
                        caller.send(Wire::Grpc, &id, "x").await?;
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok::<(), String>(())
                }
            });
            join_all(sends).await
        };
        tokio::select! {
            _ = busy => {}
            () = eventually(async || answered.load(Ordering::SeqCst) >= calls) => {}
        }
        server.kill();
        let (whole, text) = place.verify(&["--file", "audit.jsonl"]);
        assert!(whole, "life {life}: {text}");
        let (whole, text) = place.verify(&[]);
        assert!(whole, "life {life}, database: {text}");
        if life % 2 == 0 {
            // What a power cut or a full disk would leave.
            let mut file = std::fs::OpenOptions::new()
                .append(true)
                .open(place.file())
                .unwrap();
            file.write_all(b"{\"chain\":\"torn").unwrap();
            let (whole, text) = place.verify(&["--file", "audit.jsonl"]);
            assert!(whole && text.contains("14 bytes of torn records"), "{text}");
        }
    }
    let server = place.start();
    server.terminate();
    assert!(server.ended().success());
    place.is_whole();
    let records = place.records();
    let begun: Vec<_> = records.iter().filter(|record| record.begins()).collect();
    assert_eq!(begun.len() as u64, KILLS + 1);
    assert!(
        begun
            .iter()
            .skip(1)
            .all(|record| record.file_head.is_some() && record.database_head.is_some())
    );
    let torn = begun
        .iter()
        .filter(|record| record.torn_bytes == Some(14))
        .count() as u64;
    assert_eq!(torn, KILLS.div_ceil(2));
    let calls = records.iter().filter(|record| record.kind == Kind::Call).count();
    println!("{KILLS} kills, {calls} calls on record, {} chains", begun.len());
}
