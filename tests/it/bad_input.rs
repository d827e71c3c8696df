//! Bad input over real sockets: 32 classes on three bindings. Every cell fixes the HTTP status, the code, the reason
//! and the content type, and that nothing in the database has changed.

mod calls;
mod rows;
mod shot;

use std::collections::BTreeSet;

use rows::{Cell, Fixture};

use crate::support::database::Dump;
use crate::support::messages::{at_once, send, task};
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World};

/// Cells of the table of 96 that some row takes a shot at. The other 15 say why not: 3 can't be expressed by their
/// binding, 9 wait for credentials and rates, 3 are shown where a runtime ends.
const SHOT_AT: usize = 81;

async fn start() -> World {
    let scenario = Scenario::new().sqlite().set(|config| {
        config.server.body_bytes_max = 64 << 10;
        config.limits.part_bytes_max = 32 << 10;
    });
    scenario.start().await
}

async fn fixture(world: &World) -> Fixture {
    let client = world.client(Wire::Grpc);
    let made = async |request| task(client.call(request).await.unwrap());
    let done = made(send("conformance", "tck-complete-task", "x")).await;
    let asking = made(send("conformance", "tck-input-required", "x")).await;
    made(at_once(send("conformance", "tck-cancel", "x"))).await;
    let page = a2ad::pb::ListTasksRequest {
        tenant: "conformance".to_owned(),
        page_size: Some(1),
        ..a2ad::pb::ListTasksRequest::default()
    };
    let token = client.call(page).await.unwrap().next_page_token;
    Fixture {
        done: done.id,
        asking: asking.id,
        token,
    }
}

#[tokio::test]
async fn every_class_on_every_binding() {
    let world = start().await;
    let fixture = fixture(&world).await;
    let dump = Dump::open(&world.database()).await;
    let (mut wrong, mut classes, mut fired) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut before = settled(&dump).await;
    assert!(before.values().map(Vec::len).sum::<usize>() > 5, "{before:?}");
    for row in rows::all(&fixture) {
        for (wire, cell) in Wire::ALL.into_iter().zip(row.cells) {
            let class = row.name.split(' ').next().unwrap();
            classes.insert((class, wire as usize));
            let (shot, expected) = match cell {
                Cell::Shot(shot, expected) => (shot, expected),
                Cell::NotHere(why) => {
                    assert!(!why.is_empty());
                    continue;
                }
            };
            fired.insert((class, wire as usize));
            let seen = shot.fire(&world, wire).await;
            if seen != expected {
                wrong.push(format!(
                    "{} over {wire:?}: expected {expected}, got {seen}",
                    row.name
                ));
            }
            let after = if row.changes {
                settled(&dump).await
            } else {
                dump.tables().await
            };
            if !row.changes && after != before {
                wrong.push(format!("{} over {wire:?}: the database changed", row.name));
            }
            before = after;
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    assert_eq!(
        classes.len(),
        96,
        "every class stands on every binding, if only with the reason why not"
    );
    assert_eq!(fired.len(), SHOT_AT);
}

/// The database when nothing is written any more: what a row left behind must not be taken for the next one's.
async fn settled(dump: &Dump) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut before = dump.tables().await;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let now = dump.tables().await;
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the database does not come to rest");
}

/// A task that is somebody else's is byte for byte a task that does not exist. In the clear nobody has an identity, so
/// that another agent's task stands in for another owner's: the repository knows both by the same scope.
#[tokio::test]
async fn what_is_not_ones_own_does_not_exist() {
    let world = start().await;
    let foreign = fixture(&world).await.done;
    for wire in Wire::ALL {
        let mut answers = Vec::new();
        for id in [foreign.as_str(), "0192f0c1-2b3c-7def-8123-456789abcdef"] {
            for shot in calls::of_task("echo", id, wire) {
                let reply = shot.send(&world, wire).await;
                let text = format!("{} {:?} {:?}", reply.status, reply.body, details(&reply));
                answers.push(text.replace(id, "ID"));
            }
        }
        let (of_foreign, of_unknown) = answers.split_at(answers.len() / 2);
        assert_eq!(of_foreign, of_unknown, "{wire:?}");
        assert!(
            of_foreign.iter().all(|answer| answer.contains("TASK_NOT_FOUND")),
            "{of_foreign:?}"
        );
    }
}

/// What gRPC says outside of the body, as text.
fn details(reply: &crate::support::wire::Reply) -> String {
    use tonic_types::StatusExt as _;
    let status = tonic::Status::from_header_map(&reply.headers);
    status.map_or_else(String::new, |status| {
        let info = status.get_error_details().error_info().cloned().unwrap();
        // Maps have no order on the wire.
        let metadata: std::collections::BTreeMap<_, _> = info.metadata.into_iter().collect();
        format!(
            "{:?} {} {} {metadata:?}",
            status.code(),
            status.message(),
            info.reason
        )
    })
}
