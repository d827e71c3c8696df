//! Which tasks have a writer in this process, and how to reach it.

use std::pin::pin;
use std::sync::Arc;

use super::command::Command;
use super::sync::{DashMap, Entry, Notify, mpsc};
use crate::context::Scope;
use crate::error::Error;

/// Commands that may wait for a task's writer; callers wait beyond it.
const COMMANDS_MAX: usize = 32;

/// Tasks are kept by scope and id: a stranger who guesses an id gets a place of its own, where there is nothing.
type Key = (Scope, Arc<str>);

/// The running writers.
#[derive(Debug, Default)]
pub(super) struct Registry(Arc<Writers>);

#[derive(Debug, Default)]
struct Writers {
    by_task: DashMap<Key, mpsc::Sender<Command>>,
    emptied: Notify,
}

/// The receiving end of a writer that is registered. However the writer ends, by a panic of ours or by being stopped in
/// the middle, its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Mailbox {
    writers: Arc<Writers>,
    key: Key,
    /// The command that the writer was started for.
    first: Option<Command>,
    commands: mpsc::Receiver<Command>,
}

/// How a writer is reached.
pub(super) enum Route {
    /// It runs.
    Running(mpsc::Sender<Command>),
    /// It does not run; whoever gets the mailbox must run it.
    Start(Mailbox),
}

impl Registry {
    /// The writer of a task, or the mailbox of the one to be started.
    pub(super) fn route(&self, scope: &Scope, task_id: &Arc<str>) -> Route {
        let key = (scope.clone(), task_id.clone());
        match self.0.by_task.entry(key.clone()) {
            Entry::Occupied(place) if !place.get().is_closed() => Route::Running(place.get().clone()),
            Entry::Occupied(mut place) => {
                let (sender, mailbox) = self.mailbox(key);
                place.insert(sender);
                Route::Start(mailbox)
            }
            Entry::Vacant(place) => {
                let (sender, mailbox) = self.mailbox(key);
                place.insert(sender);
                Route::Start(mailbox)
            }
        }
    }

    fn mailbox(&self, key: Key) -> (mpsc::Sender<Command>, Mailbox) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let mailbox = Mailbox {
            writers: self.0.clone(),
            key,
            first: None,
            commands,
        };
        (sender, mailbox)
    }

    /// Brings a command to a task's writer. If none runs, the command is in the mailbox of the one to be started, and
    /// whoever gets that must run it at once: others may have filled it already.
    pub(super) async fn bring(
        &self,
        scope: &Scope,
        task_id: &Arc<str>,
        mut command: Command,
    ) -> Option<Mailbox> {
        loop {
            let sender = match self.route(scope, task_id) {
                Route::Running(sender) => sender,
                Route::Start(mut mailbox) => {
                    mailbox.begin_with(command);
                    return Some(mailbox);
                }
            };
            match sender.send(command).await {
                Ok(()) => return None,
                // The writer has just retired; there is another one now, or none.
                Err(mpsc::error::SendError(returned)) => command = returned,
            }
        }
    }

    /// Refuses what is in a mailbox and on its way there, and gives it up.
    pub(super) async fn refuse(&self, mut mailbox: Mailbox, refusal: &Error) {
        while !self.retire(&mut mailbox) {
            if let Some(command) = mailbox.next().await {
                command.refuse(refusal.clone());
            }
        }
        while let Some(command) = mailbox.next().await {
            command.refuse(refusal.clone());
        }
    }

    /// Gives up a mailbox, unless commands wait in it.
    pub(super) fn retire(&self, mailbox: &mut Mailbox) -> bool {
        if mailbox.first.is_some() || !mailbox.commands.is_empty() {
            return false;
        }
        // Behind this no new sender is handed out; what old ones still send fails, and they ask for a route again.
        self.0
            .by_task
            .remove_if(&mailbox.key, |_, _| mailbox.commands.is_empty());
        mailbox.close();
        true
    }

    /// Waits until no writer runs.
    pub(super) async fn idle(&self) {
        loop {
            let mut emptied = pin!(self.0.emptied.notified());
            // Registered before the look, so that the last writer can't retire in between unnoticed.
            emptied.as_mut().enable();
            if self.0.by_task.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Gives up a mailbox in which commands may wait.
    pub(super) fn abandon(&self, mailbox: &mut Mailbox) {
        self.0.by_task.remove(&mailbox.key);
        mailbox.close();
    }

    /// How many writers run.
    pub(super) fn len(&self) -> usize {
        self.0.by_task.len()
    }
}

impl Writers {
    fn tell_if_empty(&self) {
        if self.by_task.is_empty() {
            self.emptied.notify_waiters();
        }
    }
}

impl Mailbox {
    fn close(&mut self) {
        self.commands.close();
        self.writers.tell_if_empty();
    }

    /// Puts a command in front of all that others send.
    fn begin_with(&mut self, command: Command) {
        self.first = Some(command);
    }

    /// The next command; waits for it. Behind [`Registry::retire`] it gives what was on its way, and then `None`.
    pub(super) async fn next(&mut self) -> Option<Command> {
        match self.first.take() {
            Some(command) => Some(command),
            None => self.commands.recv().await,
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.commands.close();
        // The place may be another writer's by now, whose mailbox is open.
        self.writers
            .by_task
            .remove_if(&self.key, |_, sender| sender.is_closed());
        self.writers.tell_if_empty();
    }
}
