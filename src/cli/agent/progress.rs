//! What goes on, for somebody who looks at a terminal. It is drawn on standard error; elsewhere nothing is.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::page::one_line;
use super::secrets::Secrets;

/// How often the sign turns.
const TICK: Duration = Duration::from_millis(120);
/// The line while something is waited for.
const WAITING: &str = "{spinner} {msg} {elapsed}";
/// The line while bytes go out.
const MOVING: &str = "{spinner} {msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";

/// A line that says what is waited for. Clones are the same line.
#[derive(Clone, Debug)]
pub struct Progress(Option<ProgressBar>, Secrets);

impl Progress {
    /// A line without these secrets, unless nobody would see it or `is_quiet`.
    pub fn new(is_quiet: bool, secrets: Secrets) -> Self {
        let is_seen = !is_quiet && std::io::stderr().is_terminal();
        let bar = is_seen.then(|| {
            let bar = ProgressBar::new_spinner();
            set(&bar, WAITING);
            bar
        });
        Self(bar, secrets)
    }

    /// Says what is waited for now. What agents say steers no terminal and repeats no secret.
    pub fn say(&self, text: String) {
        if let Some(bar) = &self.0 {
            if bar.length().is_some() {
                bar.unset_length();
                set(bar, WAITING);
            }
            bar.set_message(one_line(&self.1.hidden(&text)));
            bar.enable_steady_tick(TICK);
        }
    }

    /// Shows how much has gone out of what takes long: `done` of `total` bytes.
    pub fn bytes(&self, text: &str, done: u64, total: u64) {
        if let Some(bar) = &self.0 {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.reset_eta();
                set(bar, MOVING);
                bar.set_message(one_line(text));
                bar.enable_steady_tick(TICK);
            }
            bar.set_position(done);
        }
    }

    /// Writes something else; the line makes room for it.
    pub fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn set(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

#[cfg(test)]
impl Progress {
    /// The line of a test.
    pub fn on(bar: ProgressBar) -> Self {
        Self(Some(bar), Secrets::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_steers_no_terminal() {
        let bar = ProgressBar::hidden();
        let secrets = Secrets::default();
        secrets.learn("s3cret");
        Progress(Some(bar.clone()), secrets).say("task \u{1b}[2J\ns3cret is WORKING".to_owned());
        assert_eq!(bar.message(), "task \\u{1b}[2J\\n*** is WORKING");
        bar.finish_and_clear();
    }
}
