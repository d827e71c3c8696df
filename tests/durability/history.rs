//! What clients saw: an append-only file of JSON lines, synced to disk.
//!
//! A call is written down before it is sent. What comes back is `ok` or `fail` when the server said so, and `unknown`
//! whenever the client can't tell whether the call took effect: a broken connection, a timeout, UNAVAILABLE.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

/// How a client speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    Grpc,
    JsonRpc,
    HttpJson,
}

impl Binding {
    pub const ALL: [Self; 3] = [Self::Grpc, Self::JsonRpc, Self::HttpJson];
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Nanoseconds since 1970, by the clock that the server's machine has too.
    pub wall_ns: u64,
    /// Microseconds since the recorder began; never goes back.
    pub mono_us: u64,
    pub client: u32,
    pub binding: Binding,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A call is about to be sent. `op` is the attempt's own number.
    Invoke { op: u64, call: Call },
    /// The server answered with a task in this state.
    Ok { op: u64, task: String, state: i32 },
    /// The server refused.
    Fail { op: u64, reason: String },
    /// Nobody knows.
    Unknown { op: u64, cause: String },
    /// An event of a stream.
    Frame(Frame),
    /// The stream ended well: there is nothing to come.
    Ended { op: u64, reader: u64 },
    /// The harness has made an ended task so old that retention may remove it.
    Aged { task: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// `message` is the message's id and the idempotency key, if `keyed`; a retry has the same one.
    Send {
        message: String,
        keyed: bool,
        /// The task that the message continues.
        task: Option<String>,
        /// The reader that follows, if the answer is a stream.
        reader: Option<u64>,
    },
    Cancel {
        task: String,
    },
    Subscribe {
        task: String,
        reader: u64,
        /// The last generation that the reader has seen.
        cursor: Option<u64>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub op: u64,
    /// A reader keeps its number over all its connections.
    pub reader: u64,
    pub task: String,
    pub generation: u64,
    /// The task as it stood, not event number `generation`.
    pub snapshot: bool,
    pub state: Option<i32>,
    /// Of the bytes as they came.
    pub bytes: String,
    /// Of the event's protobuf form, whatever form it came in.
    pub event: String,
}

/// The first half of the SHA-256 of `bytes`, in hex.
pub fn hash(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes a history. Lines that wait are written and synced together; clients don't wait for the disk.
pub struct Recorder {
    lines: mpsc::Sender<String>,
    writer: JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    numbers: AtomicU64,
    acknowledged: AtomicU64,
}

/// A client's end of the recorder.
#[derive(Clone)]
pub struct Pen {
    lines: mpsc::Sender<String>,
    shared: Arc<Shared>,
    pub client: u32,
    pub binding: Binding,
}

impl Recorder {
    /// Begins a history in a new file.
    pub fn create(path: &Path) -> Self {
        let mut file = File::create_new(path).expect("a history begins in a new file");
        let (lines, waiting) = mpsc::channel::<String>();
        let writer = std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let mut text = first;
                text.extend(waiting.try_iter());
                file.write_all(text.as_bytes())
                    .expect("the history can be written");
                file.sync_data().expect("the history can be synced");
            }
        });
        let shared = Shared {
            began: Instant::now(),
            numbers: AtomicU64::new(1),
            acknowledged: AtomicU64::new(0),
        };
        Self {
            lines,
            writer,
            shared: Arc::new(shared),
        }
    }

    pub fn pen(&self, client: u32, binding: Binding) -> Pen {
        Pen {
            lines: self.lines.clone(),
            shared: self.shared.clone(),
            client,
            binding,
        }
    }

    /// How many calls were answered with a task so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends the history once every pen is gone; all of it is on disk then.
    pub fn finish(self) {
        drop(self.lines);
        self.writer.join().expect("the history was written");
    }
}

impl Pen {
    /// A number that nobody else has.
    pub fn number(&self) -> u64 {
        self.shared.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn write(&self, what: What) {
        let is_ok = matches!(what, What::Ok { .. });
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            wall_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            mono_us: u64::try_from(self.shared.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            client: self.client,
            binding: self.binding,
            what,
        };
        let mut line = serde_json::to_string(&record).expect("a record is JSON");
        line.push('\n');
        self.lines.send(line).expect("the recorder outlives its pens");
        if is_ok {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Reads a history back.
pub fn read(path: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(path).expect("the history is there");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
