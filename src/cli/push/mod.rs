//! `a2ad push`: push notifications that wait, and dead letters.

mod desk;
mod words;

use a2ad::app::record_push_change;
use a2ad::audit::Step;
use a2ad::client::Address;
use a2ad::pb::admin::{self, Delivery, DeliveryState};
use a2ad::repository::{DeliveryFilter, DeliveryKey};
use clap::{Args, Subcommand};
use serde::Serialize;

use self::desk::{Desk, Wanted};
use super::Outcome;
use super::connect::{self, Certificates};
use super::db::{Which, form};
use super::output::print;

#[derive(Subcommand)]
pub enum Push {
    /// List deliveries that wait, and dead letters; works while a server runs
    List(List),
    /// Show all about one delivery; works while a server runs
    Show(Show),
    /// Make deliveries due now, with all attempts before them; works while a server runs
    Redeliver(Change),
    /// Remove deliveries, dead or not; works while a server runs, which may have sent them at the same moment
    Discard(Change),
}

impl Push {
    pub async fn run(self) -> Outcome {
        match self {
            Self::List(command) => command.run().await,
            Self::Show(command) => command.run().await,
            Self::Redeliver(change) => change.run(Verb::Redeliver).await,
            Self::Discard(change) => change.run(Verb::Discard).await,
        }
    }
}

/// Where the deliveries are: in the database of the configuration, or at a server.
#[derive(Args)]
struct Place {
    #[command(flatten)]
    which: Which,
    /// Ask this server, which needs admin.enabled, instead of the database: host:port, http://host:port or https://host
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "set", "database"])]
    server: Option<Address>,
    #[command(flatten)]
    certificates: Certificates,
    /// Print JSON instead of lines for people
    #[arg(long)]
    json: bool,
}

impl Place {
    /// The way to the deliveries, and the configuration whose database it is.
    async fn open(self) -> Result<Desk, Box<dyn std::error::Error>> {
        match &self.server {
            Some(address) => {
                let (address, tls) = self.certificates.tls(address)?;
                Desk::server(&address, tls.as_ref(), connect::credential()?.as_ref()).await
            }
            None if self.certificates.are_named() => Err("--ca, --cert and --key are for --server".into()),
            None => Desk::database(self.which.config()?).await,
        }
    }
}

/// Which deliveries: those that all given options fit.
#[derive(Args)]
struct Filter {
    /// Those in this state: waiting or dead
    #[arg(long, value_parser = state)]
    state: Option<DeliveryState>,
    /// Those of this agent's tasks
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Those of this owner's tasks
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Those of this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Those of this push notification configuration (--config is the configuration file)
    #[arg(long, value_name = "ID")]
    config_id: Option<String>,
    /// Those to this host, as list prints it: host:port
    #[arg(long, value_name = "HOST:PORT")]
    host: Option<String>,
}

impl From<Filter> for admin::DeliveryFilter {
    fn from(filter: Filter) -> Self {
        Self {
            state: filter.state.unwrap_or(DeliveryState::Unspecified).into(),
            agent: filter.agent.unwrap_or_default(),
            owner: filter.owner.unwrap_or_default(),
            task_id: filter.task.unwrap_or_default(),
            config_id: filter.config_id.unwrap_or_default(),
            host: filter.host.unwrap_or_default(),
        }
    }
}

fn state(text: &str) -> Result<DeliveryState, &'static str> {
    match text {
        "waiting" => Ok(DeliveryState::Waiting),
        "dead" => Ok(DeliveryState::Dead),
        _ => Err("write waiting or dead"),
    }
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
}

impl List {
    async fn run(self) -> Outcome {
        let form = form(self.place.json);
        let filter = admin::DeliveryFilter::from(self.filter);
        let mut desk = self.place.open().await?;
        let mut token = String::new();
        loop {
            let page = desk.list(&filter, &token).await?;
            for delivery in &page.deliveries {
                print(form, delivery, words::line)?;
            }
            token = page.next_page_token;
            if token.is_empty() {
                return desk.close().await;
            }
        }
    }
}

#[derive(Args)]
pub struct Show {
    /// The delivery, as list prints it: TASK/CONFIG/GENERATION
    #[arg(value_name = "DELIVERY")]
    name: DeliveryKey,
    #[command(flatten)]
    place: Place,
}

impl Show {
    async fn run(self) -> Outcome {
        let form = form(self.place.json);
        let mut desk = self.place.open().await?;
        let delivery: Delivery = desk.get(&self.name).await?;
        desk.close().await?;
        print(form, &delivery, words::page)
    }
}

/// A change of one delivery, of those that a filter fits, or of all.
#[derive(Args)]
pub struct Change {
    /// One delivery, as list prints it: TASK/CONFIG/GENERATION
    #[arg(value_name = "DELIVERY")]
    name: Option<DeliveryKey>,
    #[command(flatten)]
    filter: Filter,
    /// All deliveries there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

/// What is to be done with deliveries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Redeliver,
    Discard,
}

/// How many deliveries were changed.
#[derive(Serialize)]
struct Count {
    count: u64,
}

impl Change {
    async fn run(self, verb: Verb) -> Outcome {
        let form = form(self.place.json);
        let wanted = wanted(self.name, self.filter, self.all)?;
        let mut desk = self.place.open().await?;
        let command = match verb {
            Verb::Redeliver => format!("push redeliver {}", DeliveryFilter::from(&wanted)),
            Verb::Discard => format!("push discard {}", DeliveryFilter::from(&wanted)),
        };
        if let Some(config) = desk.config() {
            record_push_change(config, &command, Step::Begins).await?;
        }
        let changed = desk.change(verb, &wanted).await;
        if let Some(config) = desk.config() {
            record_push_change(config, &command, Step::ends(changed.is_ok())).await?;
        }
        let is_database = desk.config().is_some();
        desk.close().await?;
        let count = changed?;
        if verb == Verb::Redeliver && is_database {
            tell!(
                "nobody was told: a server that runs finds what is due when it looks next, within push.poll_ms"
            );
        }
        print(form, &Count { count }, |Count { count }| match verb {
            Verb::Redeliver => format!("{count} deliveries are due now"),
            Verb::Discard => format!("{count} deliveries discarded"),
        })
    }
}

/// Nobody means everything by accident.
fn wanted(name: Option<DeliveryKey>, filter: Filter, all: bool) -> Result<Wanted, &'static str> {
    let filter = admin::DeliveryFilter::from(filter);
    match (name, filter == admin::DeliveryFilter::default(), all) {
        (Some(name), true, false) => Ok(Wanted::One(name)),
        (None, false, false) => Ok(Wanted::Filter(filter)),
        (None, true, true) => Ok(Wanted::All),
        (None, true, false) => Err(
            "say which deliveries: one as `a2ad push list` prints it, a filter like --state dead, or --all",
        ),
        _ => Err("say one of a delivery, a filter and --all"),
    }
}
