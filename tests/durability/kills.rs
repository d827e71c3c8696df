//! `kill -9`, over and over, at random moments and at fault points, under a fleet of clients that goes on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use a2ad::fault;

use super::check::{End, Report, check};
use super::dump;
use super::fleet::{Fleet, PASSING};
use super::history::{self, Binding, Recorder, What};
use super::process::{LEASE, PATIENCE, Process, Program};
use super::random::Random;

/// A fault point that nobody comes by is given up after this, and the process is killed all the same.
const POINT_TIME_MAX: Duration = Duration::from_secs(60);
/// The latest pass of a fault point at which a process ends.
const PASS_MAX: u64 = 40;
/// The longest that a server runs before a random kill, counted from the first answer that it gives.
const WORK_MS_MAX: u64 = 400;
/// Every so many random kills the server runs beyond a lease, so that it takes over what the one before it left.
const LONG_EVERY: u64 = 4;
/// Whoever ages tasks in the history.
const HARNESS: u32 = u32::MAX;

/// How often, and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub cycles: u64,
    pub clients: u32,
}

/// What a run of kills found.
pub struct Outcome {
    pub report: Report,
    /// How often the process ended where: a fault point's name, or `random`.
    pub kills: BTreeMap<&'static str, u64>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count: u64 = self.kills.values().sum();
        write!(out, "kills {count} {:?}; {}", self.kills, self.report)
    }
}

/// The fault points that clients come by. These have no webhooks: `push::proof` in the tests has, and ends servers at the
/// point that is theirs.
pub fn points() -> Vec<&'static str> {
    let has_clients = |name: &&str| *name != "push_sent_before_mark";
    fault::POINTS.into_iter().filter(has_clients).collect()
}

/// How a cycle is to end.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Random { work_ms: u64 },
    Point { name: &'static str, pass: u64 },
}

impl Plan {
    /// Every other kill is a random one; the fault points take turns.
    fn of_cycle(cycle: u64, random: &mut Random) -> Self {
        if cycle.is_multiple_of(2) {
            let is_long = (cycle / 2) % LONG_EVERY == LONG_EVERY - 1;
            let long_ms = if is_long { LEASE.as_millis() as u64 } else { 0 };
            return Self::Random {
                work_ms: long_ms + random.below(WORK_MS_MAX),
            };
        }
        let points = points();
        let name = points[(cycle / 2) as usize % points.len()];
        let pass = match name {
            // Migrations run once in a process, and nobody knows how much there is to take over or to remove.
            "migration_step" | "lease_acquired" | "prune_batch" => 1,
            // A heartbeat is a quarter of a lease behind the last one.
            "lease_renew" => 1 + random.below(3),
            _ => 1 + random.below(PASS_MAX),
        };
        Self::Point { name, pass }
    }

    /// Needs something that retention removes.
    fn prunes(self) -> bool {
        matches!(self, Self::Point { name, .. } if name == "prune_batch")
    }

    fn variables(self) -> Vec<(&'static str, OsString)> {
        match self {
            Self::Random { .. } => Vec::new(),
            Self::Point { name, pass } => vec![("A2AD_FAULT_POINT", format!("{name}:{pass}").into())],
        }
    }
}

/// Kills the program `cycles` times, lets it run to rest, and checks what clients saw against what is stored.
pub async fn run(program: &Program, scratch: &Path, sizes: Sizes, random: &mut Random) -> Outcome {
    let path = scratch.join("history.jsonl");
    let recorder = Recorder::create(&path);
    let fleet = Fleet::start(sizes.clients, &recorder, random);
    let mut kills = BTreeMap::new();
    for cycle in 0..sizes.cycles {
        let plan = Plan::of_cycle(cycle, random);
        if plan.prunes() {
            age(program, &recorder).await;
        }
        let end = cut(program, plan, &fleet, &recorder).await;
        *kills.entry(end).or_default() += 1;
        if (cycle + 1).is_multiple_of(10) {
            eprintln!("{} kills, {} answers", cycle + 1, recorder.acknowledged());
        }
    }
    let mut server = program.start();
    let address = server.ready().await.expect("the server starts after every kill");
    fleet.point_at(address);
    answers_grow(&recorder).await;
    fleet.finish().await;
    // What still runs is for the checker to tell.
    let _ended = everything_ends(&read_url(program)).await;
    assert!(server.drained().await.success(), "the server drains");
    recorder.finish();
    let dump = dump::read(&read_url(program))
        .await
        .expect("the database can be read");
    Outcome {
        report: check(&history::read(&path), &dump, End::Quiet),
        kills,
    }
}

/// Lets retention have the tasks that it may remove: no time of its own would be short enough, because a task stays for
/// as long as an idempotency key.
async fn age(program: &Program, recorder: &Recorder) {
    let pen = recorder.pen(HARNESS, Binding::Grpc);
    let told = |task| pen.write(What::Aged { task });
    dump::age(&read_url(program), PASSING, told)
        .await
        .expect("the database can be changed");
}

/// One life of the server; where it ended.
async fn cut(program: &Program, plan: Plan, fleet: &Fleet, recorder: &Recorder) -> &'static str {
    let mut server = program.start_with(&plan.variables());
    let Some(address) = server.ready().await else {
        let Plan::Point { name, .. } = plan else {
            panic!("the server does not start again after a kill");
        };
        return name;
    };
    fleet.point_at(address);
    match plan {
        Plan::Random { work_ms } => {
            // From the first answer on, so that a slow start doesn't make this a kill of nothing.
            answers_grow(recorder).await;
            tokio::time::sleep(Duration::from_millis(work_ms)).await;
        }
        Plan::Point { name, .. } => {
            if ends_in_time(&mut server).await {
                return name;
            }
            eprintln!("nobody came by {name} in {POINT_TIME_MAX:?}");
        }
    }
    server.kill();
    "random"
}

async fn ends_in_time(server: &mut Process) -> bool {
    let ended = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while !server.has_ended() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(POINT_TIME_MAX, ended).await.is_ok()
}

/// Waits until the server has answered somebody.
pub async fn answers_grow(recorder: &Recorder) {
    let before = recorder.acknowledged();
    let grown = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while recorder.acknowledged() == before {
            looks.tick().await;
        }
    };
    let grown = tokio::time::timeout(PATIENCE, grown).await;
    grown.expect("a running server answers");
}

/// Waits until nothing runs any more; false if that never comes.
pub async fn everything_ends(url: &str) -> bool {
    let ended = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        while dump::unfinished(url).await.expect("the database can be read") > 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.is_ok()
}

/// How the harness itself opens the database.
pub fn read_url(program: &Program) -> String {
    match program.database_url.strip_prefix("sqlite://") {
        Some(_) => format!("{}?mode=rw", program.database_url),
        None => program.database_url.clone(),
    }
}
