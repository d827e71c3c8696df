//! The settings: options that may also stand in the environment and in files (a2a-cli specification 7.2 and 8.3).

/// What every name in the environment and in files begins with.
pub const PREFIX: &str = "A2ACLI_";

pub const OUTPUT: &str = "text";
pub const TIMEOUT: &str = "10m";
pub const POLL_INTERVAL: &str = "2s";
pub const A2A_VERSION: &str = "1.0";
/// Pages of a list that are asked for.
pub const PAGES_MAX: &str = "1000";
/// Parts of artifacts that are saved as files.
pub const PARTS_MAX: &str = "1000";
/// Bytes of artifacts that are saved: 64 MiB, as much as an answer has at most. Data grows as it is written with indents, so
/// that a task may come to more.
pub const BYTES_MAX: &str = "67108864";

/// How the text of a setting becomes values of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One value.
    Text,
    /// `true` or `false`.
    Switch,
    /// Several values, between which this letter stands.
    List(char),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The long option, without dashes.
    pub name: &'static str,
    pub form: Form,
    /// Never shown.
    pub is_secret: bool,
    /// What holds when nobody says anything.
    pub default: Option<&'static str>,
}

const fn text(name: &'static str, default: Option<&'static str>) -> Setting {
    Setting {
        name,
        form: Form::Text,
        is_secret: false,
        default,
    }
}

const fn secret(name: &'static str, form: Form) -> Setting {
    Setting {
        form,
        is_secret: true,
        ..text(name, None)
    }
}

const fn switch(name: &'static str, default: &'static str) -> Setting {
    Setting {
        form: Form::Switch,
        ..text(name, Some(default))
    }
}

/// All of them. `--stream` is none: what it does to the output has to stand on the command line.
pub const SETTINGS: &[Setting] = &[
    text("agent-card", None),
    Setting {
        form: Form::List(','),
        ..text("transport", None)
    },
    text("a2a-version", Some(A2A_VERSION)),
    secret("bearer", Form::Text),
    secret("api-key", Form::Text),
    Setting {
        form: Form::List(','),
        ..text("api-key-header", None)
    },
    Setting {
        form: Form::List(','),
        ..text("credential-origin", None)
    },
    // A service parameter may carry a credential, and nobody can tell which one does.
    secret("svc-param", Form::List('\n')),
    Setting {
        form: Form::List(','),
        ..text("extension", None)
    },
    text("ca", None),
    text("cert", None),
    text("key", None),
    switch("insecure", "false"),
    text("output", Some(OUTPUT)),
    switch("verbose", "false"),
    switch("debug", "false"),
    text("timeout", Some(TIMEOUT)),
    text("poll-interval", Some(POLL_INTERVAL)),
    switch("wait", "true"),
    switch("async", "false"),
    text("context-id", None),
    text("task-id", None),
    text("metadata", None),
    text("pages-max", Some(PAGES_MAX)),
    text("parts-max", Some(PARTS_MAX)),
    text("bytes-max", Some(BYTES_MAX)),
    secret("webhook-token", Form::Text),
    secret("webhook-credentials", Form::Text),
    text("client-id", None),
    secret("client-secret", Form::Text),
];

impl Setting {
    /// The setting of a long option.
    pub fn of(option: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == option)
    }

    /// Its name in the environment and in files.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The values that a text means, as they would stand on the command line.
    pub fn values(&self, text: &str) -> Vec<String> {
        match self.form {
            Form::Text => vec![text.to_owned()],
            Form::Switch => vec![match text.to_ascii_lowercase().as_str() {
                "1" | "yes" | "on" => "true".to_owned(),
                "0" | "no" | "off" => "false".to_owned(),
                other => other.to_owned(),
            }],
            Form::List(separator) => {
                let values = text.split(separator).map(str::trim);
                values
                    .filter(|value| !value.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
        }
    }
}
