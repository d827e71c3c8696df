//! What the agent is to do: a turn, or a place in line for one, and the messages behind it.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::places::Waiting;
use crate::agent::RequestContext;
use crate::execution::turn::Turn;

/// There is a turn, or it waits in line, or neither; never both.
#[derive(Default)]
pub(super) struct Work {
    pub(super) turn: Option<Turn>,
    /// There is no turn, because the agent runs as many as it may.
    pub(super) waiting: Option<Waiting>,
    /// The turn may not run before what is pending is committed: a send with an idempotency key, an attempt that counts.
    pub(super) gated: bool,
    /// What the agent gets when its present turn ends.
    pub(super) inbox: VecDeque<RequestContext>,
    /// When an execution has taken too long.
    pub(super) deadline: Option<Instant>,
    /// When an execution must end whose task has ended.
    pub(super) grace: Option<Instant>,
}

impl Work {
    /// A message that comes now has to wait for its turn.
    pub(super) fn is_busy(&self) -> bool {
        self.turn.is_some() || self.waiting.is_some()
    }

    /// There is something to do, now or later.
    pub(super) fn is_any(&self) -> bool {
        self.is_busy() || !self.inbox.is_empty()
    }

    pub(super) fn may_run(&self) -> bool {
        self.turn.is_some() && !self.gated
    }

    /// The turn is over, and its slot goes to whoever waits for one.
    pub(super) fn end_turn(&mut self) {
        self.turn = None;
        self.deadline = None;
        self.grace = None;
    }

    /// Nothing is to be done any more.
    pub(super) fn end(&mut self) {
        self.end_turn();
        self.waiting = None;
        self.inbox.clear();
    }
}
