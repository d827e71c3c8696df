//! The machine: its name for the tables, and who runs on which core.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;

/// The core of every measured server.
pub const SERVER_CORE: &str = "0";

/// Moves this process away from the servers' core; says where it runs. Before any thread is started, so that all of
/// them inherit it.
pub fn pin_the_load(wanted: bool) -> Outcome<String> {
    let cores = cores();
    if !wanted || cores < 2 {
        return Ok("Nothing is pinned: the figures below are rougher.".to_owned());
    }
    let others = if cores == 2 {
        "1".to_owned()
    } else {
        format!("1-{}", cores - 1)
    };
    let pid = std::process::id().to_string();
    match Command::new("taskset").args(["-cp", &others, &pid]).output() {
        Ok(output) if output.status.success() => Ok(format!(
            "Servers are pinned to core {SERVER_CORE}, the load generator to {others}."
        )),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
        Err(_) => Ok(
            "Nothing is pinned, for want of taskset (util-linux): the figures below are rougher.".to_owned(),
        ),
    }
}

/// True if servers can be started with `taskset`.
pub fn can_pin() -> bool {
    cores() >= 2 && has("taskset")
}

/// True if a program of util-linux is there.
pub fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The flag with which this program does nothing but [`touch_memory`].
pub const TOUCH_MEMORY: &str = "--touch-memory";

/// Far more than any server takes for itself in one window: it gets what the system finds first.
const TOUCHED_BYTES: usize = 2 << 30;

/// Has the machine hold free memory ready before a window of load. A virtual machine gets memory from its host when it
/// touches it for the first time, and may give it back when it has been free for a while: on the machine of the figures
/// that is fifteen times slower than memory that it has, and is charged to whichever server keeps what it is sent. It
/// helps most windows; in the others the host has been quicker, and p99 shows it (5 ms for 2 MB).
pub fn provide_memory() -> Outcome {
    let status = Command::new(std::env::current_exe()?)
        .arg(TOUCH_MEMORY)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("memory could not be touched: {status}").into())
    }
}

/// Takes memory and writes to all of it; the end of the process gives it back.
pub fn touch_memory() {
    std::hint::black_box(vec![1_u8; TOUCHED_BYTES]);
}

/// Processors, memory, kernel, and how busy the machine is with other things.
pub fn description() -> String {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory_kb: u64 = field("/proc/meminfo", "MemTotal")
        .and_then(|text| number(&text))
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "{} cores of {model}, {:.0} GB, Linux {}; load before the run {load}.",
        cores(),
        memory_kb as f64 / 1e6,
        kernel.trim(),
    )
}

fn cores() -> usize {
    // Not available_parallelism: that is one as soon as this process is pinned to one core.
    fs::read_to_string("/proc/cpuinfo").map_or(1, |text| text.matches("processor\t:").count().max(1))
}

/// The value of the first line that starts with `name`.
pub fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The number at the start of a text like `1234 kB`.
pub fn number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The clock of /proc/PID/stat: user space always sees hundredths of a second on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has used so far, in the kernel as well as outside.
pub fn cpu(pid: &str) -> Outcome<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program, in parentheses, may hold blanks; user and system time are the 12th and 13th field
    // behind it.
    let fields = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
    let mut times = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    let mut next = || times.next().ok_or("a short /proc/PID/stat");
    let ticks = next()?? + next()??;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}
