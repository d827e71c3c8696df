//! What happened in a simulation, line by line, and a digest of it.

use std::fmt::Arguments;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

#[derive(Clone, Debug)]
pub struct Trace {
    lines: Arc<Mutex<Vec<String>>>,
    began: Instant,
}

impl Trace {
    pub fn begin() -> Self {
        Self {
            lines: Arc::default(),
            began: Instant::now(),
        }
    }

    /// Adds a line with the simulated time.
    pub fn note(&self, what: Arguments<'_>) {
        let at = self.began.elapsed().as_millis();
        self.lines.lock().unwrap().push(format!("{at:>8} {what}"));
    }

    pub fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub fn digest(&self) -> u64 {
        // Its keys are constants, so the digest is the same in every process.
        let mut hasher = DefaultHasher::new();
        self.lines.lock().unwrap().hash(&mut hasher);
        hasher.finish()
    }
}
