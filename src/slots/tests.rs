//! Slots: nothing is lost, nobody has too many, and owners take turns.

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
    state.free == slots.limits.slots && state.waiting == 0 && state.shares.is_empty() && state.turn.is_empty()
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
