//! The owner of one task while something happens to it.
//!
//! It drives the agent, applies updates in order, commits while the agent goes on, and answers whoever waits.
//! Everything that changes a task passes through its one actor, so a cancel and a completion can't both win.

mod callers;
mod commits;
mod endings;
mod messages;
mod places;
mod recovery;
mod refused;
mod turns;
mod work;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use self::callers::Callers;
use self::messages::{extras, receive_for};
use self::recovery::Claiming;
use self::work::Work;
use crate::agent::{Agent, CancelOutcome, Place, Slot};
use crate::audit::Author;
use crate::context::Scope;
use crate::error::Error;
use crate::execution::command::{Answer, Command, Incoming, Reply, Wait};
use crate::execution::commit::Commit;
use crate::execution::executions::{Executions, Shared, of_write};
use crate::execution::leases::Held;
use crate::execution::live::Live;
use crate::execution::outcome::invalid_response;
use crate::execution::recover::Claim;
use crate::execution::registry::Mailbox;
use crate::execution::trail::Trail;
use crate::execution::turn::{Progress, Turn};
use crate::execution::writer::{Fault, Writer};
use crate::pb::Message;
use crate::quota::Permit;
use crate::repository;
use crate::task::{TaskEvent, is_settled, is_terminal};

/// How long a caller waits for a task that nobody works on in this process before it is read again: another process may
/// have brought it to its end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Cancel = Pin<Box<dyn Future<Output = CancelOutcome> + Send>>;

pub(super) struct Actor {
    executions: Executions,
    agent: Arc<Agent>,
    scope: Scope,
    writer: Writer,
    work: Work,
    callers: Callers,
    commit: Option<Commit>,
    cancel: Option<Cancel>,
    /// Somebody else held the task; a message waits until it is clear whether it can be taken over.
    claiming: Option<Claiming>,
    direct: Option<Message>,
    fault: Option<Fault>,
    live: Option<Arc<Live>>,
    /// The database does not answer; new requests are refused until it does.
    degraded: bool,
    /// Somebody else owns the task now, or it was never made.
    lost: bool,
    /// The database refused for good what was to be written; the stored task has to be failed.
    is_refused: bool,
    /// The task has left the line without having run.
    left_line: bool,
    /// Others were woken since the runtime last had its thread back. The last of them waits for this very thread, and
    /// no other thread can take it: an agent that blocks must not begin before it has run.
    has_woken: bool,
    /// Held from the commit that sets the task in motion to the one that settles it.
    lease: Option<Held>,
    /// Counts the task among the open ones until the database does.
    opening: Option<Permit>,
    /// Whose cancel the agent is asked about.
    canceler: Option<Author>,
}

/// What happens next.
enum Step {
    Committed(Result<(), repository::Error>),
    Progress(Progress),
    CancelAnswered(CancelOutcome),
    Claimed(Result<Claim, Error>),
    Command(Option<Command>),
    LeaseLost,
    /// The process stops, and the turn has not come.
    NoTurn,
    SlotGiven(Slot),
    TimeUp,
    GraceOver,
    LookAgain,
    OthersRan,
}

impl Actor {
    /// The actor of a task that does not exist yet.
    pub(super) fn new_task(
        executions: Executions,
        agent: Arc<Agent>,
        scope: Scope,
        ids: (Arc<str>, Arc<str>),
        mut incoming: Incoming,
        place: Place,
    ) -> Self {
        let (task_id, context_id) = ids;
        receive_for(&mut incoming, &task_id, &context_id);
        let shared = &executions.0;
        let extras = extras(&mut incoming, &task_id);
        let gated = !extras.keys.is_empty();
        let message = incoming.message.clone();
        let writer = Writer::create(
            scope.clone(),
            (task_id, context_id),
            message,
            &Author::caller(&incoming.call),
            shared.clock.clone(),
            &shared.settings,
        );
        let mut actor = Self::over(executions, agent, scope, writer);
        actor.attach(extras);
        actor.work.gated = gated;
        actor.opening = incoming.permits.opening.take();
        let request = actor.request(incoming, false);
        actor.take_place(request, place);
        actor
    }

    /// Loads a stored task and serves what is asked of it; without a task, everybody gets the reason.
    pub(super) async fn open(
        executions: Executions,
        agent: Arc<Agent>,
        scope: Scope,
        task_id: Arc<str>,
        mailbox: Mailbox,
    ) {
        let shared = executions.0.clone();
        let refusal = match shared.repository.get(&scope, &task_id).await {
            Ok(Some(stored)) => {
                let writer = Writer::load(scope.clone(), stored, shared.clock.clone(), &shared.settings);
                return Box::new(Self::over(executions, agent, scope, writer))
                    .run(mailbox)
                    .await;
            }
            Ok(None) => Error::task_not_found(&task_id),
            Err(error) => error.into(),
        };
        shared.registry.refuse(mailbox, &refusal).await;
    }

    fn over(executions: Executions, agent: Arc<Agent>, scope: Scope, writer: Writer) -> Self {
        Self {
            executions,
            agent,
            scope,
            writer,
            work: Work::default(),
            callers: Callers::default(),
            commit: None,
            cancel: None,
            claiming: None,
            direct: None,
            fault: None,
            live: None,
            degraded: false,
            lost: false,
            is_refused: false,
            left_line: false,
            has_woken: false,
            lease: None,
            opening: None,
            canceler: None,
        }
    }

    pub(super) fn task_id(&self) -> &Arc<str> {
        self.writer.task_id()
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where the answer to the message that began the task goes.
    pub(super) fn answer_to(&mut self, wait: Wait, reply: Reply) {
        self.callers.wait(wait, reply);
    }

    /// Lets the agent run as far as it gets without waiting; true if its turn is over by then.
    pub(super) async fn attempt(&mut self) -> bool {
        let limit = self.shared().settings.updates_queue_max;
        while !self.work.gated && self.writer.pending().len() <= limit {
            let Some(turn) = &mut self.work.turn else {
                return self.work.waiting.is_none();
            };
            match turn.try_next().await {
                Some(progress) => self.progress(progress),
                None => return false,
            }
        }
        false
    }

    /// True if nothing can follow what has happened so far.
    pub(super) fn is_over(&self) -> bool {
        self.direct.is_some() || is_terminal(self.writer.state())
    }

    /// Commits a task whose turn is over already; the answer, and the events that were written. A caller that waits
    /// for the outcome is told when the agent broke the protocol; others see it by the task, streams by its last event.
    pub(super) async fn finish(
        mut self: Box<Self>,
        wait: Wait,
    ) -> Result<(Result<Answer, Error>, Vec<Arc<TaskEvent>>), Error> {
        if let Some(message) = self.direct {
            return Ok((Ok(Answer::Message(Box::new(message))), Vec::new()));
        }
        let repository = self.executions.0.repository.clone();
        let mut events = Vec::new();
        if let Some(write) = self.writer.take_write(None) {
            events.clone_from(&write.events);
            let trail = Trail::of(&self.executions.0.audit, &write, self.writer.take_changes());
            trail
                .along_once(repository.commit(write))
                .await
                .map_err(of_write)?;
        }
        if let (Some(fault), Wait::Settled) = (&self.fault, wait) {
            return Ok((Err(invalid_response(self.writer.task_id(), fault)), events));
        }
        let generation = events.len() as u64;
        let task = Box::new(self.writer.into_task());
        Ok((Ok(Answer::Task(task, generation)), events))
    }

    /// Serves the task until nothing happens to it any more.
    pub(super) async fn run(mut self: Box<Self>, mut mailbox: Mailbox) {
        let shared = self.executions.0.clone();
        self.live = Some(shared.hub.live(self.writer.task_id()));
        loop {
            self.begin_commit();
            self.answer_settled();
            self.answer_untouched();
            if self.lost {
                // What waits in the mailbox is for whoever reads the task as it is now.
                shared.registry.abandon(&mut mailbox);
                break;
            }
            if self.is_idle() {
                if self.left_line {
                    // While the place is taken still: whoever waits for all writers to end waits for this too.
                    self.hand_back().await;
                }
                if shared.registry.retire(&mut mailbox) {
                    break;
                }
            }
            let step = self.step(&mut mailbox).await;
            self.has_woken |= matches!(
                step,
                Step::Committed(_) | Step::CancelAnswered(_) | Step::Claimed(_) | Step::Command(_)
            );
            match step {
                Step::OthersRan => self.has_woken = false,
                Step::Committed(Ok(())) => self.committed(),
                Step::Committed(Err(error)) => self.not_committed(error),
                Step::Progress(progress) => self.progress(progress),
                Step::CancelAnswered(outcome) => self.cancel_answered(outcome),
                Step::Claimed(outcome) => self.claimed(outcome),
                Step::Command(command) => self.command(command),
                Step::LeaseLost => self.lease_lost(),
                Step::NoTurn => self.leave_line(),
                Step::SlotGiven(slot) => self.slot_given(slot),
                Step::TimeUp => self.time_is_up(),
                Step::GraceOver => self.work.end(),
                Step::LookAgain => {
                    shared.registry.abandon(&mut mailbox);
                    break;
                }
            }
        }
        if self.is_refused {
            self.fail_what_is_stored().await;
        }
        // Who still waits is served by whoever reads the task as it is now, and so is what came too late.
        let waiting = std::mem::take(&mut self.callers.settlers);
        for command in waiting.into_iter().map(|reply| Command::Settle { reply }) {
            self.executions
                .forward(&self.agent, &self.scope, self.writer.task_id(), command)
                .await;
        }
        while let Some(command) = mailbox.next().await {
            self.executions
                .forward(&self.agent, &self.scope, self.writer.task_id(), command)
                .await;
        }
    }

    async fn step(&mut self, mailbox: &mut Mailbox) -> Step {
        // An agent that is far ahead of the database waits for it.
        let ahead = self.writer.pending().len() >= self.shared().settings.updates_queue_max;
        let runs = self.work.may_run() && !ahead;
        let others_first = runs && self.has_woken;
        let forsaken = !self.is_working() && !self.is_writing();
        let Self {
            executions,
            work,
            commit,
            cancel,
            claiming,
            lease,
            ..
        } = self;
        tokio::select! {
            biased;
            Some(result) = optional(commit.as_mut().map(Commit::wait)) => Step::Committed(result),
            Some(outcome) = optional(cancel.as_mut()) => Step::CancelAnswered(outcome),
            Some(()) = optional(lease.as_mut().map(Held::lost)) => Step::LeaseLost,
            Some(outcome) = optional(claiming.as_mut().map(|claiming| claiming.outcome.as_mut())) => Step::Claimed(outcome),
            // Before the agent, which may write without end: a cancel must get through.
            command = mailbox.next(), if claiming.is_none() => Step::Command(command),
            Some(()) = optional(work.deadline.map(tokio::time::sleep_until)) => Step::TimeUp,
            Some(()) = optional(work.waiting.as_ref().map(|_| executions.0.shutdown.draining())) => Step::NoTurn,
            Some(slot) = optional(work.waiting.as_mut().map(|waiting| waiting.ticket.ready())) => Step::SlotGiven(slot),
            () = tokio::task::yield_now(), if others_first => Step::OthersRan,
            Some(progress) = optional(work.turn.as_mut().filter(|_| runs && !others_first).map(Turn::next)) => Step::Progress(progress),
            Some(()) = optional(work.grace.map(tokio::time::sleep_until)) => Step::GraceOver,
            () = tokio::time::sleep(LOOK_AGAIN), if forsaken => Step::LookAgain,
        }
    }

    fn is_idle(&self) -> bool {
        // Behind a restart, somebody may wait for a task that is yet to be taken up.
        let awaited = !self.callers.settlers.is_empty() && !is_settled(self.writer.state());
        self.direct.is_some() || !(self.is_working() || self.is_writing() || awaited)
    }

    /// Somebody in this process moves the task on.
    fn is_working(&self) -> bool {
        self.work.is_any() || self.cancel.is_some() || self.claiming.is_some()
    }

    /// The repository does not have everything yet.
    fn is_writing(&self) -> bool {
        self.commit.is_some() || !self.writer.pending().is_empty()
    }

    fn shared(&self) -> &Shared {
        &self.executions.0
    }
}

/// The result of a future that may not be there; one that isn't disables its branch of a `select!`.
async fn optional<F: Future>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}
