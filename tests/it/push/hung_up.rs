//! Callers that hang up before their change is written: what it was meant to stop is stopped all the same.

use std::sync::Arc;
use std::time::Duration;

use a2ad::access::{Caller, CredentialKind, Grant, Grants, Names, Operations};
use a2ad::agent::{Agent, AgentOptions, Agents};
use a2ad::audit::Audit;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::context::CallContext;
use a2ad::egress::{Error, Refusal};
use a2ad::execution::Executions;
use a2ad::pb::admin::{DiscardDeliveriesRequest, RedeliverDeliveriesRequest};
use a2ad::pb::inspect::InspectLimits;
use a2ad::pb::{DeleteTaskPushNotificationConfigRequest, TaskPushNotificationConfig};
use a2ad::push::{Answer, Dispatcher, Needs, PushSettings, Pushes, Transport};
use a2ad::quota::{QuotaSettings, Quotas};
use a2ad::repository::conformance::{Sketch, push_config, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::repository::{PushRepository as _, TaskRepository as _, TaskWrite};
use a2ad::service::push_admin::{PushAdmin, PushAdminParts, PushAdminSettings};
use a2ad::service::{AgentService, ServiceSettings};
use a2ad::shutdown::{Finisher, Shutdown};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Uri};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::demo_agents::echo_agent::{self, EchoAgent};
use crate::sockets::soon;

const URL: &str = "https://example.org/hook";

/// A way out on which nobody answers, and which says what was begun and what was broken off.
#[derive(Default)]
struct Silent {
    begun: Arc<Events>,
    broken: Arc<Events>,
}

/// Things that happen, to be waited for one by one.
struct Events(Semaphore);

impl Default for Events {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Events {
    async fn next(&self, what: &str) {
        soon(what, self.0.acquire()).await.unwrap().forget();
    }
}

/// One of these happens when this is dropped.
struct AtItsEnd(Arc<Events>);

impl Drop for AtItsEnd {
    fn drop(&mut self) {
        self.0.0.add_permits(1);
    }
}

#[async_trait]
impl Transport for Silent {
    fn target(&self, url: &str) -> Result<Uri, Refusal> {
        url.parse().map_err(|_| Refusal::Form)
    }

    async fn post(&self, _: Request<Bytes>) -> Result<Answer, Error> {
        let _under_way = AtItsEnd(self.broken.clone());
        self.begun.0.add_permits(1);
        std::future::pending().await
    }
}

/// A task of Ada, an event of which is on its way to a receiver that never answers.
struct UnderWay {
    transport: Arc<Silent>,
    admin: PushAdmin,
    service: AgentService,
    repository: Arc<SeaOrmRepository>,
    changes: Finisher,
    _folder: TempDir,
}

impl UnderWay {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shutdown = Shutdown::new();
        let path = folder.path().join("tasks.db");
        let repository = SeaOrmRepository::open_sqlite(&path, &DatabaseSettings::default(), &shutdown)
            .await
            .unwrap();
        let repository = Arc::new(repository);
        let create = TaskWrite {
            push_configs: vec![push_config("t", "p", URL)],
            ..Sketch::new(&scope("ada"), "t").create()
        };
        repository.commit(create).await.unwrap();
        let (pushes, transport) = (Pushes::default(), Arc::new(Silent::default()));
        let needs = Needs {
            outbox: repository.clone(),
            tasks: repository.clone(),
            transport: transport.clone(),
            signer: None,
            clock: Clock::system(),
            audit: Audit::off(),
            shutdown: shutdown.clone(),
        };
        // Nothing is over here because its time is.
        let patient = PushSettings {
            request_timeout: Duration::from_secs(600),
            claim: Duration::from_secs(3_600),
            ..PushSettings::default()
        };
        Dispatcher::start(needs, patient, pushes.clone());
        let service = service(repository.clone(), shutdown.clone(), pushes.clone());
        let changes = service.changes().clone();
        let admin = PushAdmin::new(PushAdminParts {
            push: repository.clone(),
            pushes,
            tasks: repository.clone(),
            audit: Audit::off(),
            quotas: Quotas::new(QuotaSettings::default()),
            shutdown,
            changes: changes.clone(),
            settings: PushAdminSettings {
                inspect: InspectLimits::default(),
                page_size_max: 10,
            },
        });
        transport.begun.next("the request").await;
        Self {
            transport,
            admin,
            service,
            repository,
            changes,
            _folder: folder,
        }
    }

    /// The caller hangs up as soon as the change is in line to be written.
    async fn is_broken_off_by<T>(&self, change: impl Future<Output = T>) {
        assert!(change.now_or_never().is_none(), "it was over at once");
        self.transport.broken.next("the end of the request").await;
    }
}

fn service(repository: Arc<SeaOrmRepository>, shutdown: Shutdown, pushes: Pushes) -> AgentService {
    let settings = ServiceSettings {
        changes_max: 1,
        ..ServiceSettings::default()
    };
    let clock = Clock::system();
    let executions = Executions::new(
        repository.clone(),
        Arc::new(LocalBus::new()),
        clock.clone(),
        shutdown.clone(),
        Default::default(),
        Audit::off(),
    );
    let options = AgentOptions::default();
    let echo = Agent::new("echo", echo_agent::card(), Arc::new(EchoAgent), options).unwrap();
    let agents = Agents::new(vec![echo], Some("echo")).unwrap();
    AgentService::new(agents, executions, repository, clock, shutdown, settings, pushes).unwrap()
}

fn ada() -> CallContext {
    CallContext::detached(scope("ada").owner, Arc::from("1"))
}

/// Who may do everything that operators may.
fn chief() -> CallContext {
    let named = Caller::named(scope("chief").owner);
    let mut credential = named.credential.clone();
    credential.kind = CredentialKind::Jwt;
    let grants = Grants::of(vec![Grant {
        agents: Names::Any,
        operations: Operations::named("push-admin").unwrap(),
        skills: Names::Any,
    }]);
    CallContext {
        caller: Arc::new(Caller {
            credential,
            grants,
            ..named
        }),
        ..ada()
    }
}

#[tokio::test]
async fn a_discard_stops_what_it_discards() {
    let world = UnderWay::new().await;
    let all = DiscardDeliveriesRequest {
        all: true,
        ..DiscardDeliveriesRequest::default()
    };
    let caller = chief();
    world
        .is_broken_off_by(world.admin.discard_deliveries(&caller, all))
        .await;
}

#[tokio::test]
async fn a_redelivery_takes_the_place_of_what_is_under_way() {
    let world = UnderWay::new().await;
    let all = RedeliverDeliveriesRequest {
        all: true,
        ..RedeliverDeliveriesRequest::default()
    };
    let caller = chief();
    world
        .is_broken_off_by(world.admin.redeliver_deliveries(&caller, all))
        .await;
    world.transport.begun.next("the request anew").await;
}

#[tokio::test]
async fn a_configuration_that_is_deleted_is_sent_to_no_more() {
    let world = UnderWay::new().await;
    let request = DeleteTaskPushNotificationConfigRequest {
        task_id: "t".to_owned(),
        id: "p".to_owned(),
        ..DeleteTaskPushNotificationConfigRequest::default()
    };
    let caller = ada();
    world
        .is_broken_off_by(
            world
                .service
                .delete_task_push_notification_config(&caller, request),
        )
        .await;
}

#[tokio::test]
async fn a_configuration_that_is_replaced_is_sent_to_as_it_is_now() {
    let world = UnderWay::new().await;
    let replaced = TaskPushNotificationConfig {
        url: "https://example.org/elsewhere".to_owned(),
        ..push_config("t", "p", URL)
    };
    let caller = ada();
    world
        .is_broken_off_by(
            world
                .service
                .create_task_push_notification_config(&caller, replaced),
        )
        .await;
    world.transport.begun.next("the request anew").await;
}

/// Calls that are dropped while others have all places leave no change behind that waits to be made.
#[tokio::test]
async fn a_change_that_had_no_place_is_not_made() {
    let world = UnderWay::new().await;
    let end = Arc::new(Semaphore::new(0));
    let ended = end.clone();
    let held = async move { ended.acquire().await.map(|_| ()).unwrap() };
    assert!(world.changes.finish("held", held).now_or_never().is_none());
    let (caller, chief) = (ada(), chief());
    for n in 0..20 {
        let delete = DeleteTaskPushNotificationConfigRequest {
            task_id: "t".to_owned(),
            id: "p".to_owned(),
            ..DeleteTaskPushNotificationConfigRequest::default()
        };
        let create = push_config("t", &format!("new{n}"), URL);
        let discard = DiscardDeliveriesRequest {
            all: true,
            ..DiscardDeliveriesRequest::default()
        };
        let service = &world.service;
        let deleted = service.delete_task_push_notification_config(&caller, delete);
        let created = service.create_task_push_notification_config(&caller, create);
        let discarded = world.admin.discard_deliveries(&chief, discard);
        assert!(deleted.now_or_never().is_none() && created.now_or_never().is_none());
        assert!(discarded.now_or_never().is_none());
    }
    end.add_permits(1);
    // Whatever was left behind would have its turn before this one.
    soon("a place", world.changes.finish("last", async {}))
        .await
        .unwrap();
    let configs = world.repository.push_configs(&scope("ada"), "t").await.unwrap();
    let ids: Vec<String> = configs.unwrap().into_iter().map(|config| config.id).collect();
    assert_eq!(ids, ["p"]);
    let waiting = world.repository.backlog(10).await.unwrap().waiting;
    assert_eq!(waiting, 1);
}
