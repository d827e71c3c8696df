//! A caller: it does this and that, gives up now and then, and writes down what it is told.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use a2ad::context::{CallContext, Principal, Scope};
use a2ad::error::{Error, Kind};
use a2ad::task::is_terminal;

use super::world::{Node, World};
use super::{PRINCIPALS, agent};
use crate::support::random::Random;

pub struct Client {
    pub world: Rc<World>,
    pub name: usize,
    pub principal: Principal,
    pub random: Random,
    /// The last event that this caller has of each task.
    pub cursors: BTreeMap<String, u64>,
    /// Push configurations that this caller knows to be there.
    pub pushed: BTreeMap<String, bool>,
    pub sent: usize,
}

/// What a call comes to.
pub enum Told<T> {
    /// An answer, right or wrong.
    Answer(Result<T, Error>),
    /// Nobody knows: UNAVAILABLE, no connection, or no patience.
    Nothing,
}

impl Client {
    pub fn new(world: &Rc<World>, name: usize, random: Random) -> Self {
        Self {
            world: world.clone(),
            name,
            principal: Principal::verified(PRINCIPALS[name % PRINCIPALS.len()]),
            random,
            cursors: BTreeMap::new(),
            pushed: BTreeMap::new(),
            sent: 0,
        }
    }

    pub async fn live(mut self, calls: u64) {
        for _ in 0..calls {
            self.pause(60).await;
            match self.random.below(14) {
                0..=5 => self.send().await,
                6 | 7 => self.get().await,
                8 => self.list().await,
                9 | 10 => self.cancel().await,
                11 | 12 => self.subscribe().await,
                _ => self.push().await,
            }
        }
    }

    pub async fn pause(&mut self, millis_max: u64) {
        let pause = Duration::from_millis(self.random.below(millis_max + 1));
        tokio::time::sleep(pause).await;
    }

    pub fn scope(&self, agent: &str) -> Scope {
        Scope {
            agent: Arc::from(agent),
            owner: self.principal.clone(),
        }
    }

    pub fn any_agent(&mut self) -> &'static str {
        agent::NAMES[self.random.below(2) as usize]
    }

    /// A task that somebody was told of, and whether it is this caller's own.
    pub fn any_task(&mut self) -> Option<(Scope, String, bool)> {
        let owners = self.world.book.borrow().owners.clone();
        let stranger = self.random.chance(5);
        let candidates: Vec<_> = owners
            .into_iter()
            .filter(|(_, scope)| (scope.owner == self.principal) != stranger)
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let (id, scope) = self.random.pick(&candidates).clone();
        Some((scope, id, !stranger))
    }

    /// Calls the server, for as long as this caller has patience.
    pub async fn call<T>(
        &mut self,
        what: &str,
        patience_ms: u64,
        operation: impl AsyncFnOnce(Node, CallContext) -> Result<T, Error>,
    ) -> Told<T> {
        let Some(node) = self.world.node() else {
            self.note(what, "no connection");
            self.pause(40).await;
            return Told::Nothing;
        };
        let call = self.world.call(&self.principal);
        let killed = node.killed.clone();
        let patience = Duration::from_millis(patience_ms);
        let answer = tokio::select! {
            biased;
            () = killed.cancelled() => None,
            answer = tokio::time::timeout(patience, operation(node, call)) => answer.ok(),
        };
        match answer {
            None => {
                self.note(what, "no answer");
                self.world.count("unknown");
                Told::Nothing
            }
            Some(Err(error)) if error.kind == Kind::Unavailable => {
                self.note(what, "unavailable");
                self.world.count("unavailable");
                Told::Nothing
            }
            Some(Err(error)) => {
                self.note(what, &format!("{:?}", error.kind));
                Told::Answer(Err(error))
            }
            Some(Ok(answer)) => {
                self.note(what, "ok");
                Told::Answer(Ok(answer))
            }
        }
    }

    pub fn note(&self, what: &str, outcome: &str) {
        let name = self.name;
        self.world
            .trace
            .note(format_args!("client {name} {what}: {outcome}"));
    }

    /// An error must be one that the situation explains. `target` is the task that was named.
    pub fn judge(&mut self, what: &str, error: &Error, target: Option<(&Scope, &str, bool)>) {
        let world = self.world.clone();
        let right = match (error.kind, target) {
            (Kind::TaskNotFound, Some((.., own))) => !own,
            (_, Some((.., false))) => false,
            (Kind::UnsupportedOperation, Some((scope, id, _))) => is_terminal(world.state(scope, id)),
            // Whoever was cut off learns it by this.
            (Kind::Conflict, _) => {
                world.count("conflicts");
                world.was_cut_off.get()
            }
            (Kind::ResourceExhausted, _) => {
                world.count("refused at a limit");
                true
            }
            _ => false,
        };
        if !right {
            world.blame(format_args!("client {} {what}: {error:?}", self.name));
        }
    }
}
