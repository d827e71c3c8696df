//! The handle that others have: a place in the queue is taken before anything is done, so that what was done can always
//! be recorded.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, OwnedPermit};
use tokio_util::sync::CancellationToken;

use super::chain::{Before, Chain};
use super::entry::{BadCertificate, Call, Entry, PushEnd, Stranger, What};
use super::error::OpenError;
use super::file::Sink;
use super::record::{Kind, Outcome};
use super::shares::{Share, Shares};
use super::store::Store;
use super::verify::head_of;
use super::writer::Writer;
use super::{AuditSettings, Output};
use crate::access::{Method, Principal};
use crate::clock::Clock;
use crate::context::{CallContext, Scope};
use crate::error::Error;
use crate::shutdown::Shutdown;

/// Takes records. Cheap to clone.
#[derive(Clone, Default)]
pub struct Audit(pub(super) Option<Arc<Shared>>);

/// What the handles and the writer share.
pub(super) struct Shared {
    queue: mpsc::Sender<Entry>,
    shares: Arc<Shares>,
    clock: Clock,
    is_required: bool,
    /// The newest records could not be written.
    pub(super) is_failing: AtomicBool,
    /// Records that there was no room for, since the last one that says so.
    pub(super) dropped: AtomicU64,
    /// Failed authentications in the queue, how many may be, and how many there was no room for.
    pub(super) strangers: AtomicUsize,
    strangers_max: usize,
    /// The second in which strangers were noted last, and how many.
    strangers_now: Mutex<(i64, u32)>,
    strangers_per_s_max: u32,
    pub(super) suppressed: AtomicU64,
    pub(super) closing: CancellationToken,
    /// Cancelled when everything is written.
    closed: CancellationToken,
}

impl Audit {
    /// Records nothing: for a runtime that asks nobody who he is.
    pub fn off() -> Self {
        Self(None)
    }

    /// Begins a chain, and the task that writes it to what the settings and `store` name. Without any of them it records
    /// nothing.
    ///
    /// # Errors
    /// When the file can't be opened or read, another process writes it, or the database gives no answer.
    pub async fn start(
        settings: AuditSettings,
        store: Option<Arc<dyn Store>>,
        clock: Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, OpenError> {
        let (sink, mut before) = match &settings.output {
            None => (None, Before::default()),
            Some(Output::Stdout) => (Some(Sink::stdout()?), Before::default()),
            Some(Output::File(path)) => Sink::open(path).map(|(sink, before)| (Some(sink), before))?,
        };
        if sink.is_none() && store.is_none() {
            return Ok(Self::off());
        }
        if let Some(store) = &store {
            let newest = store.newest().await.map_err(OpenError::Database)?;
            before.database = newest.and_then(|row| head_of(&row.text));
        }
        let chain = Chain::begin(&clock, &before);
        let (queue, waiting) = mpsc::channel(settings.queue_max.max(2));
        let shared = Arc::new(Shared {
            queue,
            shares: Shares::new(settings.queue_per_caller_max),
            clock,
            is_required: settings.is_required,
            is_failing: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            strangers: AtomicUsize::new(0),
            strangers_max: settings.queue_max / 2,
            strangers_now: Mutex::default(),
            strangers_per_s_max: settings.strangers_per_s_max,
            suppressed: AtomicU64::new(0),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        });
        let writer = Writer::new(shared.clone(), settings, waiting, chain, sink, store);
        let ended = shared.closed.clone().drop_guard();
        shutdown.spawn_unstoppable("audit", async move {
            let _ended = ended;
            writer.run().await;
        });
        Ok(Self(Some(shared)))
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Opens the record of a call to an agent; `task_id` and `context_id` as the request has them.
    ///
    /// # Errors
    /// UNAVAILABLE when it could not be recorded, and has to be; RESOURCE_EXHAUSTED when so many records of this caller
    /// wait that another one would take the place of others.
    pub fn call(
        &self,
        call: &CallContext,
        method: Method,
        agent: impl FnOnce() -> Arc<str>,
        (task_id, context_id): (&str, &str),
    ) -> Result<CallRecord, Error> {
        self.open(
            call,
            Kind::Call,
            Some(method.as_str()),
            agent,
            (task_id, context_id),
        )
    }

    /// Opens the record of the decision whether a caller gets the card of an agent that not everybody knows.
    ///
    /// # Errors
    /// As for [`Audit::call`].
    pub fn card(&self, call: &CallContext, agent: impl FnOnce() -> Arc<str>) -> Result<CallRecord, Error> {
        self.open(call, Kind::Card, None, agent, ("", ""))
    }

    pub(super) fn open(
        &self,
        call: &CallContext,
        kind: Kind,
        method: Option<&'static str>,
        agent: impl FnOnce() -> Arc<str>,
        (task_id, context_id): (&str, &str),
    ) -> Result<CallRecord, Error> {
        let Some(shared) = &self.0 else {
            return Ok(CallRecord(None));
        };
        let Some((place, share)) = shared.place_of_caller(&call.caller.principal)? else {
            return Ok(CallRecord(None));
        };
        let call = Call {
            task_id: task_id.to_owned(),
            context_id: context_id.to_owned(),
            ..Call::of(call, kind, method, agent())
        };
        Ok(CallRecord(Some(Open {
            place,
            share,
            call: Box::new(call),
            clock: shared.clock.clone(),
        })))
    }

    /// Records that a credential was turned away. It never fails: beyond half of the queue, and beyond so many in a second,
    /// such records are only counted, so that a stranger can neither keep callers out nor fill the disk.
    pub fn authentication_failed(&self, stranger: Stranger) {
        self.note_a_stranger(What::Stranger(Box::new(stranger)));
    }

    /// The same for a client certificate that was refused in its handshake, within the same limits.
    pub fn certificate_refused(&self, certificate: BadCertificate) {
        self.note_a_stranger(What::Refused(Box::new(certificate)));
    }

    fn note_a_stranger(&self, what: What) {
        let Some(shared) = &self.0 else { return };
        if !shared.may_note_a_stranger() {
            shared.suppressed.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let before = shared.strangers.fetch_add(1, Ordering::AcqRel);
        let entry = Entry {
            at_ms: shared.clock.now_ms(),
            what,
        };
        if before >= shared.strangers_max || shared.queue.try_send(entry).is_err() {
            shared.strangers.fetch_sub(1, Ordering::AcqRel);
            shared.suppressed.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Records that a connection was cut because the certificate of its caller no longer holds. It never fails: what has to
    /// end is ended, and a record that there is no room for is counted as dropped.
    pub fn connection_cut(&self, certificate: BadCertificate) {
        if let Some(shared) = &self.0 {
            shared.note(What::Cut(Box::new(certificate)));
        }
    }

    /// Records that a push configuration is removed, because its receiver wants no more. It never fails: where there is no
    /// room the record is counted as lost.
    pub fn push_ended(&self, scope: &Scope, task_id: &Arc<str>, config_id: &Arc<str>) {
        let Some(shared) = &self.0 else { return };
        let end = PushEnd {
            agent: scope.agent.clone(),
            owner: scope.owner.clone(),
            task_id: task_id.clone(),
            config_id: config_id.clone(),
        };
        let entry = Entry {
            at_ms: shared.clock.now_ms(),
            what: What::PushEnd(Box::new(end)),
        };
        if shared.queue.try_send(entry).is_err() {
            shared.dropped.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Writes what is in the queue, and takes nothing more.
    pub async fn close(&self) {
        if let Some(shared) = &self.0 {
            shared.closing.cancel();
            shared.closed.cancelled().await;
        }
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(if self.is_on() { "Audit(on)" } else { "Audit(off)" })
    }
}

impl Shared {
    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Records what happens anyway; without room it is counted.
    pub(super) fn note(&self, what: What) {
        let at_ms = self.clock.now_ms();
        if self.queue.try_send(Entry { at_ms, what }).is_err() {
            self.dropped.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether a stranger may have a record of his own in this second.
    fn may_note_a_stranger(&self) -> bool {
        let second = self.clock.now_ms().div_euclid(1_000);
        let mut now = self.strangers_now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != second {
            *now = (second, 0);
        }
        now.1 = now.1.saturating_add(1);
        now.1 <= self.strangers_per_s_max
    }

    /// New work is refused as soon as records can't be written; what runs already may fill the queue.
    pub(super) fn place_of_call(&self) -> Result<Option<OwnedPermit<Entry>>, Error> {
        if self.is_required && self.is_failing.load(Ordering::Acquire) {
            return Err(Error::unavailable(
                "the audit log can't be written, and nothing is done without it (audit.required); try again",
            ));
        }
        self.place(1)
    }

    /// The same for a call of this caller. Where records are not required nobody is refused: of a caller that has taken its
    /// share they are left out.
    fn place_of_caller(&self, caller: &Principal) -> Result<Option<(OwnedPermit<Entry>, Share)>, Error> {
        let Some(share) = self.shares.take(caller) else {
            if self.is_required {
                return Err(self.shares.refusal());
            }
            self.dropped.fetch_add(1, Ordering::AcqRel);
            return Ok(None);
        };
        Ok(self.place_of_call()?.map(|place| (place, share)))
    }

    /// A place in the queue for so many records; `None` where they are left out for want of one.
    pub(super) fn place(&self, records: u64) -> Result<Option<OwnedPermit<Entry>>, Error> {
        match self.queue.clone().try_reserve_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) if self.is_required => Err(Error::unavailable(
                "as many audit records wait as may (audit.queue_max), and nothing is done without one \
                 (audit.required); try again",
            )),
            Err(_) => {
                self.dropped.fetch_add(records, Ordering::AcqRel);
                Ok(None)
            }
        }
    }
}

/// The record of a call that is under way. Dropped without an outcome it says that the caller went away.
#[must_use]
pub struct CallRecord(Option<Open>);

struct Open {
    place: OwnedPermit<Entry>,
    share: Share,
    call: Box<Call>,
    clock: Clock,
}

impl CallRecord {
    /// Names the task that the call turned out to be about.
    pub fn names(&mut self, task_id: &str, context_id: &str) {
        if let Some(open) = &mut self.0 {
            // An answer that says nothing of one does not undo what the request has named.
            for (named, field) in [
                (task_id, &mut open.call.task_id),
                (context_id, &mut open.call.context_id),
            ] {
                if !named.is_empty() {
                    named.clone_into(field);
                }
            }
        }
    }

    /// Says what an operator's call is for.
    pub(super) fn is_for(&mut self, filter: &str) {
        if let Some(open) = &mut self.0 {
            filter.clone_into(&mut open.call.filter);
        }
    }

    /// Records how the call ended: well, or with an error.
    pub fn ends(mut self, error: Option<&Error>) {
        if let Some(open) = &mut self.0 {
            open.call.outcome = error.map_or(Outcome::Ok.as_str(), |error| error.kind.reason());
        }
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let Open {
                place,
                share,
                call,
                clock,
            } = open;
            let what = What::Call(call, Some(share));
            let at_ms = clock.now_ms();
            place.send(Entry { at_ms, what });
        }
    }
}
