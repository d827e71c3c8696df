//! One caller that floods, and others beside it.

use a2ad::error::Kind;
use futures_util::future::join_all;

use super::{each_principal, requests};
use crate::support::messages::{send, state, task};
use crate::support::wire::{TestClient, Wire, for_each_binding};
use a2ad::pb::TaskState;

for_each_binding!(a_flood_is_refused_and_nobody_beside_it);

/// How many calls are answered, rightly, and how many are refused.
async fn calls(client: &TestClient, count: usize) -> (usize, usize) {
    let answers = join_all((0..count).map(|n| {
        let words = format!("word {n}");
        async move {
            match client.call(send("echo", "m", &words)).await {
                Ok(answer) => {
                    let task = task(answer);
                    assert_eq!(state(&task), TaskState::Completed);
                    assert!(format!("{task:?}").contains(&words), "{task:?}");
                    true
                }
                Err(error) => {
                    error.is(Kind::ResourceExhausted);
                    false
                }
            }
        }
    }));
    let answers = answers.await;
    let right = answers.iter().filter(|&&right| right).count();
    (right, count - right)
}

async fn a_flood_is_refused_and_nobody_beside_it(wire: Wire) {
    let world = each_principal(requests(20)).start().await;
    let flood = world.client(wire);
    let beside = world.client(wire).from([127, 0, 0, 2]);
    let third = world.client(wire).from([127, 0, 0, 3]);
    let (flood, beside, third) = tokio::join!(calls(&flood, 150), calls(&beside, 20), calls(&third, 20));
    assert_eq!(flood, (20, 130));
    assert_eq!((beside, third), ((20, 0), (20, 0)));
}
