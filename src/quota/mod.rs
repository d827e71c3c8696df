//! Quotas: how much a caller, an agent and an organisation may use, and what each has used.
//!
//! Requests and bytes have rates (buckets that fill by themselves), streams, executions and open tasks have numbers. The
//! guard asks [`Quotas::admit`] once for each call, before anything else is done for it, and goes on with the [`Account`]
//! that it gets. Everything is counted in this process; only open tasks are counted by the database, which is the business
//! of `service`. This room knows no binding and no configuration. Start at [`Quotas`].

mod account;
mod book;
mod bucket;
mod settings;
mod tally;
mod traffic;

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use tokio::time::Instant;

use self::book::Book;
use crate::access::{Caller, Principal};
use crate::error::Error;

pub use account::{Account, OpenLimit, Opening};
pub use settings::{Quota, QuotaSettings, Rate, SubjectQuotas};
pub use tally::{Permit, Subject};
pub use traffic::Traffic;

/// Made once, and not for each call.
static ANONYMOUS: LazyLock<Principal> = LazyLock::new(Principal::anonymous);

/// What tells callers apart. Nobody has verified who an anonymous one is, so it is where it calls from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Named(Principal),
    At(IpAddr),
}

impl Who {
    fn of(caller: &Caller, peer: Option<SocketAddr>) -> Self {
        let principal = &caller.principal;
        match peer {
            Some(peer) if *principal == *ANONYMOUS => Self::At(network(peer.ip())),
            _ => Self::Named(principal.clone()),
        }
    }
}

/// What counts as one address. Of IPv6 it is the first half: whoever has one address there has the other 2^64 too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

/// The quotas of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Quotas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: QuotaSettings,
    counts_bytes: bool,
    /// None where nobody is limited: nothing is looked up then.
    principals: Option<Book<Who>>,
    agents: Option<Book<Arc<str>>>,
    organisations: Option<Book<Arc<str>>>,
    /// What callers have under way, by the owner of their tasks: those who share tasks share the number of open ones.
    owners: Option<Book<Principal>>,
}

impl Quotas {
    /// Quotas that nobody has used yet.
    pub fn new(settings: QuotaSettings) -> Self {
        let began = Instant::now();
        let keys_max = settings.keys_max;
        let (principals, agents, organisations) =
            (&settings.principals, &settings.agents, &settings.organisations);
        let counts_bytes = [principals, agents, organisations]
            .iter()
            .any(|quotas| quotas.all().any(|quota| quota.bytes.per_minute > 0));
        let counts_openings = principals.all().any(|quota| quota.open_tasks_max > 0);
        Self(Arc::new(Inner {
            counts_bytes,
            principals: book(Subject::Principal, principals, keys_max, began),
            // Only agents that are hosted have one.
            agents: book(Subject::Agent, agents, usize::MAX, began),
            organisations: book(Subject::Organisation, organisations, keys_max, began),
            owners: counts_openings.then(|| Book::new(Subject::Principal, Quota::default(), keys_max, began)),
            settings,
        }))
    }

    /// True if somebody's bytes have a limit, so that bodies have to be measured.
    pub fn counts_bytes(&self) -> bool {
        self.0.counts_bytes
    }

    /// Charges one request of a caller, who calls from `peer`, at a hosted agent, and says what else the call has to keep
    /// to. A call that is refused is charged to nobody, so that trying again too early does not make it wait longer.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED with the time until the call may be tried again.
    pub fn admit(
        &self,
        caller: &Caller,
        peer: Option<SocketAddr>,
        agent: &Arc<str>,
    ) -> Result<Account, Error> {
        let account = self.account(caller, peer, Some(agent));
        account.take_request()?;
        Ok(account)
    }

    /// Charges one request that the caller's roles do not allow: to the caller and its organisation.
    ///
    /// # Errors
    /// As for [`Quotas::admit`].
    pub fn deny(&self, caller: &Caller, peer: Option<SocketAddr>) -> Result<(), Error> {
        self.admit_operator(caller, peer).map(drop)
    }

    /// Charges one request of an operator, which is for no agent in particular: to the caller and its organisation.
    ///
    /// # Errors
    /// As for [`Quotas::admit`].
    pub fn admit_operator(&self, caller: &Caller, peer: Option<SocketAddr>) -> Result<Account, Error> {
        let account = self.account(caller, peer, None);
        account.take_request()?;
        Ok(account)
    }

    /// Announces a task of `owner` that is about to be stored for a call that was let in, and says how many may be open with
    /// it. `None` where open tasks have no limit.
    pub fn open_task(&self, account: &Account, owner: &Principal) -> Option<Opening> {
        // The limit is the caller's; of the owner there is a count, which needs no quota of its own.
        let of_owner = self.0.owners.as_ref().map(|owners| owners.tally(owner, None));
        account.open_task(of_owner.as_ref())
    }

    fn account(&self, caller: &Caller, peer: Option<SocketAddr>, agent: Option<&Arc<str>>) -> Account {
        let Inner {
            settings,
            principals,
            agents,
            organisations,
            ..
        } = &*self.0;
        let principal = principals.as_ref().map(|book| {
            let named = settings.principals.named.get(caller.principal.as_str());
            book.tally(&Who::of(caller, peer), named.copied())
        });
        let agent = agents
            .as_ref()
            .zip(agent)
            .map(|(book, agent)| book.tally(agent, settings.agents.named.get(agent).copied()));
        let organisation = organisations.as_ref().zip(caller.organisation.as_ref());
        let organisation = organisation.map(|(book, name)| {
            let named = settings.organisations.named.get(name);
            book.tally(name, named.copied())
        });
        Account {
            tallies: [principal, agent, organisation],
        }
    }

    /// How many callers and organisations are kept apart now.
    pub fn keys(&self) -> usize {
        let Inner {
            principals,
            organisations,
            ..
        } = &*self.0;
        principals.as_ref().map_or(0, Book::len) + organisations.as_ref().map_or(0, Book::len)
    }
}

/// The book of one kind of subjects, if one of them can have a limit.
fn book<K: Eq + Hash + Clone>(
    subject: Subject,
    quotas: &SubjectQuotas,
    keys_max: usize,
    began: Instant,
) -> Option<Book<K>> {
    (!quotas.are_off()).then(|| Book::new(subject, quotas.each, keys_max, began))
}

#[cfg(test)]
mod tests;
