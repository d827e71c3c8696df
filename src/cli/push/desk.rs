//! The two ways to deliveries: the database of a configuration, and a server.

use a2ad::client::{Address, Credential, PushAdminClient};
use a2ad::config::Config;
use a2ad::pb::admin::{
    self, Delivery, DiscardDeliveriesRequest, GetDeliveryRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, RedeliverDeliveriesRequest,
};
use a2ad::repository::sea_orm::{Access, PushDesk};
use a2ad::repository::{self, DeliveryFilter, DeliveryKey};
use a2ad::tls::ClientTls;

use super::Verb;
use crate::cli::Outcome;
use crate::cli::db::open;

/// Deliveries that are read or changed at once in a database.
const PAGE: usize = 500;

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// Which deliveries are to be changed.
pub enum Wanted {
    One(DeliveryKey),
    Filter(admin::DeliveryFilter),
    All,
}

impl From<&Wanted> for DeliveryFilter {
    fn from(wanted: &Wanted) -> Self {
        match wanted {
            Wanted::One(key) => Self::one(key),
            Wanted::Filter(filter) => filter.into(),
            Wanted::All => Self::default(),
        }
    }
}

/// A way to deliveries.
pub enum Desk {
    Database(Box<Config>, PushDesk),
    Server(Box<PushAdminClient>),
}

impl Desk {
    pub async fn database(config: Config) -> Answer<Self> {
        let instead = "deliveries of a database in memory are in its server; name it with --server";
        let desk = open(&config, Access::Migrate, instead).await?.into();
        Ok(Self::Database(Box::new(config), desk))
    }

    pub async fn server(
        address: &Address,
        tls: Option<&ClientTls>,
        credential: Option<&Credential>,
    ) -> Answer<Self> {
        let client = PushAdminClient::new(address, tls, credential).await?;
        Ok(Self::Server(Box::new(client)))
    }

    /// The configuration of the database; a server records by itself what it is asked to do.
    pub fn config(&self) -> Option<&Config> {
        match self {
            Self::Database(config, _) => Some(config),
            Self::Server(_) => None,
        }
    }

    /// One page; the token is empty for the first one.
    pub async fn list(
        &mut self,
        filter: &admin::DeliveryFilter,
        token: &str,
    ) -> Answer<ListDeliveriesResponse> {
        match self {
            Self::Database(_, desk) => {
                let after = (!token.is_empty()).then(|| token.parse()).transpose()?;
                let found = desk.deliveries(&filter.into(), after.as_ref(), PAGE).await?;
                let last = found.last().filter(|_| found.len() >= PAGE);
                Ok(ListDeliveriesResponse {
                    next_page_token: last.map(|last| last.key.to_string()).unwrap_or_default(),
                    deliveries: found.iter().map(Delivery::from).collect(),
                })
            }
            Self::Server(client) => {
                let request = ListDeliveriesRequest {
                    filter: Some(filter.clone()),
                    page_size: None,
                    page_token: token.to_owned(),
                };
                Ok(client.list(request).await?)
            }
        }
    }

    pub async fn get(&mut self, key: &DeliveryKey) -> Answer<Delivery> {
        match self {
            Self::Database(_, desk) => {
                let found = desk.deliveries(&DeliveryFilter::one(key), None, 1).await?;
                let found = found.first().ok_or_else(|| unknown(key))?;
                let event = match desk.event(&found.scope, &found.key).await {
                    Err(error @ repository::Error::Unavailable { .. }) => return Err(error.into()),
                    // What can't be read is shown as such.
                    event => event.ok().flatten(),
                };
                Ok(Delivery::from(found).with_event(event.as_deref()))
            }
            Self::Server(client) => {
                let name = key.to_string();
                Ok(client.get(GetDeliveryRequest { name }).await?)
            }
        }
    }

    /// Changes deliveries in turns; how many they were.
    pub async fn change(&mut self, verb: Verb, wanted: &Wanted) -> Answer<u64> {
        let count = match self {
            Self::Database(_, desk) => change_rows(desk, verb, wanted).await?,
            Self::Server(client) => ask(client, verb, wanted).await?,
        };
        match wanted {
            Wanted::One(key) if count == 0 => Err(unknown(key).into()),
            _ => Ok(count),
        }
    }

    pub async fn close(self) -> Outcome {
        match self {
            Self::Database(_, desk) => Ok(desk.close().await?),
            Self::Server(_) => Ok(()),
        }
    }
}

async fn change_rows(desk: &PushDesk, verb: Verb, wanted: &Wanted) -> Answer<u64> {
    let filter = DeliveryFilter::from(wanted);
    let (mut count, mut after) = (0, None);
    loop {
        let turn = match verb {
            Verb::Redeliver => desk.redeliver(&filter, after.as_ref(), PAGE).await?,
            Verb::Discard => desk.discard(&filter, after.as_ref(), PAGE).await?,
        };
        count += turn.count;
        after = turn.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

async fn ask(client: &mut PushAdminClient, verb: Verb, wanted: &Wanted) -> Answer<u64> {
    let (name, filter, all) = match wanted {
        Wanted::One(key) => (key.to_string(), None, false),
        Wanted::Filter(filter) => (String::new(), Some(filter.clone()), false),
        Wanted::All => (String::new(), None, true),
    };
    let (mut total, mut page_token) = (0, String::new());
    loop {
        let (name, filter) = (name.clone(), filter.clone());
        let (count, next) = match verb {
            Verb::Redeliver => {
                let answer = client.redeliver(RedeliverDeliveriesRequest {
                    name,
                    filter,
                    all,
                    page_size: None,
                    page_token,
                });
                let answer = answer.await?;
                (answer.count, answer.next_page_token)
            }
            Verb::Discard => {
                let answer = client.discard(DiscardDeliveriesRequest {
                    name,
                    filter,
                    all,
                    page_size: None,
                    page_token,
                });
                let answer = answer.await?;
                (answer.count, answer.next_page_token)
            }
        };
        total += u64::from(count.unsigned_abs());
        page_token = next;
        if page_token.is_empty() {
            return Ok(total);
        }
    }
}

fn unknown(key: &DeliveryKey) -> String {
    format!("no delivery {key} waits or is a dead letter; `a2ad push list` has those that do")
}
