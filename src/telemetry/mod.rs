//! Logging: one subscriber for the process, made of `[log]`.
//!
//! This room owns the form of log lines. It must not know what is logged: a secret is kept out of the lines by its
//! type (`config::Secret`), never by filtering text here. Start at [`init`].

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Why logging can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter has a part that can't be read.
    #[error(
        "log.filter `{filter}` can't be read: {cause}; write a level, or levels by target, like info,a2ad::server=debug"
    )]
    Filter {
        /// The filter as configured.
        filter: String,
        /// The part that is wrong.
        cause: tracing_subscriber::filter::ParseError,
    },
    /// Something in this process logs already.
    #[error("logging is set up already; call telemetry::init once, before anything else that logs")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends this process's events to standard error, so that standard output is left to data.
///
/// A person at a terminal gets readable lines, anything else JSON, unless the configuration says which. Only the
/// configuration decides what is logged; `RUST_LOG` is not read.
pub fn init(log: &Log) -> Result<(), Error> {
    let is_terminal = std::io::stderr().is_terminal();
    if is_json(log.format, is_terminal) {
        json(log, std::io::stderr)?.try_init()?;
    } else {
        let has_colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        human(log, has_colour, std::io::stderr)?.try_init()?;
    }
    Ok(())
}

fn is_json(format: LogFormat, is_terminal: bool) -> bool {
    match format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !is_terminal,
    }
}

/// One JSON object a line: `timestamp`, `level`, `target`, `message`, the event's fields beside them, and its spans.
fn json<W>(log: &Log, writer: W) -> Result<impl Subscriber + Send + Sync + 'static, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(writer);
    Ok(builder
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .finish())
}

/// One line that a person can read.
fn human<W>(log: &Log, has_colour: bool, writer: W) -> Result<impl Subscriber + Send + Sync + 'static, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(writer);
    Ok(builder.with_ansi(has_colour).finish())
}

fn filter(log: &Log) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(&log.filter).map_err(|cause| Error::Filter {
        filter: log.filter.clone(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::{Config, DatabaseUrl, Secret};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn secretive() -> Config {
        let mut config = Config::default();
        config.server.page_token_key = Some(Secret::new("hunter2".to_owned()));
        config.database.url = DatabaseUrl::new("postgres://u:hunter2@db/a2ad");
        config
    }

    #[test]
    fn json_lines_parse_and_show_no_secret() {
        let lines = Lines::default();
        let subscriber = json(&Log::default(), lines.clone()).expect("a subscriber");
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", rpc.method = "SendMessage").entered();
            tracing::info!(task.id = "t-1", config = ?secretive(), "configured \"twice\"\nover");
            tracing::debug!("not asked for");
        });
        let text = lines.text();
        assert!(!text.contains("hunter2"), "{text}");
        let [line] = text.lines().collect::<Vec<_>>()[..] else {
            panic!("one line: {text}")
        };
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "configured \"twice\"\nover");
        assert_eq!(line["task.id"], "t-1");
        assert_eq!(line["spans"][0]["rpc.method"], "SendMessage");
        assert!(
            line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')),
            "{line}"
        );
    }

    #[test]
    fn human_lines_show_no_secret_and_have_colour_on_terminals_only() {
        for has_colour in [false, true] {
            let lines = Lines::default();
            let subscriber = human(&Log::default(), has_colour, lines.clone()).expect("a subscriber");
            tracing::subscriber::with_default(
                subscriber,
                || tracing::info!(config = ?secretive(), "configured"),
            );
            let text = lines.text();
            assert!(text.contains("configured") && !text.contains("hunter2"), "{text}");
            assert_eq!(text.contains('\u{1b}'), has_colour, "{text}");
        }
    }

    #[test]
    fn auto_is_for_people_on_a_terminal_only() {
        assert!(is_json(LogFormat::Auto, false) && !is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Json, true) && !is_json(LogFormat::Human, false));
    }

    #[test]
    fn a_wrong_filter_says_what_to_write() {
        let log = Log {
            filter: "a2ad=loudly".to_owned(),
            ..Log::default()
        };
        let error = init(&log).expect_err("refused").to_string();
        assert!(
            error.contains("a2ad=loudly") && error.contains("info,a2ad::server=debug"),
            "{error}"
        );
    }
}
