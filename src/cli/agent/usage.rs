//! What is wrong with a command line, as a failure like any other.

use std::ffi::OsString;

use a2ad::config::MASK;
use clap::error::{ContextKind, ErrorKind};

use super::config::{Setting, Sources, option};
use super::failure::Failure;
use super::out::{Format, Out};
use super::progress::Progress;
use super::secrets::Secrets;

/// How failures are to look before the command line is understood.
pub fn out(arguments: &[OsString], sources: Option<&Sources>) -> Out {
    let configured = || {
        let (value, _) = sources?.look_up(Setting::of("output")?)?;
        Some(value == "json")
    };
    let is_json = said(arguments).unwrap_or_else(|| configured().unwrap_or(false));
    // No agent has been asked yet.
    let secrets = Secrets::default();
    Out {
        format: if is_json { Format::Json } else { Format::Text },
        is_verbose: false,
        progress: Progress::new(true, secrets.clone()),
        secrets,
    }
}

/// Whether a command line asks for JSON, wherever it says so.
pub fn asks_json(arguments: &[OsString]) -> bool {
    said(arguments).unwrap_or(false)
}

/// Whether JSON is the form of results, where a command line that is not understood says anything of it.
fn said(arguments: &[OsString]) -> Option<bool> {
    let short = arguments.iter().take_while(|argument| *argument != "--");
    let short = short
        .filter_map(|argument| argument.to_str())
        .any(|text| matches!(text, "-ojson" | "-o=json"));
    let long = option(arguments, "--output").or_else(|| option(arguments, "-o"));
    match long {
        _ if short => Some(true),
        Some(value) => Some(value == "json"),
        None => None,
    }
}

/// Whether it is no mistake at all, but a question for help or the version.
pub fn is_question(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// The failure that a mistake is.
pub fn failure(error: &clap::Error, sources: Option<&Sources>) -> Failure {
    let text = without_secret(error, error.render().to_string());
    let text = text.trim_start_matches("error: ");
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".clone_into(&mut message);
    }
    if let Some(origin) = sources.and_then(|sources| origin(error, sources)) {
        message = format!("{message} ({origin})");
    }
    let tips = rest.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let tips: Vec<&str> = tips.collect();
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let hint = match (tips.is_empty(), usage) {
        (false, _) => tips.join("; "),
        (true, Some(usage)) => format!("usage: {usage}"),
        (true, None) => "`a2ad help` lists the commands, --help after a command its options".to_owned(),
    };
    Failure::usage(message).with_hint(hint)
}

/// Which source the bad value of an option comes from, if not from the command line.
fn origin(error: &clap::Error, sources: &Sources) -> Option<String> {
    let setting = setting_of(error)?;
    let bad = error.get(ContextKind::InvalidValue)?.to_string();
    let (value, source) = sources.look_up(setting)?;
    let variable = setting.variable();
    setting
        .values(&value)
        .contains(&bad)
        .then(|| format!("{variable}, {source}"))
}

/// The setting that the error is about, if it is about one.
fn setting_of(error: &clap::Error) -> Option<&'static Setting> {
    let argument = error.get(ContextKind::InvalidArg)?.to_string();
    let name = argument.trim_start_matches('-');
    Setting::of(name.split([' ', '=', '[']).next().unwrap_or_default())
}

/// The text of the error without the value that is not good, where nobody may see it.
fn without_secret(error: &clap::Error, text: String) -> String {
    let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
    match value.filter(|value| !value.is_empty() && setting_of(error).is_some_and(|one| one.is_secret)) {
        Some(value) => text.replace(&value, MASK),
        None => text,
    }
}
