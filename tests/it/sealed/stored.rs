//! What stands in the database, as whoever steals it finds it.

use a2ad::config::Secret;
use a2ad::error::Kind;
use a2ad::pb::{
    GetTaskPushNotificationConfigRequest, ListTasksRequest, SendMessageRequest, TaskPushNotificationConfig,
};
use a2ad::repository::TaskRepository as _;
use a2ad::repository::conformance::{Sketch, scope};

use super::{CREDENTIALS, Place, TOKEN, URL, config, in_the_clear, keys};
use crate::support::messages::{configured, masked, send, task};
use crate::support::wire::{TestClient, Wire, for_each_binding};
use crate::support::world::{Scenario, on_postgres};

const AGENT: &str = "conformance";

/// What a message says is stored as it is: whoever looks for words finds these.
const SAID: &str = "tck-complete-task";

for_each_binding!(
    nothing_entrusted_is_in_the_file,
    postgres_needs_a_key_for_what_is_entrusted,
);

fn of_agent(config: TaskPushNotificationConfig) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        tenant: AGENT.to_owned(),
        ..config
    }
}

fn with_config(request: SendMessageRequest) -> SendMessageRequest {
    configured(request, |configuration| {
        configuration.task_push_notification_config = Some(of_agent(config("", "inline")));
    })
}

/// Stores configurations by both ways, and reads one; the id of the task.
async fn entrust(client: &TestClient) -> String {
    let sent = with_config(send(AGENT, SAID, "x"));
    let id = task(client.call(sent).await.unwrap()).id;
    let asked = of_agent(config(&id, "mine"));
    let shown = masked(asked.clone());
    assert_eq!(client.call(asked).await.unwrap(), shown);
    assert_eq!(client.call(one(&id)).await.unwrap(), shown);
    id
}

fn one(task_id: &str) -> GetTaskPushNotificationConfigRequest {
    GetTaskPushNotificationConfigRequest {
        tenant: AGENT.to_owned(),
        task_id: task_id.to_owned(),
        id: "mine".to_owned(),
    }
}

async fn nothing_entrusted_is_in_the_file(wire: Wire) {
    let world = Scenario::new().sqlite().start().await;
    entrust(&world.client(wire)).await;
    let database = world.database();
    let folder = database.parent().unwrap();
    assert_eq!(in_the_clear(folder, &[SAID, TOKEN, CREDENTIALS, URL]), [SAID]);
    let key = std::fs::read_to_string(database.with_extension("db.key")).unwrap();
    assert_eq!(key.trim_end().len(), 64, "the key file was not made");
}

/// The refusal says what to do, and comes before a task is begun.
async fn postgres_needs_a_key_for_what_is_entrusted(wire: Wire) {
    on_postgres(async {
        let world = Scenario::new()
            .set(|config| config.secrets.key = None)
            .start()
            .await;
        let client = world.client(wire);
        let done = task(client.call(send(AGENT, SAID, "x")).await.unwrap());
        let open = TaskPushNotificationConfig {
            token: String::new(),
            authentication: None,
            ..of_agent(config(&done.id, "open"))
        };
        assert_eq!(client.call(open.clone()).await.unwrap(), open);
        let inline = with_config(send(AGENT, SAID, "y"));
        let refusals = [
            client.call(of_agent(config(&done.id, "mine"))).await.unwrap_err(),
            client.call(inline).await.unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(&*error.reason, Kind::UnsupportedOperation.reason());
            assert!(
                error.message.contains("secrets.key") && error.message.contains("openssl rand -hex 32"),
                "{}",
                error.message
            );
        }
        let list = ListTasksRequest {
            tenant: AGENT.to_owned(),
            ..ListTasksRequest::default()
        };
        assert_eq!(
            client.call(list).await.unwrap().tasks.len(),
            1,
            "a task was begun"
        );
    })
    .await;
}

/// The same on PostgreSQL, in the rows as its own client shows them, and with a key from the configuration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_entrusted_is_in_the_rows() {
    let [_, place] = Place::both();
    let repository = place.open(keys(1, &[])).await;
    let scope = scope("ada");
    repository
        .commit(Sketch::new(&scope, "t").create())
        .await
        .unwrap();
    let put = repository.put_push_config(&scope, &config("t", "c"), 9).await;
    assert_eq!(put, Ok(true));
    repository.close().await;
    let Place::Postgres(database) = &place else {
        panic!("the second place is PostgreSQL");
    };
    let shown = |bytes: &str| {
        database.sql(&format!(
            "SELECT count(*) FROM push_config WHERE position(convert_to('{bytes}', 'UTF8') IN config) > 0"
        ))
    };
    for word in [TOKEN, CREDENTIALS, URL] {
        assert_eq!(shown(word), "0", "{word}");
    }
    let ids = database.sql("SELECT count(*) FROM push_config WHERE id = 'c' AND length(config) > 150");
    assert_eq!(ids, "1");
}

/// The same key file serves the next start; a configured key takes its place and what it sealed opens still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_file_serves_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a2ad.db");
    let start = async |key: Option<&str>| {
        let (url, key) = (
            format!("sqlite://{}", file.display()),
            key.map(|key| Secret::new(key.repeat(32))),
        );
        Scenario::new()
            .set(|config| {
                config.database.url = url.as_str().into();
                config.secrets.key = key;
            })
            .start()
            .await
    };
    let mut world = start(None).await;
    let id = entrust(&world.client(Wire::Grpc)).await;
    for key in [None, Some("0a")] {
        world.stop();
        world.ended().await;
        world = start(key).await;
        let read = world.client(Wire::Grpc).call(one(&id)).await.unwrap();
        assert_eq!(read, masked(of_agent(config(&id, "mine"))), "{key:?}");
    }
    world.stop();
    world.ended().await;

    std::fs::remove_file(folder.path().join("a2ad.db.key")).unwrap();
    let world = start(Some("0a")).await;
    let error = world.client(Wire::Grpc).call(one(&id)).await.unwrap_err();
    assert!(
        error.message.contains("secrets.previous_keys"),
        "{}",
        error.message
    );
    assert!(!error.message.contains(TOKEN));
}
