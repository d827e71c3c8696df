//! `a2ad task push-config`.

use a2ad::config::{MASK, Secret};
use a2ad::error::Kind;
use a2ad::pb::{
    AuthenticationInfo, DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, ListTaskPushNotificationConfigsResponse,
    TaskPushNotificationConfig,
};
use clap::{Args, Subcommand};

use super::One;
use super::listen::Listen;
use super::pages::{self, Next, Pages};
use crate::cli::agent::config::PAGES_MAX;
use crate::cli::agent::connect::Agent;
use crate::cli::agent::failure::{Code, Failure};
use crate::cli::agent::follow::Follower;
use crate::cli::agent::options::{Options, secret};
use crate::cli::agent::page::Page;
use crate::cli::agent::render;
use crate::cli::agent::session::Session;

/// Configurations that are asked for at once.
const PAGE: i32 = 100;

#[derive(Subcommand)]
pub enum PushConfig {
    /// Send the events of a task to a webhook
    Create(Create),
    /// Show one configuration of a task
    Get(Named),
    /// List the configurations of a task
    List(List),
    /// Send nothing more to a webhook
    Delete(Named),
    /// Be a webhook, and print the events that come
    Listen(Box<Listen>),
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    task: One,
    /// The webhook
    #[arg(long, value_name = "URL")]
    url: String,
    /// The id of the configuration, to replace an earlier one; the agent chooses one if not given
    #[arg(long = "id", value_name = "ID", default_value = "")]
    config_id: String,
    /// What the webhook is to be shown as X-A2A-Notification-Token; better set A2ACLI_WEBHOOK_TOKEN
    #[arg(long, value_name = "TOKEN", value_parser = secret, hide_default_value = true)]
    webhook_token: Option<Secret<String>>,
    /// The scheme of Authorization that the webhook takes
    #[arg(long, value_name = "SCHEME", default_value = "Bearer")]
    webhook_scheme: String,
    /// What the webhook is to be shown as Authorization; better set A2ACLI_WEBHOOK_CREDENTIALS
    #[arg(long, value_name = "TEXT", value_parser = secret, hide_default_value = true)]
    webhook_credentials: Option<Secret<String>>,
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    task: One,
    /// Pages that are asked for at most; what is behind them is told of
    #[arg(long, value_name = "N", default_value = PAGES_MAX, value_parser = clap::value_parser!(u32).range(1..))]
    pages_max: u32,
}

/// One configuration of a task.
#[derive(Args)]
pub struct Named {
    #[command(flatten)]
    task: One,
    /// The configuration's id
    #[arg(value_name = "CONFIG")]
    config_id: String,
}

impl PushConfig {
    pub fn options(&self) -> &Options {
        match self {
            Self::Create(command) => &command.task.options,
            Self::Get(command) | Self::Delete(command) => &command.task.options,
            Self::List(command) => &command.task.options,
            Self::Listen(command) => &command.options,
        }
    }

    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        if let Self::Listen(command) = self {
            return command.run(session).await;
        }
        let agent = session.connect().await?;
        let capabilities = agent.card.capabilities.as_ref();
        if !capabilities.is_some_and(|can| can.push_notifications()) {
            let code = Code::Protocol(Kind::PushNotificationNotSupported);
            return Err(Failure::new(
                code,
                "the agent's card says that it sends no push notifications",
            ));
        }
        match self {
            Self::Listen(_) => Ok(()),
            Self::Create(command) => command.run(session, &agent).await,
            Self::Get(command) => command.get(session, &agent).await,
            Self::List(command) => command.run(session, &agent).await,
            Self::Delete(command) => command.delete(session, &agent).await,
        }
    }
}

impl Create {
    async fn run(self, session: &Session, agent: &Agent) -> Result<(), Failure> {
        let authentication = self.webhook_credentials.map(|credentials| AuthenticationInfo {
            scheme: self.webhook_scheme,
            credentials: credentials.expose().clone(),
        });
        let config = TaskPushNotificationConfig {
            tenant: String::new(),
            id: self.config_id,
            task_id: self.task.id,
            url: self.url,
            token: self
                .webhook_token
                .map(|token| token.expose().clone())
                .unwrap_or_default(),
            authentication,
        };
        let made = agent.client.create_push_config(config).await?;
        print(session, agent, &made).await
    }
}

impl Named {
    async fn get(self, session: &Session, agent: &Agent) -> Result<(), Failure> {
        let request = GetTaskPushNotificationConfigRequest {
            tenant: String::new(),
            task_id: self.task.id,
            id: self.config_id,
        };
        let config = agent.client.push_config(request).await?;
        print(session, agent, &config).await
    }

    async fn delete(self, session: &Session, agent: &Agent) -> Result<(), Failure> {
        let request = DeleteTaskPushNotificationConfigRequest {
            tenant: String::new(),
            task_id: self.task.id.clone(),
            id: self.config_id.clone(),
        };
        agent.client.delete_push_config(request).await?;
        let mut page = begin(session, agent, &self.task.id).await;
        page.field("Deleted push configuration", &self.config_id);
        // The protocol answers with an empty message.
        session
            .out
            .result(&serde_json::json!({}), |whole, _| *whole = page)
    }
}

impl List {
    async fn run(self, session: &Session, agent: &Agent) -> Result<(), Failure> {
        let all = self.all(session, agent).await?;
        let mut page = begin(session, agent, &self.task.id).await;
        session.out.result(&all, |whole, all| {
            for config in &all.configs {
                describe(&mut page, config);
            }
            *whole = page;
        })?;
        if !all.next_page_token.is_empty() {
            let limit = self.pages_max;
            let text = format!("there are more behind {limit} pages; --pages-max asks for them");
            session.out.warning(&text);
        }
        Ok(())
    }

    /// All pages, up to the limit.
    async fn all(
        &self,
        session: &Session,
        agent: &Agent,
    ) -> Result<ListTaskPushNotificationConfigsResponse, Failure> {
        let mut request = ListTaskPushNotificationConfigsRequest {
            tenant: String::new(),
            task_id: self.task.id.clone(),
            page_size: PAGE,
            page_token: String::new(),
        };
        let mut all = ListTaskPushNotificationConfigsResponse::default();
        let mut pages = Pages::new(self.pages_max);
        loop {
            let page = agent.client.push_configs(request.clone()).await?;
            all.configs.extend(page.configs);
            match pages.behind(&request.page_token, page.next_page_token) {
                Next::Page(next) => request.page_token = next,
                Next::Left(next) => {
                    all.next_page_token = next;
                    return Ok(all);
                }
                Next::End => return Ok(all),
                Next::Again => {
                    pages::warn_of_circle(session);
                    return Ok(all);
                }
            }
        }
    }
}

async fn print(session: &Session, agent: &Agent, config: &TaskPushNotificationConfig) -> Result<(), Failure> {
    let mut page = begin(session, agent, &config.task_id).await;
    session.out.result(config, |whole, config| {
        describe(&mut page, config);
        *whole = page;
    })
}

/// What every page about a task begins with. Its context and state are asked for; an agent that does not tell them now has
/// answered the question all the same.
async fn begin(session: &Session, agent: &Agent, task_id: &str) -> Page {
    let mut page = Page::new();
    if session.is_text() {
        match Follower::new(session, agent, None).task(task_id).await {
            Ok(task) => {
                let state = task.status.unwrap_or_default().state;
                render::identifiers(&mut page, &task.id, &task.context_id, Some(state));
            }
            Err(_) => page.field("Task", task_id),
        }
    }
    page
}

fn describe(page: &mut Page, config: &TaskPushNotificationConfig) {
    page.field("Push configuration", &config.id);
    page.field("URL", &config.url);
    if !config.token.is_empty() {
        page.field("Token", MASK);
    }
    if let Some(authentication) = &config.authentication {
        page.field("Authorization", format!("{} {MASK}", authentication.scheme));
    }
}
