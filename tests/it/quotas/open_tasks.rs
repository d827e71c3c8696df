//! Tasks that have not ended: as many as may be, however many are begun at the same time.

use a2ad::config::{AccessSpace, DefaultAccess, Quota};
use a2ad::error::Kind;
use a2ad::pb::{CancelTaskRequest, ListTasksRequest, TaskState};
use futures_util::future::join_all;
use serde_json::json;

use super::{each_principal, names};
use crate::identity::issuer::FileIssuer;
use crate::support::messages::{at_once, reply, send, state, task};
use crate::support::wire::{TestClient, Wire, for_each_binding};

for_each_binding!(as_many_are_open_as_may_be, who_waits_for_its_caller_is_open_too);

fn at_most(open_tasks_max: usize) -> Quota {
    Quota {
        open_tasks_max: Some(open_tasks_max),
        ..Quota::default()
    }
}

/// How many tasks of the agent there are.
async fn stored(client: &TestClient, agent: &str) -> usize {
    let request = ListTasksRequest {
        tenant: agent.to_owned(),
        ..ListTasksRequest::default()
    };
    client.call(request).await.unwrap().tasks.len()
}

async fn as_many_are_open_as_may_be(wire: Wire) {
    let world = each_principal(at_most(5)).start().await;
    let client = world.client(wire);
    let begin = async |agent: &str| client.call(at_once(send(agent, "m", "hold"))).await;
    // Tasks that end at once are no longer open, and none of these is in the way of another for good.
    for _ in 0..8 {
        client.call(send("echo", "m", "x")).await.unwrap();
    }
    let crowd = join_all((0..20).map(|_| begin("puppet"))).await;
    let begun = crowd.iter().filter(|answer| answer.is_ok()).count();
    assert!((1..=5).contains(&begun), "{begun}");
    assert_eq!(stored(&client, "puppet").await, begun);
    for _ in begun..5 {
        begin("puppet").await.unwrap();
    }
    for agent in ["puppet", "echo"] {
        let error = begin(agent).await.unwrap_err().is(Kind::ResourceExhausted);
        names(&error, "open_tasks_max", "5", "principal");
        assert!(error.retry);
    }
    assert_eq!(stored(&client, "puppet").await, 5);
    // One that ends makes room for one.
    let open = crowd.into_iter().find_map(Result::ok).map(task).unwrap();
    let cancel = CancelTaskRequest {
        tenant: "puppet".to_owned(),
        id: open.id,
        ..CancelTaskRequest::default()
    };
    assert_eq!(state(&client.call(cancel).await.unwrap()), TaskState::Canceled);
    begin("puppet").await.unwrap();
    begin("puppet").await.unwrap_err().is(Kind::ResourceExhausted);
}

/// Who shares tasks shares the number of open ones, however many of them begin one at the same time.
#[tokio::test]
async fn members_of_a_space_have_as_many_open_together_as_one() {
    const MEMBERS: usize = 50;
    let file = FileIssuer::new();
    let world = each_principal(at_most(5))
        .set(|config| {
            file.trust(config);
            config.access.default = DefaultAccess::Allow;
            let team = AccessSpace {
                claim: Some("team".to_owned()),
                ..AccessSpace::default()
            };
            config.access.spaces.insert("team".to_owned(), team);
        })
        .start()
        .await;
    let member = |wire: Wire, name: &str, team: &str| {
        let token = file.issuer.token_of(name, json!({"team": team}));
        let bearer = format!("Bearer {token}");
        world.client(wire).with("authorization", &bearer)
    };
    for wire in Wire::ALL {
        let team = format!("{wire:?}");
        let crowd = (0..MEMBERS).map(|number| member(wire, &format!("member-{number}"), &team));
        let begin = async |client: TestClient| client.call(at_once(send("puppet", "m", "hold"))).await;
        let crowd = join_all(crowd.map(begin)).await;
        let begun = crowd.iter().filter(|answer| answer.is_ok()).count();
        assert!((1..=5).contains(&begun), "{wire:?}: {begun}");
        for refused in crowd.into_iter().filter_map(Result::err) {
            names(
                &refused.is(Kind::ResourceExhausted),
                "open_tasks_max",
                "5",
                "principal",
            );
        }
        let first = member(wire, "member-0", &team);
        for _ in begun..5 {
            begin(member(wire, "another", &team)).await.unwrap();
        }
        begin(first.clone())
            .await
            .unwrap_err()
            .is(Kind::ResourceExhausted);
        assert_eq!(stored(&first, "puppet").await, 5);
        // Another team is not disturbed.
        begin(member(wire, "member-0", "other")).await.unwrap();
    }
}

async fn who_waits_for_its_caller_is_open_too(wire: Wire) {
    let world = each_principal(at_most(1)).start().await;
    let client = world.client(wire);
    let asked = task(
        client
            .call(send("conformance", "tck-input-required", "x"))
            .await
            .unwrap(),
    );
    assert_eq!(state(&asked), TaskState::InputRequired);
    let error = client.call(send("echo", "m", "x")).await.unwrap_err();
    names(
        &error.is(Kind::ResourceExhausted),
        "open_tasks_max",
        "1",
        "principal",
    );
    // An answer begins no task.
    let done = client
        .call(reply("conformance", &asked, "tck-complete-task", "x"))
        .await;
    assert_eq!(state(&task(done.unwrap())), TaskState::Completed);
    client.call(send("echo", "m", "x")).await.unwrap();
}
