//! `a2ad task push-config listen`: a webhook on this machine (a2a-cli specification 9.2).
//!
//! A request is taken when it is signed by a key of `--keys-from`, or shows the token that only this program and the agent
//! know; with both it needs both. It is printed before its sender is told that it was taken, so that none is lost.

mod webhook;

use std::path::Path;
use std::time::Duration;

use a2ad::client::receiver::{Notification, Notifications, ReceiverBuilder, SenderKeys, Target};
use a2ad::config::Secret;
use a2ad::egress::{Egress, EgressPolicy, EgressSettings};
use a2ad::pb::{DeleteTaskPushNotificationConfigRequest, TaskPushNotificationConfig};
use a2ad::shutdown::Shutdown;
use a2ad::signature::PublicKeys;
use a2ad::task::{is_terminal, new_id};
use axum::Router;
use clap::Args;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::agent::connect::Agent;
use crate::cli::agent::failure::Failure;
use crate::cli::agent::options::{Options, secret};
use crate::cli::agent::out::Format;
use crate::cli::agent::render::{self, Shown};
use crate::cli::agent::session::Session;

/// How long the answers to the last events may take.
const LAST_MOMENT: Duration = Duration::from_millis(500);

#[derive(Args)]
pub struct Listen {
    #[command(flatten)]
    pub options: Box<Options>,
    /// Make a push configuration of this task that leads here, end with the task, and delete it then
    #[arg(long, value_name = "TASK")]
    create: Option<String>,
    /// Address and port to listen on; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: String,
    /// The URL under which agents reach this webhook [default: http://ADDRESS/]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Keys that signatures have to be made with: a JWK set in a file or at a URL
    #[arg(long, value_name = "FILE|URL")]
    keys_from: Option<String>,
    /// The token that requests have to show; one is made up for --create; better set A2ACLI_WEBHOOK_TOKEN
    #[arg(long, value_name = "TOKEN", value_parser = secret, hide_default_value = true)]
    webhook_token: Option<Secret<String>>,
    /// End after as many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// A push configuration that was made for the time of listening.
struct Config {
    agent: Agent,
    task_id: String,
    id: String,
}

impl Listen {
    pub async fn run(mut self, session: &Session) -> Result<(), Failure> {
        if session.out.format == Format::Json && !session.options.output.stream {
            return Err(
                Failure::usage("events come one by one, and -o json is for one document")
                    .with_hint("add --stream for one document a line"),
            );
        }
        if self.create.is_some() && self.webhook_token.is_none() {
            let token = new_id();
            session.out.secrets.learn(&token);
            self.webhook_token = Some(Secret::new(token));
        }
        let listener = TcpListener::bind(&self.listen)
            .await
            .map_err(|error| Failure::usage(format!("--listen {}: {error}", self.listen)))?;
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("http://{}/", listener.local_addr()?),
        };
        let (router, notifications) = self.receiver(&url).await?;
        let shutdown = Shutdown::new();
        webhook::serve(listener, router, &shutdown);
        session.out.note(&format!("listening at {url}"));
        let config = match &self.create {
            Some(task_id) => Some(self.configure(session, task_id, &url).await?),
            None => None,
        };
        let taken = self.take(session, notifications).await;
        // Whoever sent the last event hears that it was taken, and does not send it again.
        shutdown.drain();
        shutdown.finished(LAST_MOMENT).await;
        shutdown.abort();
        // What was printed stays printed: a configuration that can't be deleted is only told of.
        if let Some(config) = config {
            config.delete(session).await;
        }
        taken
    }

    async fn receiver(&self, url: &str) -> Result<(Router, Notifications), Failure> {
        let target = Target::url(url).map_err(|error| Failure::usage(error.to_string()))?;
        let mut builder = ReceiverBuilder::new(target);
        builder = match &self.keys_from {
            Some(from) => builder.keys(self.keys(from).await?),
            // A token that nobody else knows says who sends.
            None if self.webhook_token.is_some() => builder.accept_unsigned(),
            None => {
                return Err(
                    Failure::usage("nothing tells the agent's events from those of anybody else").with_hint(
                        "name the sender's keys with --keys-from, the token of the push configuration with \
                         A2ACLI_WEBHOOK_TOKEN, or a task with --create",
                    ),
                );
            }
        };
        if let Some(token) = &self.webhook_token {
            builder = builder.token(token.clone());
        }
        builder.build().map_err(|error| Failure::usage(error.to_string()))
    }

    async fn keys(&self, from: &str) -> Result<SenderKeys, Failure> {
        if !from.contains("://") {
            let failed =
                |error: &dyn std::fmt::Display| Failure::usage(format!("--keys-from {from}: {error}"));
            let json = tokio::fs::read(Path::new(from))
                .await
                .map_err(|error| failed(&error))?;
            let keys = PublicKeys::parse(&json).map_err(|error| failed(&error))?;
            return Ok(SenderKeys::Fixed(keys));
        }
        let ca = self.options.to.ca.as_deref();
        let tls = a2ad::tls::web_client(ca, &[])
            .await
            .map_err(|error| Failure::from(a2ad::client::Error::from(error)))?;
        let egress = Egress::with_tls(EgressSettings::default(), tls, &Shutdown::new());
        Ok(SenderKeys::at(egress.client(EgressPolicy::unrestricted()), from))
    }

    async fn configure(&self, session: &Session, task_id: &str, url: &str) -> Result<Config, Failure> {
        let agent = session.connect().await?;
        let token = self.webhook_token.as_ref();
        let request = TaskPushNotificationConfig {
            task_id: task_id.to_owned(),
            url: url.to_owned(),
            token: token.map(|token| token.expose().clone()).unwrap_or_default(),
            ..TaskPushNotificationConfig::default()
        };
        let made = agent.client.create_push_config(request).await?;
        session
            .out
            .note(&format!("push configuration {} of task {task_id}", made.id));
        Ok(Config {
            agent,
            task_id: task_id.to_owned(),
            id: made.id,
        })
    }

    /// Prints events until there were enough, the task has ended, or somebody ends it.
    async fn take(&self, session: &Session, mut notifications: Notifications) -> Result<(), Failure> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut left = self.count.unwrap_or(u64::MAX);
        // What the last events said of their task holds for those that say less.
        let mut shown = Shown::default();
        while left > 0 {
            let notification = tokio::select! {
                notification = notifications.next() => notification,
                _ = interrupt.recv() => None,
                _ = terminate.recv() => None,
            };
            let Some(mut notification) = notification else {
                break;
            };
            let is_last = self.print(session, &mut shown, &notification)?;
            // An event that was printed and comes again was not meant twice.
            if notification.accept().await.unwrap_or(true) {
                left -= 1;
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Prints an event. True if it ends the task that is listened for.
    fn print(
        &self,
        session: &Session,
        shown: &mut Shown,
        notification: &Notification,
    ) -> Result<bool, Failure> {
        shown.see(&notification.event);
        session.out.result(&notification.event, |page, event| {
            if session.out.is_verbose {
                page.field_if(
                    "Delivery",
                    notification.delivery_id.as_deref().unwrap_or_default(),
                );
                page.field_if("Signed by", notification.signed_by.as_deref().unwrap_or_default());
            }
            render::event(page, event, shown, None, false, session.out.is_verbose);
        })?;
        Ok(self.create.as_ref() == Some(&shown.task_id) && is_terminal(shown.state()))
    }
}

impl Config {
    async fn delete(self, session: &Session) {
        let request = DeleteTaskPushNotificationConfigRequest {
            task_id: self.task_id.clone(),
            id: self.id.clone(),
            ..DeleteTaskPushNotificationConfigRequest::default()
        };
        if let Err(error) = self.agent.client.delete_push_config(request).await {
            let again = session.command(&["task", "push-config", "delete", &self.task_id, &self.id]);
            session.out.warning(&format!(
                "the push configuration is still there ({error}); delete it with: {again}"
            ));
        }
    }
}
