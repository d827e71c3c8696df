//! The database server is killed and comes back, under a server of ours that stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::check::{End, check};
use super::dump;
use super::fleet::Fleet;
use super::history::{self, Recorder};
use super::kills::{Outcome, Sizes, answers_grow, everything_ends, read_url};
use super::process::{PATIENCE, Program};
use super::random::Random;

/// The longest that the database works before it is killed, and that it stays away.
const WORK_MS_MAX: u64 = 400;
const AWAY_MS_MAX: u64 = 300;

/// Kills PostgreSQL, whose files lie in `data`, so many times; `resume` starts it
/// again, or says that it could not.
pub async fn run(
    program: &Program,
    scratch: &Path,
    sizes: Sizes,
    (data, resume): (&Path, impl Fn() -> bool),
    random: &mut Random,
) -> Outcome {
    let path = scratch.join("outages.jsonl");
    let recorder = Recorder::create(&path);
    let fleet = Fleet::start(sizes.clients, &recorder, random);
    let mut server = program.start();
    let address = server.ready().await.expect("the server starts");
    fleet.point_at(address);
    for _ in 0..sizes.cycles {
        answers_grow(&recorder).await;
        tokio::time::sleep(Duration::from_millis(random.below(WORK_MS_MAX))).await;
        kill_postgres(data);
        tokio::time::sleep(Duration::from_millis(random.below(AWAY_MS_MAX))).await;
        let started = Instant::now();
        while !resume() {
            // Meanwhile somebody's outgoing connection may have got the port, which it gives back soon.
            assert!(started.elapsed() < PATIENCE, "PostgreSQL does not start again");
        }
    }
    answers_grow(&recorder).await;
    assert!(!server.has_ended(), "the server outlives its database");
    fleet.finish().await;
    let url = read_url(program);
    // What still runs is for the checker to tell.
    let _ended = everything_ends(&url).await;
    assert!(server.drained().await.success(), "the server drains");
    recorder.finish();
    let dump = dump::read(&url).await.expect("the database can be read");
    Outcome {
        report: check(&history::read(&path), &dump, End::Quiet),
        kills: BTreeMap::from([("postgres", sizes.cycles)]),
    }
}

/// `kill -9` for the postmaster and all its children, and waits until they are gone: a new postmaster refuses to
/// start while they are not.
fn kill_postgres(data: &Path) {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).expect("PostgreSQL runs");
    let postmaster: u32 = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .expect("the first line is a process id");
    // Stopped first, so that it makes no more children while they are counted.
    signal("-STOP", &[postmaster]);
    let mut doomed = children(postmaster);
    doomed.push(postmaster);
    signal("-KILL", &doomed);
    let started = Instant::now();
    while doomed.iter().any(|process| parent(*process).is_some()) {
        assert!(started.elapsed() < PATIENCE, "PostgreSQL can't be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    // In a container without an init process the dead are never forgotten, and a new postmaster takes a zombie for a
    // running one.
    std::fs::remove_file(data.join("postmaster.pid")).expect("a killed PostgreSQL leaves its file");
}

fn signal(name: &str, processes: &[u32]) {
    let status = Command::new("kill")
        .arg(name)
        .args(processes.iter().map(u32::to_string))
        // A child may have ended by itself meanwhile.
        .stderr(Stdio::null())
        .status();
    status.expect("kill is a command everywhere");
}

fn children(of: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("processes can be listed");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|process| parent(*process) == Some(of))
        .collect()
}

/// The parent of a process that still runs; one that only waits to be forgotten does not.
fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may have blanks.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}
