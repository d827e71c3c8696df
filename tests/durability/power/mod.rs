//! Power cuts: a run is traced, disks as they may be after a cut are made from the trace, and each is opened and
//! checked against what clients had been told by then.

pub mod disk;
pub mod trace;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use a2ad::repository::TaskRepository as _;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::shutdown::Shutdown;
use sea_orm::{ConnectionTrait as _, Database, DbErr, Statement};

use self::disk::{Disk, Loss};
use self::trace::{Deed, Step};
use super::check::{End, Report, Rule, check};
use super::dump::{self, Dump};
use super::fleet::Fleet;
use super::history::{self, Call, Record, Recorder, What};
use super::process::Program;
use super::random::Random;

const SHIM: &str = include_str!("shim.c");
const DATABASE: &str = "a2ad.db";
/// Under load a run may take a while to get its acknowledgements.
const RUN_TIME_MAX: Duration = Duration::from_secs(120);

/// A traced run of the server.
pub struct Run {
    steps: Vec<Step>,
    history: Vec<Record>,
    /// The step with which each task's id was first said.
    said: HashMap<String, usize>,
}

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The run ends behind so many answers.
    pub answers: u64,
    pub clients: u32,
    pub cuts: usize,
    /// Of the cuts, every so many is also opened by the real program, which has to bring all tasks to an end.
    pub program_every: usize,
}

/// What the cuts found.
#[derive(Debug, Default)]
pub struct Outcome {
    pub cuts: usize,
    /// Cuts that really could lose something: bytes that were written and not synced.
    pub risky: usize,
    /// Cuts in the first opening, before anything was acknowledged.
    pub early: usize,
    /// Cuts behind a checkpoint's writes to the database file, before their sync.
    pub in_checkpoint: usize,
    /// Acknowledged messages, summed over the cuts.
    pub acknowledged: usize,
    /// How often the real program opened what was left.
    pub programs: usize,
    /// Acknowledged things that were gone, summed over the cuts.
    pub lost: usize,
    /// A sentence for everything that is wrong.
    pub problems: Vec<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "power cuts {} ({} with unsynced bytes, {} in the first opening, {} in a checkpoint), opened by the program \
             {}; acknowledged messages over all cuts {}: lost {}; all problems {}",
            self.cuts,
            self.risky,
            self.early,
            self.in_checkpoint,
            self.programs,
            self.acknowledged,
            self.lost,
            self.problems.len()
        )
    }
}

/// Runs the server on a new SQLite database in `scratch` under a shim that traces it, with clients, and kills it.
/// `synchronous` replaces FULL, for the control.
pub async fn record(
    binary: &Path,
    scratch: &Path,
    sizes: Sizes,
    synchronous: Option<&str>,
    random: &mut Random,
) -> Run {
    let scratch = scratch.canonicalize().expect("the scratch folder is there");
    let data = scratch.join("data");
    std::fs::create_dir(&data).expect("the scratch folder is new");
    let (trace, history) = (scratch.join("trace"), scratch.join("history.jsonl"));
    let mut variables: Vec<(&str, OsString)> = vec![
        ("LD_PRELOAD", shim(&scratch).into()),
        ("A2AD_TRACE_FILE", trace.clone().into()),
        ("A2AD_TRACE_ROOT", data.clone().into()),
    ];
    variables.extend(synchronous.map(|level| ("A2AD_FAULT_SYNCHRONOUS", level.into())));
    let recorder = Recorder::create(&history);
    let fleet = Fleet::start(sizes.clients, &recorder, random);
    let mut server = program(binary, &data).start_with(&variables);
    let address = server.ready().await.expect("the server starts under the shim");
    fleet.point_at(address);
    let enough = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while recorder.acknowledged() < sizes.answers {
            looks.tick().await;
        }
    };
    let enough = tokio::time::timeout(RUN_TIME_MAX, enough).await;
    enough.expect("the traced server answers");
    server.kill();
    fleet.abandon().await;
    recorder.finish();
    let steps = trace::read(&trace);
    Run {
        said: trace::first_said(&steps),
        history: history::read(&history),
        steps,
    }
}

fn program(binary: &Path, data: &Path) -> Program {
    Program {
        binary: binary.to_owned(),
        dir: data.to_owned(),
        database_url: format!("sqlite://{}", data.join(DATABASE).display()),
    }
}

/// Compiles the shim. Rust needs a C compiler to link, so there is one.
fn shim(scratch: &Path) -> PathBuf {
    let (source, library) = (scratch.join("shim.c"), scratch.join("shim.so"));
    std::fs::write(&source, SHIM).expect("the scratch folder can be written to");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .expect("cc is installed");
    assert!(status.success(), "the shim does not compile");
    library
}

/// Cuts the power at `sizes.cuts` moments of a run and checks what is left.
pub async fn cut(run: &Run, binary: &Path, scratch: &Path, sizes: Sizes, random: &mut Random) -> Outcome {
    let mut outcome = Outcome::default();
    let mut disk = Disk::default();
    let mut taken = 0;
    for (number, at) in run.moments(sizes.cuts, random).into_iter().enumerate() {
        run.steps[taken..at].iter().for_each(|step| disk.take(step));
        taken = at;
        let loss = Loss::ALL[number % Loss::ALL.len()];
        let data = scratch.join(format!("cut-{number}"));
        materialise(&disk.after_cut(loss, random), &data);
        let history = run.told_before(at);
        let name = format!("cut {number} at step {at} of {}, {loss:?}", run.steps.len());
        let report = opened(&data, &history, &name, &mut outcome).await;
        outcome.cuts += 1;
        outcome.risky += usize::from(disk.at_risk() > 0);
        outcome.early += usize::from(report.acknowledged_messages == 0);
        outcome.in_checkpoint += usize::from(disk.is_at_risk(DATABASE) && report.acknowledged_messages > 0);
        if number % sizes.program_every == sizes.program_every - 1 {
            outcome.programs += 1;
            run_on(binary, &data, &history, &name, &mut outcome).await;
        }
        std::fs::remove_dir_all(&data).expect("a cut can be removed");
    }
    outcome
}

fn materialise(files: &BTreeMap<String, Vec<u8>>, data: &Path) {
    std::fs::create_dir(data).expect("each cut has a folder of its own");
    for (path, content) in files {
        let name = Path::new(path).file_name().expect("a file has a name");
        std::fs::write(data.join(name), content).expect("the folder can be written to");
    }
}

/// Opens what is left by the server's own code, and checks it.
async fn opened(data: &Path, history: &[Record], name: &str, outcome: &mut Outcome) -> Report {
    let path = data.join(DATABASE);
    let shutdown = Shutdown::new();
    match SeaOrmRepository::open_sqlite(&path, &DatabaseSettings::default(), &shutdown).await {
        Ok(repository) => repository.close().await,
        Err(error) => outcome.problems.push(format!("{name}: does not open: {error}")),
    }
    let url = format!("sqlite://{}?mode=rw", path.display());
    if let Err(error) = integrity(&url).await {
        outcome.problems.push(format!("{name}: {error}"));
    }
    let report = judged(&url, history, name, outcome).await;
    outcome.acknowledged += report.acknowledged_messages;
    report
}

async fn judged(url: &str, history: &[Record], name: &str, outcome: &mut Outcome) -> Report {
    let dump = match dump::read(url).await {
        Ok(dump) => dump,
        Err(error) => {
            outcome.problems.push(format!("{name}: can't be read: {error}"));
            Dump::default()
        }
    };
    let report = check(history, &dump, End::Cut);
    outcome.lost += report.broken(Rule::AcknowledgedIsStored);
    let problems = report.problems.iter();
    outcome
        .problems
        .extend(problems.map(|problem| format!("{name}: {:?}: {}", problem.rule, problem.text)));
    report
}

/// SQLite's own opinion.
async fn integrity(url: &str) -> Result<(), DbErr> {
    let connection = Database::connect(url).await?;
    let ask = Statement::from_string(connection.get_database_backend(), "PRAGMA integrity_check");
    let rows = connection.query_all_raw(ask).await?;
    connection.close().await?;
    let words: Vec<String> = rows
        .iter()
        .map(|row| row.try_get("", "integrity_check"))
        .collect::<Result<_, _>>()?;
    match words.as_slice() {
        [word] if word == "ok" => Ok(()),
        _ => Err(DbErr::Custom(words.join("; "))),
    }
}

/// The real program takes up what is left, and nothing keeps running for ever.
async fn run_on(binary: &Path, data: &Path, history: &[Record], name: &str, outcome: &mut Outcome) {
    let program = program(binary, data);
    let url = super::kills::read_url(&program);
    let mut server = program.start();
    if server.ready().await.is_none() {
        outcome
            .problems
            .push(format!("{name}: the program does not start"));
        return;
    }
    if !super::kills::everything_ends(&url).await {
        outcome.problems.push(format!("{name}: tasks run for ever"));
    }
    if !server.drained().await.success() {
        outcome
            .problems
            .push(format!("{name}: the program does not drain"));
    }
    judged(&url, history, name, outcome).await;
}

impl Run {
    /// Moments to cut at, in order. Half of them are right behind an acknowledgement, where most is at stake.
    fn moments(&self, count: usize, random: &mut Random) -> Vec<usize> {
        let mut acknowledgements: Vec<usize> = self.said.values().map(|step| step + 1).collect();
        acknowledgements.sort_unstable();
        let is_file = |step: &Step| !matches!(step.what, Deed::Say { .. });
        let files: Vec<usize> = (1..=self.steps.len())
            .filter(|at| is_file(&self.steps[at - 1]))
            .collect();
        let mut moments: Vec<usize> = (0..count)
            .map(|number| match number % 2 {
                0 => *random.pick(&acknowledgements),
                _ => *random.pick(&files),
            })
            .collect();
        // The first opening and checkpoints are short; without a share of their own they would hardly be hit.
        let (opening, later) = files.split_at(files.partition_point(|at| *at < acknowledgements[0]));
        let is_database = |at: &&usize| {
            let deed = &self.steps[**at - 1].what;
            matches!(deed, Deed::Write { path, .. } if path.ends_with(DATABASE))
        };
        let checkpoints: Vec<usize> = later.iter().filter(is_database).copied().collect();
        assert!(!checkpoints.is_empty(), "the run is too short for a checkpoint");
        let share = count / 8;
        for (index, moment) in moments.iter_mut().take(2 * share).enumerate() {
            *moment = *random.pick(if index < share { opening } else { &checkpoints });
        }
        moments.sort_unstable();
        moments
    }

    /// What clients had been told before step `at`. That a task is there counts from the very step that said so;
    /// everything else from when the client wrote it down, which is a little later than the server said it.
    fn told_before(&self, at: usize) -> Vec<Record> {
        let now_ns = self.steps[at - 1].wall_ns;
        let creations: HashSet<u64> = self
            .history
            .iter()
            .filter_map(|record| match &record.what {
                What::Invoke {
                    op,
                    call: Call::Send { task: None, .. },
                } => Some(*op),
                _ => None,
            })
            .collect();
        let was_said = |what: &What| match what {
            What::Ok { op, task, .. } if creations.contains(op) => {
                self.said.get(task).is_some_and(|step| *step < at)
            }
            _ => false,
        };
        self.history
            .iter()
            .filter(|record| record.wall_ns < now_ns || was_said(&record.what))
            .cloned()
            .collect()
    }
}
