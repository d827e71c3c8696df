//! The operators' side of push notifications: the admin service through the wire, and the program's commands.

mod calls;
mod commands;
mod matrix;
mod under_way;

use a2ad::config::{AccessRole, Config};
use a2ad::error::Kind;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::pb::admin::client::PushServiceClient;
use a2ad::pb::admin::{
    Delivery, DeliveryFilter, DiscardDeliveriesRequest, DiscardDeliveriesResponse, GetDeliveryRequest,
    ListDeliveriesRequest, ListDeliveriesResponse, RedeliverDeliveriesRequest, RedeliverDeliveriesResponse,
};
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::identity::issuer::FileIssuer;
use crate::support::messages::{configured, send, task};
use crate::support::raw::Raw;
use crate::support::wire::{Wire, WireError};
use crate::support::world::{Scenario, World};

/// What no operator may be shown of a webhook.
const SECRETS: [&str; 3] = ["secret-path", "secret-token", "secret-credential"];

/// Two agents with deliveries that wait, for the tasks of one organisation.
pub struct Post {
    pub world: World,
    pub file: FileIssuer,
    /// The task of the agent `echo`.
    pub task_id: String,
}

fn role(scope: &str, agents: &[&str], operations: &[&str]) -> AccessRole {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    AccessRole {
        scopes: texts(&[scope]),
        agents: texts(agents),
        operations: texts(operations),
        ..AccessRole::default()
    }
}

fn configure(config: &mut Config, file: &FileIssuer) {
    file.trust(config);
    let issuer = config.auth.issuers.get_mut("idp").unwrap();
    issuer.organisation_claim = Some("org".to_owned());
    config.push.allow_loopback_webhooks = true;
    config.admin.enabled = true;
    config.admin.page_size_max = 5;
    for (name, role) in [
        ("user", role("use", &["*"], &["*"])),
        ("reader", role("read", &["*"], &["read"])),
        ("operator", role("operate", &["*"], &["push-admin"])),
        ("some", role("operate-some", &["echo", "plain*"], &["push-admin"])),
        ("looker", role("look", &["*"], &["ListDeliveries", "GetDelivery"])),
    ] {
        config.access.roles.insert(name.to_owned(), role);
    }
}

impl Post {
    pub async fn new() -> Self {
        Self::of(Scenario::new().sqlite()).await
    }

    pub async fn of(scenario: Scenario) -> Self {
        let file = FileIssuer::new();
        let world = scenario.set(|config| configure(config, &file)).start().await;
        let mut post = Self {
            world,
            file,
            task_id: String::new(),
        };
        post.task_id = post.make("echo").await;
        post.make("puppet").await;
        post
    }

    /// A task of an agent with a webhook that nobody answers; its id.
    async fn make(&self, agent: &str) -> String {
        self.make_to(agent, "http://127.0.0.1:1/secret-path?q=secret-path".to_owned())
            .await
    }

    /// A task of an agent with a webhook; its id.
    pub async fn make_to(&self, agent: &str, url: String) -> String {
        let request = configured(send(agent, agent, "seen"), |configuration| {
            configuration.task_push_notification_config = Some(webhook(url));
        });
        let token = self.token(json!({"scope": "use", "org": "acme"}));
        let user = self.world.client(Wire::Grpc).with("authorization", &token);
        let made = task(user.call(request).await.unwrap());
        made.id
    }

    /// Begins anew, with as much as there was at first.
    pub async fn renew(&self) {
        let everything = DiscardDeliveriesRequest {
            all: true,
            ..DiscardDeliveriesRequest::default()
        };
        while self.chief().discard(everything.clone()).await.unwrap().count > 0 {}
        self.make("echo").await;
        self.make("puppet").await;
    }

    fn token(&self, claims: Value) -> String {
        format!("Bearer {}", self.file.issuer.token_of("ada", claims))
    }

    /// An operator with these claims.
    pub fn operator(&self, claims: Value) -> Operator {
        self.bearer(&self.token(claims))
    }

    /// Somebody who shows this, or nothing.
    pub fn bearer(&self, authorization: &str) -> Operator {
        Operator {
            client: PushServiceClient::new(self.world.client(Wire::Grpc).channel()),
            authorization: authorization.to_owned(),
        }
    }

    /// Who may do everything that operators may.
    pub fn chief(&self) -> Operator {
        self.operator(json!({"scope": "operate"}))
    }

    /// Makes a dead letter of the first delivery of the task.
    pub async fn kill_the_first(&self) -> String {
        let raw = Raw::open(&self.world.database()).await;
        raw.execute(&format!(
            "UPDATE push_outbox SET dead_ms = 1700000000000, since_ms = 1600000000000, attempts = 7, status = 503, \
             cause = 'busy' WHERE task_id = '{}' AND generation = 1",
            self.task_id
        ))
        .await;
        raw.close().await;
        format!("{}/hook/1", self.task_id)
    }
}

fn webhook(url: String) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        id: "hook".to_owned(),
        url,
        token: "secret-token".to_owned(),
        authentication: Some(a2ad::pb::AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: "secret-credential".to_owned(),
        }),
        ..TaskPushNotificationConfig::default()
    }
}

/// Nothing of a webhook but its host is in this.
#[track_caller]
pub fn tells_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// A caller of the admin service.
pub struct Operator {
    client: PushServiceClient<Channel>,
    authorization: String,
}

impl Operator {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.authorization.is_empty() {
            let value = self.authorization.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    pub async fn list(&self, request: ListDeliveriesRequest) -> Result<ListDeliveriesResponse, WireError> {
        told(self.client.clone().list_deliveries(self.request(request)).await)
    }

    pub async fn get(&self, name: &str) -> Result<Delivery, WireError> {
        let request = GetDeliveryRequest {
            name: name.to_owned(),
        };
        told(self.client.clone().get_delivery(self.request(request)).await)
    }

    pub async fn redeliver(
        &self,
        request: RedeliverDeliveriesRequest,
    ) -> Result<RedeliverDeliveriesResponse, WireError> {
        told(
            self.client
                .clone()
                .redeliver_deliveries(self.request(request))
                .await,
        )
    }

    pub async fn discard(
        &self,
        request: DiscardDeliveriesRequest,
    ) -> Result<DiscardDeliveriesResponse, WireError> {
        told(
            self.client
                .clone()
                .discard_deliveries(self.request(request))
                .await,
        )
    }

    /// Everything that a filter takes, page by page.
    pub async fn all(
        &self,
        filter: DeliveryFilter,
        page_size: Option<i32>,
    ) -> Result<Vec<Delivery>, WireError> {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListDeliveriesRequest {
                filter: Some(filter.clone()),
                page_size,
                page_token,
            };
            let page = self.list(request).await?;
            assert!(page.deliveries.len() <= page_size.unwrap_or(5).unsigned_abs() as usize);
            found.extend(page.deliveries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }
}

fn told<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Result<T, WireError> {
    match answer {
        Ok(answer) => {
            let answer = answer.into_inner();
            tells_no_secret(&format!("{answer:?}"));
            Ok(answer)
        }
        Err(status) => Err(WireError::from_status(status)),
    }
}

/// A filter for one agent.
pub fn of_agent(agent: &str) -> DeliveryFilter {
    DeliveryFilter {
        agent: agent.to_owned(),
        ..DeliveryFilter::default()
    }
}

/// The kind of an error, or none.
pub fn kind<T>(answer: &Result<T, WireError>) -> Option<Kind> {
    let reason = answer.as_ref().err().map(|error| &*error.reason)?;
    Kind::ALL.into_iter().find(|kind| kind.reason() == reason)
}
