//! `[log]`: what is logged, and for whom.

use super::schema::{choice, section};

choice! {
    /// The form of log lines.
    pub enum LogFormat {
        /// For people on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One line a person can read.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// Logging to standard error.
    pub struct Log {
        /// Form of the lines: "auto" (people on a terminal, JSON elsewhere), "human" or "json".
        format: LogFormat = LogFormat::Auto;
        /// Which events: a level, and levels for single targets after commas, like "info,a2ad::server=debug". RUST_LOG
        /// is not read, so that there is one place to look.
        filter: String = "info".to_owned();
    }
}
