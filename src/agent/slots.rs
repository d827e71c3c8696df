//! The executions that an agent may run at once, and who waits for one.
//!
//! Whoever finds none free stands in line, behind others of the same owner only: a slot that gets free goes to the
//! owners in turn, so that one with a thousand tasks in line delays another one's first by one turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::context::Principal;

/// The slots of one agent.
#[derive(Debug)]
pub(crate) struct Slots {
    state: Mutex<State>,
    queue_max: usize,
    queue_per_owner_max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Slots that nobody has; while there is one, nobody waits.
    free: usize,
    waiting: usize,
    lines: HashMap<Principal, VecDeque<Waiter>>,
    /// The owners with a line, next one first.
    turn: VecDeque<Principal>,
    numbered: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    give: oneshot::Sender<Slot>,
}

/// The right to run the agent once. It is free again when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held(Arc<Slots>);

/// A place in line; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Ticket {
    slots: Arc<Slots>,
    owner: Principal,
    number: u64,
    receive: oneshot::Receiver<Slot>,
}

/// What somebody gets who wants to run the agent.
#[derive(Debug)]
pub(crate) enum Place {
    /// It may run now.
    Free(Slot),
    /// It may run when its turn comes.
    Queued(Ticket),
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The line is as long as it may get.
    Queue,
    /// The owner's part of the line is.
    Owner,
}

impl Slots {
    pub(crate) fn new(executions_max: usize, queue_max: usize, queue_per_owner_max: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: executions_max.max(1),
                ..State::default()
            }),
            queue_max,
            queue_per_owner_max,
        })
    }

    /// A slot, or a place in line while there is room.
    pub(crate) fn enter(self: &Arc<Self>, owner: &Principal) -> Result<Place, Full> {
        let mut state = self.lock();
        if state.free == 0 {
            if state.waiting >= self.queue_max {
                return Err(Full::Queue);
            }
            if state.lines.get(owner).map_or(0, VecDeque::len) >= self.queue_per_owner_max {
                return Err(Full::Owner);
            }
        }
        Ok(self.place(&mut state, owner))
    }

    /// A slot, or a place in line however long it is: for work that has been accepted already.
    pub(crate) fn enter_anyway(self: &Arc<Self>, owner: &Principal) -> Place {
        self.place(&mut self.lock(), owner)
    }

    fn place(self: &Arc<Self>, state: &mut State, owner: &Principal) -> Place {
        if state.free > 0 {
            state.free -= 1;
            return Place::Free(self.slot());
        }
        let (give, receive) = oneshot::channel();
        let number = state.push(owner, give);
        Place::Queued(Ticket {
            slots: self.clone(),
            owner: owner.clone(),
            number,
            receive,
        })
    }

    fn slot(self: &Arc<Self>) -> Slot {
        Slot {
            _held: Arc::new(Held(self.clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, owner: &Principal, give: oneshot::Sender<Slot>) -> u64 {
        self.numbered += 1;
        self.waiting += 1;
        let line = self.lines.entry(owner.clone()).or_default();
        if line.is_empty() {
            self.turn.push_back(owner.clone());
        }
        line.push_back(Waiter {
            number: self.numbered,
            give,
        });
        self.numbered
    }

    /// The first in line of the owner whose turn it is; that owner goes to the end.
    fn pop(&mut self) -> Option<Waiter> {
        let owner = self.turn.pop_front()?;
        let line = self.lines.get_mut(&owner)?;
        let waiter = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&owner);
        } else {
            self.turn.push_back(owner);
        }
        self.waiting -= 1;
        waiter
    }

    fn remove(&mut self, owner: &Principal, number: u64) {
        let Some(line) = self.lines.get_mut(owner) else {
            return;
        };
        let before = line.len();
        line.retain(|waiter| waiter.number != number);
        self.waiting -= before - line.len();
        if line.is_empty() {
            self.lines.remove(owner);
            self.turn.retain(|other| other != owner);
        }
    }
}

impl Ticket {
    /// Waits for the slot. Safe to cancel.
    pub(crate) async fn ready(&mut self) -> Slot {
        match (&mut self.receive).await {
            Ok(slot) => slot,
            // The ticket itself keeps the line alive that holds the other end.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // A slot that was given already goes on to the next one with the channel.
        self.slots.lock().remove(&self.owner, self.number);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.pop();
            state.free += usize::from(next.is_none());
            next
        };
        if let Some(waiter) = next {
            // Who has just left the line does not take it; dropped, it goes on to the next one.
            drop(waiter.give.send(self.0.slot()));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn owner(name: &str) -> Principal {
        Principal::verified(name)
    }

    fn queued(slots: &Arc<Slots>, name: &str) -> Ticket {
        match slots.enter(&owner(name)) {
            Ok(Place::Queued(ticket)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn taken(slots: &Arc<Slots>) -> Slot {
        match slots.enter(&owner("first")) {
            Ok(Place::Free(slot)) => slot,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn owners_are_served_in_turn() {
        let slots = Slots::new(1, 10_000, 10_000);
        let mut slot = Some(taken(&slots));
        let mut line: Vec<(&str, Ticket)> =
            (0..1_000).map(|_| ("greedy", queued(&slots, "greedy"))).collect();
        line.push(("modest", queued(&slots, "modest")));
        line.push(("modest", queued(&slots, "modest")));
        let mut served = Vec::new();
        while !line.is_empty() {
            drop(slot.take());
            let ready = line.iter_mut().enumerate().find_map(|(place, (name, ticket))| {
                let slot = ticket.ready().now_or_never()?;
                Some((place, *name, slot))
            });
            let (place, name, given) = ready.expect("a free slot is given to somebody");
            slot = Some(given);
            line.remove(place);
            served.push(name);
        }
        assert_eq!(served[..5], ["greedy", "modest", "greedy", "modest", "greedy"]);
        assert_eq!(served.len(), 1_002);
        drop(slot);
        let state = slots.lock();
        assert_eq!((state.free, state.waiting), (1, 0));
        assert!(state.lines.is_empty() && state.turn.is_empty());
    }

    #[test]
    fn the_line_and_each_owners_part_of_it_are_bounded() {
        let slots = Slots::new(1, 3, 2);
        let _slot = taken(&slots);
        let line = [queued(&slots, "a"), queued(&slots, "a")];
        assert_eq!(slots.enter(&owner("a")).unwrap_err(), Full::Owner);
        let _other = queued(&slots, "b");
        assert_eq!(slots.enter(&owner("c")).unwrap_err(), Full::Queue);
        assert!(matches!(slots.enter_anyway(&owner("c")), Place::Queued(_)));
        drop(line);
        let _again = queued(&slots, "a");
    }

    #[test]
    fn who_leaves_the_line_loses_nothing_for_others() {
        let slots = Slots::new(1, 9, 9);
        let slot = taken(&slots);
        let (left, mut given, mut stays) = (queued(&slots, "a"), queued(&slots, "a"), queued(&slots, "b"));
        drop(left);
        drop(slot);
        // Its turn has come, but it leaves before it looks.
        assert!(stays.ready().now_or_never().is_none());
        let slot = given.ready().now_or_never();
        drop((slot, given));
        let slot = stays.ready().now_or_never().expect("the next one in line");
        let clone = slot.clone();
        drop((slot, stays));
        assert_eq!(slots.lock().free, 0, "a clone holds it still");
        drop(clone);
        assert_eq!(slots.lock().free, 1);
    }
}
