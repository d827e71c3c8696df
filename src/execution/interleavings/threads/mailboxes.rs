//! The mailboxes of writers: threads that bring commands to a task, and its writer, which comes and goes.
//!
//! Every caller has to be answered, every message to be in the log once, and one end to win.

use std::sync::Arc;

use shuttle::thread;

use super::super::now;
use super::explore::{every, noticed, random};
use super::small::{ALONE, Ending, Staging, World};
use super::sync::step;
use crate::audit::Author;
use crate::error::Kind;
use crate::execution::command::Wait;
use crate::pb::{Task, TaskState};
use crate::repository::TaskRepository as _;
use crate::repository::conformance::{Sketch, message, scope};

type Play = fn(&Arc<World>);

/// A scene in which each play has a thread of its own. Behind it no writer runs, and all of them have come to their end.
fn scene(staging: Staging, plays: &'static [Play]) -> impl Fn() + Send + Sync + 'static {
    let create = Sketch::new(&scope("ada"), "t").create();
    move || {
        let world = World::begin(staging, create.clone());
        let callers: Vec<_> = plays
            .iter()
            .map(|play| {
                let world = world.clone();
                thread::spawn(move || play(&world))
            })
            .collect();
        for caller in callers {
            caller.join().expect("the play is over");
        }
        world.end();
    }
}

fn tell_once(world: &Arc<World>, text: &str) {
    let told = world.tell(text, Wait::Accepted);
    told.expect("a command is not lost").expect("the task goes on");
    assert_eq!(world.heard(text), 1);
}

const TELL_A: Play = |world| tell_once(world, "a");
const TELL_B: Play = |world| tell_once(world, "b");
const TELL_C: Play = |world| tell_once(world, "c");
const TELL_A_AND_C: Play = |world| ["a", "c"].iter().for_each(|text| tell_once(world, text));

/// Whoever is told by nobody whether it was heard asks again.
fn insist(world: &Arc<World>, text: &str) {
    if world.tell(text, Wait::Accepted).is_none() {
        tell_once(world, text);
    }
    assert_eq!(world.heard(text), 1);
}

/// Runs the agent, which completes the task unless somebody cancels it.
const GO: Play = |world| {
    let outcome = world.tell("go", Wait::Settled).expect("a command is not lost");
    let end = state(&world.look().expect("the task is there").task);
    match outcome {
        Ok(task) => assert_eq!(state(&task), end),
        Err(error) => assert_eq!(
            (error.kind, end),
            (Kind::UnsupportedOperation, TaskState::Canceled)
        ),
    }
};

const CANCEL: Play = |world| {
    let outcome = world.cancel().expect("a command is not lost");
    let end = state(&world.look().expect("the task is there").task);
    match outcome {
        Ok(task) => assert_eq!((state(&task), end), (TaskState::Canceled, TaskState::Canceled)),
        Err(error) => assert_eq!((error.kind, end), (Kind::TaskNotCancelable, TaskState::Completed)),
    }
};

fn state(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map(|status| status.state())
        .unwrap_or_default()
}

const SEEK: Play = |world| {
    let outcome = world.tell("a", Wait::Accepted).expect("a command is not lost");
    assert_eq!(
        outcome.expect_err("there is no such task").kind,
        Kind::TaskNotFound
    );
};

/// Another process, which may be quicker or not.
const ELSEWHERE: Play = |world| {
    let mut writer = world.load().expect("the task is there");
    writer
        .receive(message("elsewhere"), &Author::Runtime)
        .expect("the task goes on");
    step();
    let write = writer.take_write(None).expect("there is something to write");
    let written = now(world.repository.commit(write)).is_ok();
    assert_eq!(world.heard("elsewhere"), usize::from(written));
};

/// A message to a task that another process may take over: it is in the task if its sender was told so, and else not.
fn try_tell(world: &Arc<World>, text: &str) {
    let outcome = world.tell(text, Wait::Accepted).expect("a command is not lost");
    assert_eq!(world.heard(text), usize::from(outcome.is_ok()));
    if let Err(error) = outcome {
        assert_eq!(error.kind, Kind::Conflict);
    }
}

const TRY_A: Play = |world| try_tell(world, "a");
const TRY_B: Play = |world| try_tell(world, "b");

#[test]
fn every_command_is_served_once_by_one_writer_at_a_time() {
    let all = every(2, scene(ALONE, &[TELL_A, TELL_B]));
    let plays: &[Play] = &[TELL_A, TELL_B, TELL_C];
    let (more, drawn) = (every(2, scene(ALONE, plays)), random(3_000, scene(ALONE, plays)));
    println!("{all} interleavings of two senders, {more} of three, and {drawn} at random");
}

#[test]
fn everybody_who_asks_for_an_unknown_task_is_refused() {
    let unknown = Staging {
        task_id: "unknown",
        ..ALONE
    };
    let all = every(2, scene(unknown, &[SEEK, SEEK]));
    let drawn = random(1_000, scene(unknown, &[SEEK, SEEK, SEEK]));
    println!("{all} interleavings of two who seek, and {drawn} of three at random");
}

#[test]
fn of_a_cancel_and_a_completion_one_wins_and_both_callers_see_it() {
    let all = every(2, scene(ALONE, &[GO, CANCEL]));
    let drawn = random(3_000, scene(ALONE, &[GO, CANCEL, CANCEL]));
    println!("{all} interleavings of a completion and a cancel, and {drawn} with two cancels at random");
}

#[test]
fn a_writer_that_has_lost_its_task_leaves_its_callers_to_the_next() {
    let shared = Staging {
        shared: true,
        ..ALONE
    };
    let all = every(2, scene(shared, &[TRY_A, ELSEWHERE]));
    let drawn = random(3_000, scene(shared, &[TRY_A, ELSEWHERE, TRY_B]));
    println!("{all} interleavings with another process, and {drawn} with two senders at random");
}

#[test]
fn the_place_of_a_writer_that_was_stopped_is_free() {
    let stopped = Staging {
        ending: Ending::Stop,
        ..ALONE
    };
    let all = every(
        2,
        scene(stopped, &[|world| insist(world, "a"), |world| insist(world, "b")]),
    );
    println!("{all} interleavings of two senders, one of whose writers is stopped");
}

/// The controls: how writers must not end.
#[test]
fn writers_that_end_in_the_wrong_way_are_noticed() {
    for (ending, fault) in [
        (Ending::Unchecked, "a command is not lost"),
        (Ending::Forgetful, "a command is not lost"),
        (Ending::Overtime, "two writers at once"),
    ] {
        let staging = Staging { ending, ..ALONE };
        let (count, text) = noticed(2, scene(staging, &[TELL_A_AND_C, TELL_B]));
        println!("{ending:?}: interleaving {count}: {text}");
        assert!(text.contains(fault), "{text}");
    }
}
