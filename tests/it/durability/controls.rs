//! The checker's controls: each doctors a sound history or database, and the checker has to name the rule that broke.

use crate::harness::check::{End, Report, Rule, check};
use crate::harness::dump::{Dump, Event, KeyRow, LogRow, TaskRow};
use crate::harness::history::{Binding, Call, Frame, Record, What};

const WORKING: i32 = 2;
const COMPLETED: i32 = 3;
const CANCELED: i32 = 5;

/// A history and a database that fit each other.
#[derive(Clone)]
struct World {
    history: Vec<Record>,
    dump: Dump,
}

fn record(binding: Binding, what: What) -> Record {
    Record {
        wall_ns: 0,
        mono_us: 0,
        client: 0,
        binding,
        what,
    }
}

fn frame(op: u64, reader: u64, generation: u64, state: Option<i32>, binding: Binding) -> What {
    let event = format!("event {generation}");
    What::Frame(Frame {
        op,
        reader,
        task: "a".to_owned(),
        generation,
        snapshot: false,
        state,
        bytes: match binding {
            Binding::Grpc => event.clone(),
            _ => format!("json {generation}"),
        },
        event,
    })
}

fn event(generation: u64, state: Option<i32>, messages: &[&str]) -> Event {
    Event {
        hash: format!("event {generation}"),
        state,
        messages: messages.iter().map(|id| (*id).to_owned()).collect(),
        number: None,
        tells_of_death: false,
    }
}

/// Task `a` of message `m` has four events. Reader 1 sent it over gRPC and was cut off behind the second; it resumed
/// over HTTP+JSON. Reader 2 watched from a snapshot on. Task `b` of message `n` was sent without a key.
fn sound() -> World {
    let send = Call::Send {
        message: "m".to_owned(),
        keyed: true,
        task: None,
        reader: Some(1),
    };
    let resume = Call::Subscribe {
        task: "a".to_owned(),
        reader: 1,
        cursor: Some(2),
    };
    let watch = Call::Subscribe {
        task: "a".to_owned(),
        reader: 2,
        cursor: None,
    };
    let once = Call::Send {
        message: "n".to_owned(),
        keyed: false,
        task: None,
        reader: None,
    };
    let cause = "cut".to_owned();
    let invoke = |op, call| What::Invoke { op, call };
    let snapshot = Frame {
        op: 12,
        reader: 2,
        task: "a".to_owned(),
        generation: 3,
        snapshot: true,
        state: Some(WORKING),
        bytes: "snapshot".to_owned(),
        event: "snapshot".to_owned(),
    };
    let grpc = [
        invoke(10, send),
        frame(10, 1, 1, Some(1), Binding::Grpc),
        frame(10, 1, 2, Some(WORKING), Binding::Grpc),
        What::Unknown { op: 10, cause },
        invoke(12, watch),
        What::Frame(snapshot),
        frame(12, 2, 4, Some(COMPLETED), Binding::Grpc),
        What::Ended { op: 12, reader: 2 },
        invoke(13, once),
        What::Ok {
            op: 13,
            task: "b".to_owned(),
            state: COMPLETED,
        },
    ];
    let json = [
        invoke(11, resume),
        frame(11, 1, 3, None, Binding::HttpJson),
        frame(11, 1, 4, Some(COMPLETED), Binding::HttpJson),
        What::Ended { op: 11, reader: 1 },
    ];
    let grpc = grpc.into_iter().map(|what| record(Binding::Grpc, what));
    let json = json.into_iter().map(|what| record(Binding::HttpJson, what));
    World {
        history: grpc.chain(json).collect(),
        dump: dump(),
    }
}

fn dump() -> Dump {
    let task = |id: &str, generation, epoch| TaskRow {
        id: id.to_owned(),
        state: COMPLETED,
        generation,
        epoch,
        attempt: 1,
    };
    let row = |task: &str, first, epoch, events: Vec<Event>| LogRow {
        task: task.to_owned(),
        first,
        last: first + events.len() as u64 - 1,
        epoch,
        events,
    };
    Dump {
        tasks: vec![task("a", 4, 2), task("b", 1, 1)],
        log: vec![
            row("a", 1, 1, vec![event(1, Some(1), &["m"])]),
            row("a", 2, 1, vec![event(2, Some(WORKING), &[]), event(3, None, &[])]),
            row("a", 4, 2, vec![event(4, Some(COMPLETED), &[])]),
            row("b", 1, 1, vec![event(1, Some(COMPLETED), &["n"])]),
        ],
        keys: vec![KeyRow {
            key: "m".to_owned(),
            task: "a".to_owned(),
        }],
    }
}

impl World {
    fn check(&self) -> Report {
        check(&self.history, &self.dump, End::Quiet)
    }

    fn frame(&mut self, reader: u64, generation: u64) -> &mut Frame {
        self.history
            .iter_mut()
            .find_map(|record| match &mut record.what {
                What::Frame(frame) if (frame.reader, frame.generation) == (reader, generation) => Some(frame),
                _ => None,
            })
            .expect("the frame is there")
    }

    fn without_frame(&mut self, reader: u64, generation: u64) {
        let is_it = |what: &What| matches!(what, What::Frame(frame) if (frame.reader, frame.generation) == (reader, generation));
        let at = self.history.iter().position(|record| is_it(&record.what));
        self.history.remove(at.expect("the frame is there"));
    }

    fn twice(&mut self, reader: u64, generation: u64) {
        let frame = self.frame(reader, generation).clone();
        let at = self
            .history
            .iter()
            .position(|record| record.what == What::Frame(frame.clone()));
        let at = at.expect("the frame is there");
        let again = self.history[at].clone();
        self.history.insert(at, again);
    }

    fn answer(&mut self, what: What) {
        self.history.push(record(Binding::JsonRpc, what));
    }
}

/// Doctors a sound world and expects the checker to name `rule`.
fn caught(rule: Rule, what: &str, doctor: impl FnOnce(&mut World)) {
    let mut world = sound();
    doctor(&mut world);
    let report = world.check();
    assert!(
        report.broken(rule) > 0,
        "{what}: {rule:?} was not noticed: {:#?}",
        report.problems
    );
}

#[test]
fn a_sound_world_has_no_problems() {
    let report = sound().check();
    assert_eq!(report.problems, []);
    assert_eq!((report.acknowledged_messages, report.unknown_calls), (2, 1));
    assert_eq!((report.tasks, report.events, report.frames), (2, 5, 6));
    assert_eq!((report.readers, report.resumed, report.ended), (2, 1, 2));
}

#[test]
fn an_unknown_call_may_have_taken_effect_once_or_not_at_all() {
    let mut world = sound();
    let call = Call::Send {
        message: "o".to_owned(),
        keyed: false,
        task: None,
        reader: None,
    };
    world.answer(What::Invoke { op: 20, call });
    let cause = "cut".to_owned();
    world.answer(What::Unknown { op: 20, cause });
    assert_eq!(world.check().problems, []);
    world.dump.log[3].events[0].messages.push("o".to_owned());
    assert_eq!(world.check().problems, []);
    world.dump.log[2].events[0].messages.push("o".to_owned());
    assert_eq!(world.check().broken(Rule::OnceAtMost), 1);
}

#[test]
fn lost_work_is_noticed() {
    caught(Rule::AcknowledgedIsStored, "a lost task", |world| {
        world.dump.tasks.pop();
        world.dump.log.pop();
    });
    caught(Rule::AcknowledgedIsStored, "a lost last event", |world| {
        world.dump.log.remove(2);
        world.dump.tasks[0].generation = 3;
        world.dump.tasks[0].state = WORKING;
    });
    caught(Rule::AcknowledgedIsStored, "a lost message", |world| {
        world.dump.log[3].events[0].messages.clear();
    });
    caught(Rule::AcknowledgedIsStored, "a state that never was", |world| {
        let task = "b".to_owned();
        world.answer(What::Ok {
            op: 13,
            task,
            state: WORKING,
        });
    });
}

#[test]
fn doubled_work_is_noticed() {
    caught(Rule::OnceAtMost, "a second task of one key", |world| {
        world.dump.log[3].events[0].messages.push("m".to_owned());
    });
    caught(Rule::OnceAtMost, "a message twice in one task", |world| {
        world.dump.log[2].events[0].messages.push("m".to_owned());
    });
    caught(Rule::OnceAtMost, "two answers to one key", |world| {
        let task = "b".to_owned();
        world.answer(What::Ok {
            op: 10,
            task,
            state: COMPLETED,
        });
    });
    caught(Rule::OnceAtMost, "a key that leads elsewhere", |world| {
        world.dump.keys[0].task = "b".to_owned();
    });
}

#[test]
fn a_wrong_refusal_is_noticed() {
    let refusal = |op, reason: &str| What::Fail {
        op,
        reason: reason.to_owned(),
    };
    caught(Rule::RefusedIsRefused, "a refused send", |world| {
        world.answer(refusal(13, "INTERNAL"));
    });
    caught(Rule::RefusedIsRefused, "a refused cursor", |world| {
        world.answer(refusal(11, "INVALID_PARAMS"));
    });
    caught(
        Rule::RefusedIsRefused,
        "a cancel that is refused because it succeeded",
        |world| {
            let task = "b".to_owned();
            world.dump.tasks[1].state = CANCELED;
            world.answer(What::Invoke {
                op: 30,
                call: Call::Cancel { task },
            });
            world.answer(refusal(30, "TASK_NOT_CANCELABLE"));
        },
    );
}

#[test]
fn damaged_logs_are_noticed() {
    caught(Rule::LogIsDense, "a missing row", |world| {
        drop(world.dump.log.remove(1))
    });
    caught(Rule::LogIsDense, "a missing first row", |world| {
        drop(world.dump.log.remove(0))
    });
    caught(Rule::LogIsDense, "a missing last row", |world| {
        drop(world.dump.log.remove(2))
    });
    caught(Rule::LogIsDense, "no log", |world| drop(world.dump.log.pop()));
    caught(Rule::LogIsDense, "no task", |world| drop(world.dump.tasks.pop()));
    caught(Rule::LogIsDense, "a row with a hole", |world| {
        world.dump.log[1].events.pop();
    });
    caught(Rule::LogIsDense, "a row twice", |world| {
        let row = world.dump.log[1].clone();
        world.dump.log.insert(1, row);
    });
    caught(Rule::LogIsDense, "a task ahead of its log", |world| {
        world.dump.tasks[0].generation += 1
    });
    caught(Rule::LogIsDense, "a state that the log doesn't say", |world| {
        world.dump.tasks[0].state = CANCELED;
    });
}

#[test]
fn a_second_end_is_noticed() {
    caught(Rule::OneTerminalState, "two terminal states", |world| {
        world.dump.log[1].events[0].state = Some(CANCELED);
    });
    caught(Rule::OneTerminalState, "an event behind the end", |world| {
        world.dump.log[3].events.push(event(2, None, &[]));
    });
    caught(Rule::OneTerminalState, "another end than was told", |world| {
        let task = "b".to_owned();
        world.answer(What::Ok {
            op: 13,
            task,
            state: CANCELED,
        });
    });
}

#[test]
fn a_stale_epoch_is_noticed() {
    caught(Rule::EpochNeverFalls, "an old writer's row", |world| {
        world.dump.log[2].epoch = 0
    });
    caught(Rule::EpochNeverFalls, "a task behind its log", |world| {
        world.dump.tasks[0].epoch = 1
    });
}

#[test]
fn differing_streams_are_noticed() {
    caught(Rule::StreamsAgree, "another event than the log's", |world| {
        world.frame(1, 3).event = "other".to_owned();
    });
    caught(
        Rule::StreamsAgree,
        "other bytes on gRPC than the log's",
        |world| {
            world.frame(2, 4).bytes = "other".to_owned();
        },
    );
    caught(Rule::StreamsAgree, "a snapshot of another state", |world| {
        world.frame(2, 3).state = Some(COMPLETED);
    });
    caught(Rule::StreamsAgree, "a stream that nobody asked for", |world| {
        world.frame(2, 4).op = 99;
    });
    caught(
        Rule::AcknowledgedIsStored,
        "an event that is in no log",
        |world| {
            world.frame(1, 4).generation = 5;
        },
    );
}

#[test]
fn broken_cursors_are_noticed() {
    caught(Rule::CursorContinues, "a lost event", |world| {
        world.without_frame(1, 3)
    });
    caught(Rule::CursorContinues, "a lost first event", |world| {
        world.without_frame(1, 1)
    });
    caught(Rule::CursorContinues, "a lost last event", |world| {
        world.without_frame(1, 4)
    });
    caught(Rule::CursorContinues, "an event twice", |world| world.twice(1, 3));
    caught(Rule::CursorContinues, "a snapshot in the middle", |world| {
        world.frame(1, 3).snapshot = true;
    });
    caught(Rule::CursorContinues, "another task's event", |world| {
        world.frame(2, 4).task = "b".to_owned();
    });
    caught(Rule::CursorContinues, "a reader that never ended", |world| {
        world.history.pop();
    });
}

/// Task `b`, which nobody streamed, counted these numbers in its one event and before.
fn counted(world: &mut World, numbers: &[u64]) {
    let count = |number: &u64| Event {
        number: Some(*number),
        ..event(1, None, &[])
    };
    world.dump.log[3].events.splice(0..0, numbers.iter().map(count));
    world.dump.log[3].last += numbers.len() as u64;
    world.dump.tasks[1].generation += numbers.len() as u64;
    world.dump.tasks[1].attempt = 3;
}

#[test]
fn a_restart_that_does_not_go_on_is_noticed() {
    let mut world = sound();
    counted(&mut world, &[1, 2, 3]);
    let report = world.check();
    assert_eq!(report.problems, []);
    assert_eq!((report.restarts, report.taken_over), (2, 2));
    for (what, numbers) in [
        ("a number twice", [1, 1, 2]),
        ("a new beginning", [1, 2, 1]),
        ("a number left out", [1, 3, 4]),
        ("a beginning left out", [2, 3, 4]),
    ] {
        caught(Rule::RestartGoesOn, what, |world| counted(world, &numbers));
    }
}

/// Task `b` was made old.
fn aged() -> World {
    let mut world = sound();
    let task = "b".to_owned();
    world.answer(What::Aged { task });
    world.dump.keys.push(KeyRow {
        key: "n".to_owned(),
        task: "b".to_owned(),
    });
    world
}

#[test]
fn what_is_old_may_go_as_a_whole_and_not_in_parts() {
    assert_eq!(aged().check().problems, [], "it may stay too");
    let mut world = aged();
    world.dump.tasks.pop();
    assert!(world.check().broken(Rule::LogIsDense) > 0, "a log without a task");
    world.dump.log.pop();
    assert!(world.check().broken(Rule::OnceAtMost) > 0, "a key without a task");
    world.dump.keys.pop();
    let report = world.check();
    assert_eq!((report.problems, report.pruned), (Vec::new(), 1));
    let mut world = aged();
    world.dump.log.pop();
    assert!(world.check().broken(Rule::LogIsDense) > 0, "a task without a log");
    let mut world = aged();
    let old = |row: &TaskRow| row.id == "a";
    world.dump.tasks.retain(|row| !old(row));
    world.dump.log.retain(|row| row.task != "a");
    assert!(
        world.check().broken(Rule::AcknowledgedIsStored) > 0,
        "another task"
    );
}

#[test]
fn a_task_that_runs_for_ever_is_noticed() {
    caught(Rule::EverythingEnds, "a task without a writer", |world| {
        world.dump.tasks[1].state = WORKING;
        world.dump.log[3].events[0].state = Some(WORKING);
    });
}
