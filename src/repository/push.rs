//! Push notifications that wait to be sent: an outbox beside the log.
//!
//! The commit that writes events of a task writes a row for each of them and for each push configuration of the task, in
//! the same transaction: whatever is acknowledged will be sent. A row names the event and does not repeat it; the log
//! keeps every event that a row names. The rows of one configuration are a *stream*: they are sent one after the other,
//! the oldest first. Whoever sends claims streams for a while, and settles what became of them; a claim that ran out, or
//! whose configuration was replaced or removed, settles nothing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::types::Error;
use crate::context::{Principal, Scope};
use crate::pb::TaskPushNotificationConfig;

/// The deliveries of one configuration of one task, which are in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PushStream {
    /// The task.
    pub task_id: Arc<str>,
    /// The configuration.
    pub config_id: Arc<str>,
}

/// One delivery: an event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The stream.
    pub stream: PushStream,
    /// The number of the event in its task's log.
    pub generation: u64,
}

/// Which streams to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimQuery {
    /// Streams to claim at most, those that have been due for longest.
    pub limit: usize,
    /// Deliveries of each at most.
    pub deliveries_max: usize,
    /// How long a claim lasts, by the clock of the database.
    pub ttl: Duration,
    /// Which of them are left alone.
    pub except: Except,
}

/// Streams that nothing is to be sent of for now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except {
    /// Those of owners who have their share of what is under way already.
    pub owners: Vec<Principal>,
    /// Those to hosts, as [`webhook_host`] names them, that have theirs.
    pub hosts: Vec<Arc<str>>,
    /// Those of an owner to a host that is away for him.
    pub pairs: Vec<(Principal, Arc<str>)>,
}

impl Except {
    /// Whether nothing is left alone.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.hosts.is_empty() && self.pairs.is_empty()
    }

    /// The same for one look at many streams.
    pub(super) fn sets(&self) -> ExceptSets<'_> {
        ExceptSets {
            owners: self.owners.iter().collect(),
            hosts: self.hosts.iter().map(|host| &**host).collect(),
            pairs: self.pairs.iter().map(|(owner, host)| (owner, &**host)).collect(),
        }
    }
}

/// [`Except`], so that looking a stream up takes the same time however many are left alone.
pub(super) struct ExceptSets<'a> {
    owners: HashSet<&'a Principal>,
    hosts: HashSet<&'a str>,
    pairs: HashSet<(&'a Principal, &'a str)>,
}

impl<'a> ExceptSets<'a> {
    /// Whether the streams of an owner to a host are among these.
    pub(super) fn has(&self, owner: &'a Principal, host: &'a str) -> bool {
        self.owners.contains(owner) || self.hosts.contains(host) || self.pairs.contains(&(owner, host))
    }
}

/// When there is something to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// How long until there is a stream to claim, zero if there is one; `None` when none waits but those that are left
    /// alone.
    pub wait: Option<Duration>,
    /// How long finding that out took, from the beginning of the read: waiting for its turn is none of it.
    pub took: Duration,
}

/// What a claim has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The streams that are the caller's now.
    pub claimed: Vec<Claimed>,
    /// How long finding them took, from the beginning of the read: waiting for its turn, and all that has to do with
    /// writing, is none of it.
    pub took: Duration,
}

/// A stream that is the caller's to send for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The stream.
    pub stream: PushStream,
    /// Whose task it is.
    pub scope: Scope,
    /// The number of the claim, which settling needs: greater than that of every claim before.
    pub claim: u64,
    /// Where to, and how; opened.
    pub config: TaskPushNotificationConfig,
    /// What waits, the oldest first; never empty.
    pub deliveries: Vec<Waiting>,
}

/// A delivery that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The number of the event.
    pub generation: u64,
    /// When the event was written, or an operator asked for the delivery anew, in milliseconds since 1970: from here its
    /// attempts are counted.
    pub since_ms: i64,
    /// Attempts that have failed since then.
    pub attempts: u32,
}

/// What became of a claimed stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The stream.
    pub stream: PushStream,
    /// The claim.
    pub claim: u64,
    /// Deliveries that are over, because they arrived or are not wanted.
    pub done: Vec<u64>,
    /// What is next.
    pub next: Next,
}

/// What is next for a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is sent further under the same claim, which lasts so long from now.
    Keep(Duration),
    /// Others may claim it; it is due at once if something waits.
    Release,
    /// The first delivery that waits was attempted and failed; the stream is due after this time.
    Retry(Duration, Failure),
    /// The stream is due after this time; nothing was attempted.
    Postpone(Duration),
    /// The first delivery that waits was attempted for the last time: it is a dead letter. The next one is due at once.
    GiveUp(Failure),
    /// The receiver wants no more: the configuration goes, and all that waits for it.
    End,
}

/// Bytes of a cause that are kept.
const CAUSE_BYTES: usize = 256;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// A sentence for the operator; nothing of the URL's path, query or credentials is in it. At most 256 bytes are kept.
    pub cause: String,
}

impl Failure {
    /// The beginning of the cause that is kept.
    pub(super) fn kept_cause(&self) -> &str {
        &self.cause[..self.cause.floor_char_boundary(CAUSE_BYTES)]
    }
}

/// What state a delivery is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits, for its time or for those before it.
    Waiting,
    /// All attempts failed. It stays until an operator decides or its retention is over.
    Dead,
}

/// A delivery as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which one.
    pub key: DeliveryKey,
    /// Whose task it is.
    pub scope: Scope,
    /// The host of the webhook, as [`webhook_host`] names it.
    pub host: Arc<str>,
    /// Its state.
    pub state: DeliveryState,
    /// When the event was written, or the delivery asked for anew, in milliseconds since 1970.
    pub since_ms: i64,
    /// Failed attempts since then.
    pub attempts: u32,
    /// When its stream is due, in milliseconds since 1970; `None` for a dead letter.
    pub due_ms: Option<i64>,
    /// Why the last attempt failed.
    pub failure: Option<Failure>,
    /// When it became a dead letter, in milliseconds since 1970.
    pub dead_ms: Option<i64>,
}

/// Which deliveries are meant; everything that is not named is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those in this state.
    pub state: Option<DeliveryState>,
    /// Those of this agent's tasks.
    pub agent: Option<Arc<str>>,
    /// Those of this owner's tasks.
    pub owner: Option<Principal>,
    /// Those of the tasks of all owners whose names begin so: of an organisation.
    pub owners: Option<Arc<str>>,
    /// Those of this task.
    pub task_id: Option<Arc<str>>,
    /// Those of this configuration.
    pub config_id: Option<Arc<str>>,
    /// The one of this event.
    pub generation: Option<u64>,
    /// Those to this host.
    pub host: Option<Arc<str>>,
}

/// What a change of many deliveries has done: one turn of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// How many deliveries it changed.
    pub count: u64,
    /// Behind which one to go on, as there may be more; `None` when there are none.
    pub next: Option<DeliveryKey>,
    /// The streams whose claims settle nothing any more.
    pub revoked: BTreeSet<PushStream>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that wait, counted no further than the limit that was asked for.
    pub waiting: u64,
    /// Dead letters, counted likewise.
    pub dead: u64,
    /// How long the oldest due stream has been due, in milliseconds by the clock of the database; 0 when none is.
    pub overdue_ms: u64,
}

/// `host:port` of a webhook's URL, by which deliveries are grouped: all that is stored of the URL in the clear. Empty for
/// what is no such URL, and for configurations from before there was an outbox until they are replaced: those are in no
/// group.
pub fn webhook_host(url: &str) -> Arc<str> {
    let url = Url::parse(url).ok();
    let host = url.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    Arc::from(host.unwrap_or_default())
}

/// The outbox.
#[async_trait]
pub trait PushRepository: Send + Sync + 'static {
    /// Claims streams that are due and that nobody else has claimed. Two callers never get the same one; whoever finds
    /// nothing but what others take at the same moment gets none, and may look again. Going past streams that are left
    /// alone keeps nobody from writing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away; [`Error::Secrets`] and [`Error::Corrupt`] never: a stream whose
    /// configuration can't be opened rests for an hour, which is logged.
    async fn claim(&self, query: &ClaimQuery) -> Result<Claims, Error>;

    /// Writes down what became of claims, those of one task in one transaction; for each whether it still held. Of one
    /// that did not, nothing is written; of several for one claim, the first counts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it is unknown whether they are written; they may be repeated.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, Error>;

    /// How long until there is a stream to claim. A claimed stream counts from when its claim runs out. It reads, and keeps
    /// nobody from writing.
    ///
    /// # Errors
    /// When the database is away.
    async fn next_due(&self, except: &Except) -> Result<Due, Error>;

    /// Makes all streams of an owner to a host wait at least so long from now: it was found to be away.
    ///
    /// # Errors
    /// When the database is away.
    async fn postpone_host(&self, owner: &Principal, host: &str, by: Duration) -> Result<(), Error>;

    /// At most `limit` deliveries behind `after`, in the order of their keys.
    ///
    /// # Errors
    /// When the database is away.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error>;

    /// Makes deliveries due now, with all attempts before them; dead letters wait again, in front of what came after
    /// them. At most `limit` at once, the first behind `after` in the order of their keys. Claims of their streams settle
    /// nothing any more.
    ///
    /// # Errors
    /// When the database is away.
    async fn redeliver(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error>;

    /// Removes deliveries, at most `limit` at once, the first behind `after` in the order of their keys. One that is under
    /// way may still arrive. Claims of streams that lose what waits settle nothing any more: what else they sent is sent
    /// again.
    ///
    /// # Errors
    /// When the database is away.
    async fn discard(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error>;

    /// Removes what became a dead letter before a time in milliseconds since 1970, at most `limit` at once; how many there
    /// were.
    ///
    /// # Errors
    /// When the database is away.
    async fn forget_dead(&self, before_ms: i64, limit: usize) -> Result<u64, Error>;

    /// How much waits, counted no further than `limit`.
    ///
    /// # Errors
    /// When the database is away.
    async fn backlog(&self, limit: usize) -> Result<Backlog, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_all_that_is_taken_of_a_url() {
        for (url, host) in [
            ("https://Example.ORG/hook?token=secret#x", "example.org:443"),
            ("http://example.org", "example.org:80"),
            ("https://user:secret@example.org:8443/", "example.org:8443"),
            ("https://[2001:DB8::1]:8443/x", "[2001:db8::1]:8443"),
            ("https://192.0.2.1/", "192.0.2.1:443"),
            ("nothing of the kind", ""),
            ("mailto:ada@example.org", ""),
            ("unknown://example.org/", ""),
            ("", ""),
        ] {
            assert_eq!(&*webhook_host(url), host, "{url}");
        }
    }

    #[test]
    fn a_cause_is_cut_between_characters() {
        let kept = |cause: String| Failure { status: None, cause }.kept_cause().len();
        assert_eq!(kept("x".repeat(300)), 256);
        assert_eq!(kept("ä".repeat(200)), 256);
        assert_eq!(kept(format!("x{}", "ä".repeat(200))), 255);
        assert_eq!(kept(String::new()), 0);
    }
}
