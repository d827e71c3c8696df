//! Slots for work that many owners want done at once, and who waits for one.
//!
//! An owner has a bounded number of them, so that one whose work never ends leaves some to the others. Whoever finds none
//! stands in line, behind others of the same owner only: a slot that gets free goes to the owners in turn, so that one
//! with a thousand tasks in line delays another one's first by one turn.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What tells owners apart.
pub(crate) trait Owner: Clone + Eq + Hash {}

impl<K: Clone + Eq + Hash> Owner for K {}

/// How many there are of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotLimits {
    /// Slots; one at least.
    pub(crate) slots: usize,
    /// Slots that one owner may have; one at least.
    pub(crate) per_owner: usize,
    /// Who may wait in line.
    pub(crate) queue: usize,
    /// Who of one owner may.
    pub(crate) queue_per_owner: usize,
}

/// The slots of one kind of work.
#[derive(Debug)]
pub(crate) struct Slots<K: Owner> {
    state: Mutex<State<K>>,
    limits: SlotLimits,
}

#[derive(Debug)]
struct State<K: Owner> {
    /// Slots that nobody has; while there is one, only owners wait who have as many as they may.
    free: usize,
    waiting: usize,
    /// Everybody who has a slot or waits for one.
    shares: HashMap<K, Share<K>>,
    /// The owners who wait and may have one more slot, next one first.
    turn: VecDeque<K>,
    numbered: u64,
}

#[derive(Debug)]
struct Share<K: Owner> {
    held: usize,
    line: VecDeque<Waiter<K>>,
}

#[derive(Debug)]
struct Waiter<K: Owner> {
    number: u64,
    give: oneshot::Sender<Slot<K>>,
}

/// The right to do one piece of work. It is free again when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slot<K: Owner> {
    _held: Arc<Held<K>>,
}

#[derive(Debug)]
struct Held<K: Owner> {
    slots: Arc<Slots<K>>,
    owner: K,
}

/// A place in line; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Ticket<K: Owner> {
    slots: Arc<Slots<K>>,
    owner: K,
    number: u64,
    receive: oneshot::Receiver<Slot<K>>,
}

/// What somebody gets who wants to work.
#[derive(Debug)]
pub(crate) enum Place<K: Owner> {
    /// It may begin now.
    Free(Slot<K>),
    /// It may begin when its turn comes.
    Queued(Ticket<K>),
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The line is as long as it may get.
    Queue,
    /// The owner's part of the line is.
    Owner,
}

impl<K: Owner> Slots<K> {
    pub(crate) fn new(limits: SlotLimits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: limits.slots.max(1),
                waiting: 0,
                shares: HashMap::new(),
                turn: VecDeque::new(),
                numbered: 0,
            }),
            limits: SlotLimits {
                per_owner: limits.per_owner.max(1),
                ..limits
            },
        })
    }

    /// A slot, or a place in line while there is room.
    pub(crate) fn enter(self: &Arc<Self>, owner: &K) -> Result<Place<K>, Full> {
        let mut state = self.lock();
        if !state.may_begin(owner, self.limits.per_owner) {
            if state.waiting >= self.limits.queue {
                return Err(Full::Queue);
            }
            if state.shares.get(owner).map_or(0, |share| share.line.len()) >= self.limits.queue_per_owner {
                return Err(Full::Owner);
            }
        }
        Ok(self.place(&mut state, owner))
    }

    /// A slot, or a place in line however long it is: for work that has been accepted already.
    pub(crate) fn enter_anyway(self: &Arc<Self>, owner: &K) -> Place<K> {
        self.place(&mut self.lock(), owner)
    }

    fn place(self: &Arc<Self>, state: &mut State<K>, owner: &K) -> Place<K> {
        if state.may_begin(owner, self.limits.per_owner) {
            state.free -= 1;
            state.share(owner).held += 1;
            return Place::Free(self.slot(owner.clone()));
        }
        let (give, receive) = oneshot::channel();
        let number = state.push(owner, give, self.limits.per_owner);
        Place::Queued(Ticket {
            slots: self.clone(),
            owner: owner.clone(),
            number,
            receive,
        })
    }

    fn slot(self: &Arc<Self>, owner: K) -> Slot<K> {
        let slots = self.clone();
        Slot {
            _held: Arc::new(Held { slots, owner }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Owner> State<K> {
    /// Whoever waits longer has no slot free, or as many as it may.
    fn may_begin(&self, owner: &K, per_owner: usize) -> bool {
        self.free > 0 && self.shares.get(owner).is_none_or(|share| share.held < per_owner)
    }

    fn share(&mut self, owner: &K) -> &mut Share<K> {
        self.shares.entry(owner.clone()).or_insert_with(|| Share {
            held: 0,
            line: VecDeque::new(),
        })
    }

    fn push(&mut self, owner: &K, give: oneshot::Sender<Slot<K>>, per_owner: usize) -> u64 {
        self.numbered += 1;
        self.waiting += 1;
        let number = self.numbered;
        let share = self.share(owner);
        share.line.push_back(Waiter { number, give });
        if share.line.len() == 1 && share.held < per_owner {
            self.turn.push_back(owner.clone());
        }
        number
    }

    /// A slot of this owner is free again; who gets it, if anybody may.
    fn release(&mut self, owner: &K, per_owner: usize) -> Option<(K, Waiter<K>)> {
        let share = self.share(owner);
        share.held -= 1;
        if share.line.is_empty() {
            self.forget_if_gone(owner);
        } else if share.held + 1 == per_owner {
            self.turn.push_back(owner.clone());
        }
        let next = self.pop(per_owner);
        self.free += usize::from(next.is_none());
        next
    }

    /// The first in line of the owner whose turn it is; that owner goes to the end, if it may have more.
    fn pop(&mut self, per_owner: usize) -> Option<(K, Waiter<K>)> {
        let owner = self.turn.pop_front()?;
        let share = self.share(&owner);
        let waiter = share.line.pop_front()?;
        share.held += 1;
        if !share.line.is_empty() && share.held < per_owner {
            self.turn.push_back(owner.clone());
        }
        self.waiting -= 1;
        Some((owner, waiter))
    }

    fn remove(&mut self, owner: &K, number: u64) {
        let Some(share) = self.shares.get_mut(owner) else {
            return;
        };
        let before = share.line.len();
        share.line.retain(|waiter| waiter.number != number);
        let left = before - share.line.len();
        self.waiting -= left;
        if left > 0 && share.line.is_empty() {
            self.turn.retain(|other| other != owner);
            self.forget_if_gone(owner);
        }
    }

    fn forget_if_gone(&mut self, owner: &K) {
        if let Some(share) = self.shares.get(owner)
            && share.held == 0
            && share.line.is_empty()
        {
            self.shares.remove(owner);
        }
    }
}

impl<K: Owner> Ticket<K> {
    /// Waits for the slot. Safe to cancel.
    pub(crate) async fn ready(&mut self) -> Slot<K> {
        match (&mut self.receive).await {
            Ok(slot) => slot,
            // The ticket itself keeps the line alive that holds the other end.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<K: Owner> Drop for Ticket<K> {
    fn drop(&mut self) {
        // A slot that was given already goes on to the next one with the channel.
        self.slots.lock().remove(&self.owner, self.number);
    }
}

impl<K: Owner> Drop for Held<K> {
    fn drop(&mut self) {
        let per_owner = self.slots.limits.per_owner;
        let next = self.slots.lock().release(&self.owner, per_owner);
        if let Some((owner, waiter)) = next {
            // Who has just left the line does not take it; dropped, it goes on to the next one.
            drop(waiter.give.send(self.slots.slot(owner)));
        }
    }
}

#[cfg(test)]
mod tests;
