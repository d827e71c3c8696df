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
use a2ad::repository::{TaskRepository as _, TaskWrite};
use a2ad::service::push_admin::{PushAdmin, PushAdminParts, PushAdminSettings};
use a2ad::service::{AgentService, ServiceSettings};
use a2ad::shutdown::Shutdown;
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
        let admin = PushAdmin::new(PushAdminParts {
            push: repository.clone(),
            pushes: pushes.clone(),
            tasks: repository.clone(),
            audit: Audit::off(),
            quotas: Quotas::new(QuotaSettings::default()),
            shutdown: shutdown.clone(),
            settings: PushAdminSettings {
                inspect: InspectLimits::default(),
                page_size_max: 10,
            },
        });
        let service = service(repository, shutdown, pushes);
        transport.begun.next("the request").await;
        Self {
            transport,
            admin,
            service,
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
    let (clock, settings) = (Clock::system(), ServiceSettings::default());
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
