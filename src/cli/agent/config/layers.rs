//! Settings as defaults of options, so that they are checked like options and `--help` shows what is in effect.

use clap::builder::OsStr;
use clap::{ArgMatches, Args, FromArgMatches, parser::ValueSource};

use super::settings::{SETTINGS, Setting};
use super::sources::{Source, Sources};

/// The command with what the sources say as the defaults of its options.
pub fn with_defaults(mut command: clap::Command, sources: &Sources) -> clap::Command {
    command = command.mut_args(|arg| {
        let setting = arg.get_long().and_then(Setting::of);
        let Some((setting, (text, _))) = setting.and_then(|one| Some((one, sources.look_up(one)?))) else {
            return arg;
        };
        let values = setting.values(&text).into_iter().map(OsStr::from);
        arg.default_values(values)
    });
    command.mut_subcommands(|inner| with_defaults(inner, sources))
}

/// Which settings stand on the command line, and as what.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<(&'static Setting, Vec<String>)>);

impl Given {
    /// Whether the command line sets this.
    pub fn holds(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// What the command line says for a setting.
    pub fn values(&self, name: &str) -> &[String] {
        let found = self.0.iter().find(|(setting, _)| setting.name == name);
        found.map_or(&[], |(_, values)| values)
    }

    /// What a setting is, and where that comes from.
    pub fn effective(&self, setting: &Setting, sources: &Sources) -> (Option<String>, Source) {
        let given = self.values(setting.name);
        match sources.look_up(setting) {
            _ if !given.is_empty() => (Some(given.join(", ")), Source::Flag),
            Some((value, source)) => (Some(setting.values(&value).join(", ")), source),
            None => (setting.default.map(str::to_owned), Source::Default),
        }
    }

    /// The one of two settings that exclude each other which comes from the higher source; the first at the same height.
    pub fn higher(&self, one: &'static str, other: &'static str, sources: &Sources) -> &'static str {
        let height = |name| {
            let setting = Setting::of(name);
            setting.map_or(0, |one| sources.height(&self.effective(one, sources).1))
        };
        if height(other) > height(one) { other } else { one }
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter_map(|setting| {
            let id = setting.name.replace('-', "_");
            // A command that has no such option is no mistake.
            let known = matches.try_contains_id(&id).ok()?;
            if !known || matches.value_source(&id) != Some(ValueSource::CommandLine) {
                return None;
            }
            let raw = matches.get_raw(&id)?;
            Some((
                setting,
                raw.map(|value| value.to_string_lossy().into_owned()).collect(),
            ))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command
    }
}
