//! List Tasks: filters, pages, and tokens that are not ours.

use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, Message, Task, TaskState, Timestamp};

use crate::support::messages::{message, send, send_of, task};
use crate::support::wire::{TestClient, Wire, for_each_binding};
use crate::support::world::{Scenario, World};

for_each_binding!(
    filters_narrow_the_listing,
    pages_lead_to_the_end,
    pages_are_bounded_in_bytes,
    what_a_task_carries_is_asked_for,
    sizes_states_and_lengths_are_checked,
    tokens_belong_to_one_listing,
);

async fn pages_are_bounded_in_bytes(wire: Wire) {
    let world = Scenario::new()
        .sqlite()
        .set(|config| config.limits.list_bytes_max = 10_000)
        .start()
        .await;
    let client = world.client(wire);
    for size in [4_000, 4_000, 30_000] {
        client.call(send("echo", "m", &"x".repeat(size))).await.unwrap();
    }
    // Newest first: the large one alone, then what fits; a task of 4,000 characters holds them twice.
    let (mut pages, mut request) = (Vec::new(), list("echo"));
    loop {
        let page = client.call(request.clone()).await.unwrap();
        pages.push(page.tasks.len());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [1, 1, 1]);
}

fn list(agent: &str) -> ListTasksRequest {
    ListTasksRequest {
        tenant: agent.to_owned(),
        ..ListTasksRequest::default()
    }
}

fn ids(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.id.as_str()).collect()
}

/// A task of the context.
async fn make(client: &TestClient, script: &str, context: &str) -> Task {
    let message = Message {
        context_id: context.to_owned(),
        ..message(script, "x")
    };
    task(client.call(send_of("conformance", message)).await.unwrap())
}

async fn filters_narrow_the_listing(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let a = make(&client, "tck-complete-task", "one").await;
    let b = make(&client, "tck-input-required", "one").await;
    let later = b.status.as_ref().unwrap().timestamp.unwrap();
    // Times are whole milliseconds; the next task must have a later one.
    while millis(&make(&client, "tck-reject-task", "clock").await) <= millis(&b) {}
    let c = make(&client, "tck-complete-task", "two").await;
    let found = async |change: fn(&mut ListTasksRequest)| {
        let mut request = list("conformance");
        change(&mut request);
        let answer = client.call(request).await.unwrap();
        assert_eq!(
            (answer.total_size as usize, answer.next_page_token.as_str()),
            (answer.tasks.len(), "")
        );
        ids(&answer.tasks)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found(|request| request.context_id = "one".to_owned()).await,
        [b.id.as_str(), &a.id]
    );
    assert_eq!(
        found(|request| request.set_status(TaskState::Completed)).await,
        [c.id.as_str(), &a.id]
    );
    assert_eq!(
        found(|request| request.set_status(TaskState::InputRequired)).await,
        [b.id.as_str()]
    );
    assert_eq!(
        found(|request| request.context_id = "none".to_owned()).await,
        [""; 0]
    );
    let after = ListTasksRequest {
        status_timestamp_after: Some(later),
        ..list("conformance")
    };
    let after = client.call(after).await.unwrap();
    let found = ids(&after.tasks);
    assert_eq!(found[0], c.id, "the newest first");
    assert!(found.contains(&b.id.as_str()), "the bound itself belongs to it");
    assert!(after.tasks.iter().all(|task| millis(task) >= millis(&b)));
    let both = ListTasksRequest {
        context_id: "one".to_owned(),
        status_timestamp_after: Some(Timestamp {
            seconds: 253_402_300_799,
            nanos: 0,
        }),
        ..list("conformance")
    };
    assert_eq!(client.call(both).await.unwrap().tasks, []);
    assert_eq!(
        client.call(list("echo")).await.unwrap().tasks,
        [],
        "each agent has its own tasks"
    );
}

fn millis(task: &Task) -> i64 {
    let at = task.status.as_ref().unwrap().timestamp.as_ref().unwrap();
    at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000
}

async fn pages_lead_to_the_end(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(make(&client, "tck-complete-task", "c").await.id);
    }
    for size in [1, 3, 7, 100] {
        let mut request = ListTasksRequest {
            page_size: Some(size),
            ..list("conformance")
        };
        let mut seen = Vec::new();
        loop {
            let page = client.call(request.clone()).await.unwrap();
            assert_eq!((page.page_size, page.total_size), (size, 7));
            assert!(page.tasks.len() <= size as usize);
            seen.extend(page.tasks.into_iter().map(|task| task.id));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        let unique: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), unique), (7, made.iter().collect()), "size {size}");
    }
    let unnamed = client.call(list("conformance")).await.unwrap();
    assert_eq!((unnamed.page_size, unnamed.tasks.len()), (50, 7));
}

async fn what_a_task_carries_is_asked_for(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    client.call(send("echo", "m1", "x")).await.unwrap();
    let carried = async |include, length| {
        let request = ListTasksRequest {
            include_artifacts: include,
            history_length: length,
            ..list("echo")
        };
        let page = client.call(request).await.unwrap();
        (page.tasks[0].artifacts.len(), page.tasks[0].history.len())
    };
    let whole = carried(Some(true), None).await;
    assert!(whole.0 == 1 && whole.1 >= 1, "{whole:?}");
    assert_eq!(carried(None, Some(0)).await, (0, 0));
    assert_eq!(carried(Some(false), Some(1)).await, (0, 1));
}

async fn sizes_states_and_lengths_are_checked(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for size in [0, 101, -1] {
        let request = ListTasksRequest {
            page_size: Some(size),
            ..list("echo")
        };
        let error = client.call(request).await.unwrap_err().is(Kind::InvalidParams);
        assert_eq!(error.fields, ["pageSize"], "{size}");
    }
    let everything = ListTasksRequest {
        page_size: Some(0),
        history_length: Some(-1),
        context_id: "x".repeat(129),
        page_token: "x".to_owned(),
        ..list("echo")
    };
    let error = client.call(everything).await.unwrap_err().is(Kind::InvalidParams);
    assert_eq!(
        error.fields,
        ["historyLength", "contextId", "pageSize", "pageToken"]
    );
}

async fn tokens_belong_to_one_listing(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for _ in 0..3 {
        make(&client, "tck-complete-task", "c").await;
    }
    let first = ListTasksRequest {
        page_size: Some(1),
        ..list("conformance")
    };
    let token = client.call(first.clone()).await.unwrap().next_page_token;
    let with = |token: &str| ListTasksRequest {
        page_token: token.to_owned(),
        ..first.clone()
    };
    client.call(with(&token)).await.unwrap();
    let flip = |at: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut bad = vec![with("x"), with(&token[1..]), with(&format!("{token}A"))];
    bad.extend((0..token.len() - 1).step_by(7).map(|at| with(&flip(at))));
    // Another filter, and another agent.
    bad.push(ListTasksRequest {
        status: TaskState::Completed.into(),
        ..with(&token)
    });
    bad.push(ListTasksRequest {
        tenant: "echo".to_owned(),
        ..with(&token)
    });
    for request in bad {
        let error = client.call(request).await.unwrap_err().is(Kind::InvalidParams);
        assert_eq!(error.fields, ["pageToken"]);
    }
}
