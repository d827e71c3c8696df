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
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    type Name = &'static str;

    fn slots(slots: usize, queue: usize, queue_per_owner: usize) -> Arc<Slots<Name>> {
        Slots::new(SlotLimits {
            slots,
            per_owner: slots,
            queue,
            queue_per_owner,
        })
    }

    fn queued(slots: &Arc<Slots<Name>>, name: Name) -> Ticket<Name> {
        match slots.enter(&name) {
            Ok(Place::Queued(ticket)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn free(slots: &Arc<Slots<Name>>, name: Name) -> Slot<Name> {
        match slots.enter(&name) {
            Ok(Place::Free(slot)) => slot,
            other => panic!("{other:?}"),
        }
    }

    fn taken(slots: &Arc<Slots<Name>>) -> Slot<Name> {
        free(slots, "first")
    }

    fn is_empty(slots: &Arc<Slots<Name>>) -> bool {
        let state = slots.lock();
        state.free == slots.limits.slots
            && state.waiting == 0
            && state.shares.is_empty()
            && state.turn.is_empty()
    }

    #[test]
    fn owners_are_served_in_turn() {
        let slots = slots(1, 10_000, 10_000);
        let mut slot = Some(taken(&slots));
        let mut line: Vec<(Name, Ticket<Name>)> =
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
        assert!(is_empty(&slots));
    }

    #[test]
    fn the_line_and_each_owners_part_of_it_are_bounded() {
        let slots = slots(1, 3, 2);
        let _slot = taken(&slots);
        let line = [queued(&slots, "a"), queued(&slots, "a")];
        assert_eq!(slots.enter(&"a").unwrap_err(), Full::Owner);
        let _other = queued(&slots, "b");
        assert_eq!(slots.enter(&"c").unwrap_err(), Full::Queue);
        assert!(matches!(slots.enter_anyway(&"c"), Place::Queued(_)));
        drop(line);
        let _again = queued(&slots, "a");
    }

    #[test]
    fn who_leaves_the_line_loses_nothing_for_others() {
        let slots = slots(1, 9, 9);
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

    /// A fault once: an owner whose work never ends had all slots for ever.
    #[test]
    fn an_owner_leaves_some_to_the_others() {
        let slots = Slots::new(SlotLimits {
            slots: 4,
            per_owner: 3,
            queue: 9,
            queue_per_owner: 9,
        });
        let mut endless: Vec<_> = (0..3).map(|_| free(&slots, "greedy")).collect();
        let mut waits = queued(&slots, "greedy");
        let modest = free(&slots, "modest");
        let mut second = queued(&slots, "modest");
        assert!(waits.ready().now_or_never().is_none() && second.ready().now_or_never().is_none());
        // The one that gets free is not for the greedy one, though it came first.
        drop(modest);
        assert!(waits.ready().now_or_never().is_none());
        let modest = second.ready().now_or_never().expect("a slot");
        drop((modest, second));
        assert!(waits.ready().now_or_never().is_none(), "one stays free");
        drop(free(&slots, "shy"));
        drop(endless.pop());
        endless.push(waits.ready().now_or_never().expect("its own"));
        drop((endless, waits));
        assert!(is_empty(&slots));
    }

    /// Whoever is at its limit gets its turn when a slot of its own is free, behind those that waited meanwhile.
    #[test]
    fn turns_are_kept_at_the_limit() {
        let slots = Slots::new(SlotLimits {
            slots: 2,
            per_owner: 1,
            queue: 9,
            queue_per_owner: 9,
        });
        let (a, b) = (free(&slots, "a"), free(&slots, "b"));
        let (mut next_a, left_a, mut c) = (queued(&slots, "a"), queued(&slots, "a"), queued(&slots, "c"));
        drop(a);
        let c_has = c.ready().now_or_never().expect("it waited for any slot");
        assert!(next_a.ready().now_or_never().is_none());
        drop(left_a);
        drop(b);
        let a = next_a.ready().now_or_never().expect("its turn");
        drop((a, c_has, next_a, c));
        assert!(is_empty(&slots));
    }

    /// Whatever is taken, queued, given back and left, in any order: nothing is lost, nobody has too many, and nobody
    /// waits who could begin.
    #[test]
    fn slots_are_neither_lost_nor_made() {
        const NAMES: [Name; 3] = ["a", "b", "c"];
        let slots = Slots::new(SlotLimits {
            slots: 4,
            per_owner: 2,
            queue: 8,
            queue_per_owner: 5,
        });
        let (mut held, mut line): (Vec<Slot<Name>>, Vec<Ticket<Name>>) = Default::default();
        let mut random = 7_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = (random >> 33) as usize;
            match pick % 4 {
                0 | 1 => match slots.enter(&NAMES[pick / 4 % 3]) {
                    Ok(Place::Free(slot)) => held.push(slot),
                    Ok(Place::Queued(ticket)) => line.push(ticket),
                    Err(_) => {}
                },
                2 if !held.is_empty() => drop(held.swap_remove(pick / 4 % held.len())),
                3 if !line.is_empty() => drop(line.swap_remove(pick / 4 % line.len())),
                _ => {}
            }
            line.retain_mut(|ticket| match ticket.ready().now_or_never() {
                Some(slot) => {
                    held.push(slot);
                    false
                }
                None => true,
            });
            let state = slots.lock();
            assert_eq!(state.free + held.len(), 4);
            assert_eq!(state.waiting, line.len());
            for share in state.shares.values() {
                assert!(share.held <= 2);
                assert!(state.free == 0 || share.held == 2 || share.line.is_empty());
            }
        }
        drop((held, line));
        assert!(is_empty(&slots));
    }
}
