//! The owner of one task while something happens to it.
//!
//! It drives the agent, applies updates in order, commits while the agent goes on, and answers whoever waits.
//! Everything that changes a task passes through its one actor, so a cancel and a completion can't both win.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::command::{Answer, Command, Incoming, Reply, Wait};
use super::commit::Commit;
use super::executions::{Executions, Shared};
use super::live::Live;
use super::outcome::{agent_message, conclude, fail, invalid_response};
use super::reader::ScopedReader;
use super::registry::Mailbox;
use super::turn::{Ended, Progress, Turn};
use super::writer::{Extras, Fault, Writer};
use crate::agent::{Agent, CancelOutcome, RequestContext, TaskUpdate};
use crate::bus::Doorbell;
use crate::context::{CallContext, Scope};
use crate::error::{Error, Kind};
use crate::pb::{Message, Role, TaskPushNotificationConfig, TaskState};
use crate::repository;
use crate::task::{TaskEvent, is_settled, is_terminal};

type Cancel = Pin<Box<dyn Future<Output = CancelOutcome> + Send>>;

pub(super) struct Actor {
    executions: Executions,
    agent: Arc<Agent>,
    scope: Scope,
    writer: Writer,
    turn: Option<Turn>,
    /// The turn may not run before what is pending is committed: a send with an idempotency key.
    gated: bool,
    inbox: VecDeque<RequestContext>,
    commit: Option<Commit>,
    cancel: Option<Cancel>,
    accepted: Vec<Reply>,
    settlers: Vec<Reply>,
    cancelers: Vec<Reply>,
    /// Who sent a message under a key that has been taken already.
    repeated: Vec<Reply>,
    /// The idempotency keys of the messages that this actor took.
    keys: HashSet<Arc<str>>,
    direct: Option<Message>,
    fault: Option<Fault>,
    live: Option<Arc<Live>>,
    /// The database does not answer; new requests are refused until it does.
    degraded: bool,
    /// Somebody else owns the task now, or it was never made.
    lost: bool,
    /// When an execution must end whose task has ended.
    grace: Option<Instant>,
}

/// What happens next.
enum Step {
    Committed(Result<(), repository::Error>),
    Progress(Progress),
    CancelAnswered(CancelOutcome),
    Command(Option<Command>),
    GraceOver,
}

impl Actor {
    /// The actor of a task that does not exist yet.
    pub(super) fn new_task(
        executions: Executions,
        agent: Arc<Agent>,
        scope: Scope,
        ids: (Arc<str>, Arc<str>),
        mut incoming: Incoming,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let (task_id, context_id) = ids;
        name(&mut incoming.message, &task_id, &context_id);
        let shared = &executions.0;
        let extras = extras(&mut incoming, &task_id);
        let gated = !extras.keys.is_empty();
        let message = incoming.message.clone();
        let writer = Writer::create(
            scope.clone(),
            (task_id, context_id),
            message,
            shared.clock.clone(),
            &shared.settings,
        );
        let mut actor = Self::over(executions, agent, scope, writer);
        actor.attach(extras);
        actor.gated = gated;
        let request = actor.request(incoming, false);
        actor.begin_turn(request, permit);
        actor
    }

    /// Loads a stored task and serves what is asked of it; without a task, everybody gets the reason.
    pub(super) async fn open(
        executions: Executions,
        agent: Arc<Agent>,
        scope: Scope,
        task_id: Arc<str>,
        mut mailbox: Mailbox,
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
        while !shared.registry.retire(&mut mailbox) {
            if let Some(command) = mailbox.next().await {
                command.refuse(refusal.clone());
            }
        }
        while let Some(command) = mailbox.next().await {
            command.refuse(refusal.clone());
        }
    }

    fn over(executions: Executions, agent: Arc<Agent>, scope: Scope, writer: Writer) -> Self {
        Self {
            executions,
            agent,
            scope,
            writer,
            turn: None,
            gated: false,
            inbox: VecDeque::new(),
            commit: None,
            cancel: None,
            accepted: Vec::new(),
            settlers: Vec::new(),
            cancelers: Vec::new(),
            repeated: Vec::new(),
            keys: HashSet::new(),
            direct: None,
            fault: None,
            live: None,
            degraded: false,
            lost: false,
            grace: None,
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
        match wait {
            Wait::Settled => self.settlers.push(reply),
            Wait::Accepted => self.accepted.push(reply),
        }
    }

    /// Lets the agent run as far as it gets without waiting; true if its turn is over by then.
    pub(super) async fn attempt(&mut self) -> bool {
        let limit = self.shared().settings.updates_queue_max;
        while !self.gated && self.writer.pending().len() <= limit {
            let Some(turn) = &mut self.turn else { return true };
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
    /// for one answer is told when the agent broke the protocol; a stream shows it by its last event.
    pub(super) async fn finish(
        mut self: Box<Self>,
    ) -> Result<(Result<Answer, Error>, Vec<Arc<TaskEvent>>), Error> {
        if let Some(message) = self.direct {
            return Ok((Ok(Answer::Message(Box::new(message))), Vec::new()));
        }
        let repository = self.executions.0.repository.clone();
        let mut events = Vec::new();
        if let Some(write) = self.writer.take_write() {
            events.clone_from(&write.events);
            repository.commit(write).await?;
        }
        if let Some(fault) = &self.fault {
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
            if self.is_idle() && shared.registry.retire(&mut mailbox) {
                break;
            }
            match self.step(&mut mailbox).await {
                Step::Committed(Ok(())) => self.committed(),
                Step::Committed(Err(error)) => self.not_committed(error),
                Step::Progress(progress) => self.progress(progress),
                Step::CancelAnswered(outcome) => self.cancel_answered(outcome),
                Step::Command(command) => self.command(command),
                Step::GraceOver => self.end_turn(),
            }
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
        let runs = self.turn.is_some() && !self.gated && !ahead;
        let Self {
            commit,
            turn,
            cancel,
            grace,
            ..
        } = self;
        tokio::select! {
            biased;
            Some(result) = optional(commit.as_mut().map(Commit::wait)) => Step::Committed(result),
            Some(outcome) = optional(cancel.as_mut()) => Step::CancelAnswered(outcome),
            // Before the agent, which may write without end: a cancel must get through.
            command = mailbox.next() => Step::Command(command),
            Some(progress) = optional(turn.as_mut().filter(|_| runs).map(Turn::next)) => Step::Progress(progress),
            Some(()) = optional(grace.map(tokio::time::sleep_until)) => Step::GraceOver,
        }
    }

    fn is_idle(&self) -> bool {
        let working = self.turn.is_some() || self.cancel.is_some() || !self.inbox.is_empty();
        let writing = self.commit.is_some() || !self.writer.pending().is_empty();
        self.direct.is_some() || !(working || writing)
    }

    fn shared(&self) -> &Shared {
        &self.executions.0
    }

    // --- the agent's turn ---

    fn request(&self, incoming: Incoming, follow_up: bool) -> RequestContext {
        let reader = ScopedReader {
            cell: self.writer.cell().clone(),
            scope: self.scope.clone(),
            repository: self.shared().repository.clone(),
        };
        let ids = (self.writer.task_id().clone(), self.writer.context_id().clone());
        let message = Arc::new(incoming.message);
        RequestContext {
            configuration: incoming.configuration.map(Arc::new),
            metadata: incoming.metadata.map(Arc::new),
            follow_up,
            ..RequestContext::new(&incoming.call, ids.0, ids.1, message, Arc::new(reader))
        }
    }

    fn begin_turn(&mut self, request: RequestContext, permit: OwnedSemaphorePermit) {
        let queue = self.shared().settings.updates_queue_max;
        self.turn = Some(Turn::new(&self.agent, request, permit, queue));
    }

    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Updates(updates) => {
                for update in updates {
                    if let Err(fault) = self.update(*update) {
                        return self.broken(fault);
                    }
                }
                if is_terminal(self.writer.state()) {
                    self.wind_up();
                }
            }
            Progress::Ended(ended) => self.turn_ended(&ended),
        }
    }

    fn update(&mut self, update: TaskUpdate) -> Result<(), Fault> {
        if is_terminal(self.writer.state()) {
            tracing::warn!(agent = %self.agent.name, task.id = %self.writer.task_id(), "update of an ended task dropped");
            return Ok(());
        }
        match update {
            TaskUpdate::Reply(message) => self.reply_directly(message),
            update => {
                let state = match &update {
                    TaskUpdate::Status { state, .. } => Some(*state),
                    _ => None,
                };
                self.writer.update(update)?;
                if let (Some(turn), Some(state)) = (&mut self.turn, state) {
                    turn.settled = is_settled(state);
                }
                Ok(())
            }
        }
    }

    /// A direct message instead of a task: only if nothing but the beginning has been written. A task that had to be
    /// stored before the agent ran, for its idempotency key, is completed with the message.
    fn reply_directly(&mut self, mut message: Message) -> Result<(), Fault> {
        let untouched = self.writer.written() + self.writer.pending().len() as u64 == 1;
        if !untouched || !self.agent.executor.may_reply() {
            return Err(Fault::Reply);
        }
        if !self.writer.is_unstored() || self.commit.is_some() {
            name(&mut message, self.writer.task_id(), self.writer.context_id());
            let update = TaskUpdate::Status {
                state: TaskState::Completed,
                message: Some(message),
                metadata: None,
            };
            return self.writer.update(update);
        }
        message.task_id.clear();
        message.context_id = self.writer.context_id().to_string();
        for reply in self.accepted.drain(..).chain(self.settlers.drain(..)) {
            let _ = reply.send(Ok(Answer::Message(Box::new(message.clone()))));
        }
        self.direct = Some(message);
        self.turn = None;
        Ok(())
    }

    fn broken(&mut self, fault: Fault) {
        tracing::warn!(agent = %self.agent.name, task.id = %self.writer.task_id(), %fault, "the agent broke the protocol");
        fail(
            &mut self.writer,
            &format!("the agent broke the protocol: {fault}"),
        );
        self.fault = Some(fault);
        self.end_turn();
    }

    /// The task has ended while its execution runs on: it gets some time to clean up, and writes nothing more.
    fn wind_up(&mut self) {
        self.inbox.clear();
        if let Some(turn) = &mut self.turn {
            turn.mute();
            let limit = self.executions.0.settings.cancel_timeout;
            self.grace.get_or_insert_with(|| Instant::now() + limit);
        }
    }

    fn turn_ended(&mut self, ended: &Ended) {
        let unsettled = self.fault.take();
        let settled = self.turn.as_ref().is_some_and(|turn| turn.settled);
        self.fault = conclude(&mut self.writer, &self.agent.name, ended, settled).or(unsettled);
        let permit = self.turn.take().map(Turn::into_permit);
        self.grace = None;
        if is_terminal(self.writer.state()) {
            self.inbox.clear();
        }
        if let (Some(permit), Some(request)) = (permit, self.inbox.pop_front()) {
            let working = TaskUpdate::Status {
                state: TaskState::Working,
                message: None,
                metadata: None,
            };
            if let Err(fault) = self.writer.update(working) {
                return self.broken(fault);
            }
            self.begin_turn(request, permit);
        }
    }

    fn end_turn(&mut self) {
        self.turn = None;
        self.grace = None;
        self.inbox.clear();
    }

    // --- commits ---

    fn begin_commit(&mut self) {
        // An agent that may answer with a direct message decides by its first update whether there is a task at all.
        let undecided = self.writer.is_unstored()
            && self.writer.pending().len() == 1
            && self.turn.is_some()
            && !self.gated
            && self.agent.executor.may_reply();
        if self.commit.is_some() || self.lost || self.direct.is_some() || undecided {
            return;
        }
        let wanted = !self.accepted.is_empty();
        if let Some(write) = self.writer.take_write() {
            let task = wanted.then(|| Box::new(self.writer.cell().lock().clone()));
            let accepted = std::mem::take(&mut self.accepted);
            self.commit = Some(Commit::start(
                &self.executions.0.repository,
                write,
                accepted,
                task,
            ));
        }
    }

    fn committed(&mut self) {
        let Some(commit) = self.commit.take() else { return };
        self.degraded = false;
        // What came while the commit was on its way waits for the next one.
        self.gated &= !self.writer.pending().is_empty();
        let generation = commit.generation();
        if let Some(live) = &self.live {
            live.keep(commit.events());
        }
        let task_id = self.writer.task_id().clone();
        self.shared().bus.publish(&Doorbell { task_id, generation });
        if let Some(task) = commit.task {
            for reply in commit.accepted {
                let _ = reply.send(Ok(Answer::Task(task.clone(), generation)));
            }
        }
    }

    fn not_committed(&mut self, error: repository::Error) {
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        let repository = self.executions.0.repository.clone();
        match error {
            repository::Error::KeyTaken(task_id)
                if commit.creates() || (self.gated && commit.is_single()) =>
            {
                // Nothing but the message would have been written, and nothing has run for it.
                self.accepted.append(&mut commit.accepted);
                self.lose(|| Ok(Answer::Known(task_id.clone())));
            }
            repository::Error::KeyTaken(_) => self.commit = Some(commit.without_key(&repository)),
            repository::Error::Stale => {
                tracing::warn!(task.id = %self.writer.task_id(), "another writer has taken the task over");
                self.accepted.append(&mut commit.accepted);
                self.lose(|| Err(repository::Error::Stale.into()));
            }
            error => {
                self.accepted.append(&mut commit.accepted);
                self.degraded = true;
                let error = Error::from(error);
                self.answer_all(|| Err(error.clone()));
                self.commit = Some(commit.retry(&repository));
            }
        }
    }

    /// The task is not ours: stop, and say so to everybody who waits.
    fn lose(&mut self, answer: impl Fn() -> Result<Answer, Error>) {
        self.lost = true;
        self.end_turn();
        self.cancel = None;
        self.answer_all(answer);
    }

    fn answer_all(&mut self, answer: impl Fn() -> Result<Answer, Error>) {
        let waiting = self.accepted.drain(..).chain(self.settlers.drain(..));
        let waiting = waiting
            .chain(self.cancelers.drain(..))
            .chain(self.repeated.drain(..));
        for reply in waiting {
            let _ = reply.send(answer());
        }
    }

    /// Answers those who wait for the end, once all of it is committed.
    fn answer_settled(&mut self) {
        let quiet = self.commit.is_none() && self.writer.pending().is_empty();
        let state = self.writer.state();
        if !quiet || !is_settled(state) || !self.inbox.is_empty() || self.writer.is_unstored() {
            return;
        }
        for reply in std::mem::take(&mut self.settlers) {
            let answer = match &self.fault {
                Some(fault) => Err(invalid_response(self.writer.task_id(), fault)),
                None => Ok(self.answer()),
            };
            let _ = reply.send(answer);
        }
        if is_terminal(state) {
            for reply in std::mem::take(&mut self.cancelers) {
                let _ = reply.send(self.cancel_result());
            }
        }
    }

    fn answer(&self) -> Answer {
        Answer::Task(Box::new(self.writer.cell().lock().clone()), self.writer.written())
    }

    // --- requests ---

    fn command(&mut self, command: Option<Command>) {
        let Some(command) = command else { return };
        if self.degraded {
            return command.refuse(Error::unavailable("the database is not available; try again"));
        }
        match command {
            Command::Message { incoming, reply, .. } if self.is_repeated(&incoming) => {
                self.repeated.push(reply)
            }
            Command::Message {
                incoming,
                wait,
                reply,
            } => match self.message(*incoming) {
                Ok(()) => self.answer_to(wait, reply),
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
            Command::Settle { reply } => self.settlers.push(reply),
            Command::Cancel { call, reply } => self.begin_cancel(&call, reply),
            Command::Recover { call, permit, reply } => {
                self.recover(&call, permit);
                self.accepted.push(reply);
            }
        }
    }

    fn is_repeated(&self, incoming: &Incoming) -> bool {
        incoming
            .key
            .as_ref()
            .is_some_and(|key| self.keys.contains(&key.key))
    }

    fn attach(&mut self, extras: Extras) {
        self.keys.extend(extras.keys.iter().map(|key| key.key.clone()));
        self.writer.attach(extras);
    }

    /// A request that changed nothing has no commit to wait for, but for the one that is on its way.
    fn answer_untouched(&mut self) {
        if self.commit.is_none() && self.writer.pending().is_empty() {
            for reply in std::mem::take(&mut self.accepted) {
                let _ = reply.send(Ok(self.answer()));
            }
            for reply in std::mem::take(&mut self.repeated) {
                let _ = reply.send(Ok(Answer::Known(self.writer.task_id().to_string())));
            }
        }
    }

    fn message(&mut self, mut incoming: Incoming) -> Result<(), Error> {
        let (task_id, context_id) = (self.writer.task_id().clone(), self.writer.context_id().clone());
        let state = self.writer.state();
        let named = &incoming.message.context_id;
        if !named.is_empty() && **named != *context_id {
            return Err(Error::invalid(
                "message.contextId",
                "the task belongs to another context; leave it out",
            ));
        }
        if is_terminal(state) {
            let text = format!(
                "the task is {} and takes no more messages; start a new one",
                state.as_str_name()
            );
            return Err(Error::new(Kind::UnsupportedOperation, text).with("taskId", &*task_id));
        }
        let limit = self.shared().settings.inbox_messages_max;
        if self.turn.is_some() && self.inbox.len() >= limit {
            return Err(Error::new(
                Kind::ResourceExhausted,
                format!(
                    "{limit} messages wait for this task, the limit (inbox_messages_max); wait for its answer"
                ),
            ));
        }
        let permit = if self.turn.is_none() {
            Some(Shared::permit(&self.agent)?)
        } else {
            None
        };
        name(&mut incoming.message, &task_id, &context_id);
        let extras = extras(&mut incoming, &task_id);
        self.writer
            .receive(incoming.message.clone())
            .map_err(|fault| too_long(&fault))?;
        self.gated |= permit.is_some() && !extras.keys.is_empty();
        self.attach(extras);
        let request = self.request(incoming, true);
        match permit {
            Some(permit) => self.begin_turn(request, permit),
            None => self.inbox.push_back(request),
        }
        Ok(())
    }

    fn begin_cancel(&mut self, call: &CallContext, reply: Reply) {
        self.cancelers.push(reply);
        if is_terminal(self.writer.state()) || self.cancel.is_some() {
            return;
        }
        let request = match &self.turn {
            Some(turn) => turn.request.clone(),
            None => self.last_request(call),
        };
        let executor = self.agent.executor.clone();
        let limit = self.shared().settings.cancel_timeout;
        self.cancel = Some(Box::pin(async move {
            // An agent that panics or says nothing has no reason to go on.
            let answer = AssertUnwindSafe(executor.cancel(&request)).catch_unwind();
            let answer = tokio::time::timeout(limit, answer).await;
            answer
                .ok()
                .and_then(Result::ok)
                .unwrap_or(CancelOutcome::Canceled(None))
        }));
    }

    fn cancel_answered(&mut self, outcome: CancelOutcome) {
        self.cancel = None;
        match outcome {
            CancelOutcome::Refused(reason) if !is_terminal(self.writer.state()) => {
                for reply in std::mem::take(&mut self.cancelers) {
                    let _ = reply.send(Err(not_cancelable(self.writer.task_id(), &reason)));
                }
            }
            CancelOutcome::Refused(_) => {}
            CancelOutcome::Canceled(message) => {
                let update = TaskUpdate::Status {
                    state: TaskState::Canceled,
                    message,
                    metadata: None,
                };
                // A task that has just ended otherwise refuses this, and the cancelers are told so.
                if self.writer.update(update).is_ok() {
                    self.end_turn();
                }
            }
        }
    }

    /// What cancelers of an ended task get: repeating a cancel is fine, cancelling another end is not.
    fn cancel_result(&self) -> Result<Answer, Error> {
        match self.writer.state() {
            TaskState::Canceled => Ok(self.answer()),
            state => {
                let reason = format!("the task is {}", state.as_str_name());
                Err(not_cancelable(self.writer.task_id(), &reason))
            }
        }
    }

    /// Takes up what a dead process left: the task says SUBMITTED or WORKING, and nobody works.
    fn recover(&mut self, call: &CallContext, permit: Option<OwnedSemaphorePermit>) {
        if self.turn.is_some() || is_settled(self.writer.state()) {
            return;
        }
        match permit {
            Some(permit) => {
                tracing::info!(agent = %self.agent.name, task.id = %self.writer.task_id(), "execution restarted");
                let request = self.last_request(call);
                // The restart is an event of its own: it takes the task over from the dead writer.
                let message = agent_message(&self.writer, "the server restarted and the agent begins again");
                let working = TaskUpdate::Status {
                    state: TaskState::Working,
                    message: Some(message),
                    metadata: None,
                };
                match self.writer.update(working) {
                    Ok(()) => self.begin_turn(request, permit),
                    Err(fault) => self.broken(fault),
                }
            }
            None => {
                tracing::info!(agent = %self.agent.name, task.id = %self.writer.task_id(), "interrupted execution failed");
                fail(
                    &mut self.writer,
                    "the server stopped while the agent was working, and the agent can't start again",
                );
            }
        }
    }

    /// The request that the task was last asked to work on, as far as the history tells.
    fn last_request(&self, call: &CallContext) -> RequestContext {
        let history = self.writer.cell().lock().history.clone();
        let follow_up = history
            .iter()
            .filter(|message| message.role() == Role::User)
            .count()
            > 1;
        let message = history
            .into_iter()
            .rev()
            .find(|message| message.role() == Role::User)
            .unwrap_or_default();
        let incoming = Incoming {
            message,
            configuration: None,
            metadata: None,
            call: call.clone(),
            key: None,
            push_configs: Vec::new(),
        };
        self.request(incoming, follow_up)
    }
}

/// The result of a future that may not be there; one that isn't disables its branch of a `select!`.
async fn optional<F: Future>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

/// Puts the ids of the task into a caller's message.
fn name(message: &mut Message, task_id: &Arc<str>, context_id: &Arc<str>) {
    message.task_id = task_id.to_string();
    message.context_id = context_id.to_string();
}

fn extras(incoming: &mut Incoming, task_id: &Arc<str>) -> Extras {
    let configs = std::mem::take(&mut incoming.push_configs).into_iter();
    let push_configs = configs
        .map(|config| TaskPushNotificationConfig {
            task_id: task_id.to_string(),
            ..config
        })
        .collect();
    Extras {
        keys: incoming.key.take().into_iter().collect(),
        push_configs,
    }
}

fn not_cancelable(task_id: &Arc<str>, reason: &str) -> Error {
    Error::new(
        Kind::TaskNotCancelable,
        format!("the task can't be canceled: {reason}"),
    )
    .with("taskId", &**task_id)
}

fn too_long(fault: &Fault) -> Error {
    Error::too_large(format!("{fault}; start a new task in the same context"))
}
