//! The options that every command to an agent takes (a2a-cli specification 7.2).

use std::path::PathBuf;
use std::time::Duration;

use a2ad::config::Secret;
use a2ad::context::Binding;
use clap::{ArgAction, ArgMatches, Args, FromArgMatches};
use http::{HeaderName, HeaderValue};

use super::config::{A2A_VERSION, Given, OUTPUT, POLL_INTERVAL, TIMEOUT};
use super::out::Format;

/// What every command to an agent takes. All of it but --stream and --config may also stand in the environment and in .env files.
#[derive(Args, Clone, Debug)]
pub struct Options {
    // Reads the matches before the others take theirs.
    #[command(flatten)]
    pub given: Given,
    #[command(flatten)]
    pub to: To,
    #[command(flatten)]
    pub credentials: Credentials,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub times: Times,
    /// Read settings from this file instead of the nearest .env
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    end: EndOfHeadings,
}

/// What comes behind these options stands under no heading of theirs in the help.
#[derive(Clone, Copy, Debug, Default)]
struct EndOfHeadings;

impl FromArgMatches for EndOfHeadings {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

impl Args for EndOfHeadings {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.next_help_heading(None::<&str>)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Which agent, and how it is spoken to.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Agent")]
pub struct To {
    /// The agent's card: host:port or origin (the well-known path is appended), URL of a card, or file
    #[arg(short, long, value_name = "REF")]
    pub agent_card: Option<String>,
    /// Use this binding if the card has it: grpc, jsonrpc or http+json; several in the order of preference [default: the card's
    /// order]
    #[arg(long, value_name = "BINDING", value_parser = binding)]
    pub transport: Vec<Binding>,
    /// The protocol version to speak
    #[arg(long, value_name = "VERSION", default_value = A2A_VERSION, value_parser = version)]
    pub a2a_version: String,
    /// A service parameter NAME:VALUE, a header of HTTP or metadata of gRPC; may be given several times
    #[arg(long, value_name = "NAME:VALUE", value_parser = service_parameter, hide_default_value = true)]
    pub svc_param: Vec<(HeaderName, HeaderValue)>,
    /// An extension of the protocol to declare with every call (A2A-Extensions), by its URI; may be given several times
    #[arg(long, value_name = "URI")]
    pub extension: Vec<String>,
    /// CA certificates that the agent's must come from (PEM), instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Take any certificate: for development only, everybody on the way can read and change what is said
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set, value_name = "true|false")]
    pub insecure: bool,
}

/// Who one is. What stands on a command line can be seen by other users of the machine and in the shell's history: the
/// environment (A2ACLI_BEARER, A2ACLI_API_KEY) or a .env file of mode 0600 is the place for secrets.
#[derive(Args, Clone, Debug)]
#[command(
    next_help_heading = "Credentials (other users see arguments: better set A2ACLI_BEARER or A2ACLI_API_KEY)"
)]
pub struct Credentials {
    /// A bearer token
    #[arg(long, value_name = "TOKEN", value_parser = secret, hide_default_value = true)]
    pub bearer: Option<Secret<String>>,
    /// An API key
    #[arg(long, value_name = "KEY", value_parser = secret, hide_default_value = true)]
    pub api_key: Option<Secret<String>>,
    /// A header that a card may ask for the API key in, beside x-api-key and authorization; may be given several times
    #[arg(long, value_name = "NAME", value_parser = header)]
    pub api_key_header: Vec<HeaderName>,
    /// An origin that credentials and service parameters may go to, beside that of --agent-card; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    pub credential_origin: Vec<String>,
}

/// How results look.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// The form of results
    #[arg(short, long, value_enum, value_name = "FORM", default_value = OUTPUT)]
    pub output: Format,
    /// Print events as they happen; with -o json one document a line
    #[arg(long)]
    pub stream: bool,
    /// Print everything there is
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set, value_name = "true|false")]
    pub verbose: bool,
    /// Tell what is done and what goes over the wire, on standard error, without secrets
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set, value_name = "true|false")]
    pub debug: bool,
}

/// How long things may take.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Times (500ms, 2s, 10m, 1h)")]
pub struct Times {
    /// How long the command may take, waiting included; while a file is sent, how long none of it may go out
    #[arg(long, value_name = "TIME", default_value = TIMEOUT, value_parser = duration)]
    pub timeout: Duration,
    /// How often a task is asked for while waiting without a stream
    #[arg(long, value_name = "TIME", default_value = POLL_INTERVAL, value_parser = duration)]
    pub poll_interval: Duration,
}

fn binding(text: &str) -> Result<Binding, String> {
    match &*text.to_ascii_lowercase().replace(['+', '-', '_'], "") {
        "grpc" => Ok(Binding::Grpc),
        "jsonrpc" => Ok(Binding::JsonRpc),
        "httpjson" | "rest" => Ok(Binding::HttpJson),
        _ => Err("write grpc, jsonrpc or http+json".into()),
    }
}

/// Versions before 1.0 are another protocol.
fn version(text: &str) -> Result<String, String> {
    let parts = text.split_once('.');
    let numbers =
        parts.and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    match numbers {
        Some((1.., _)) => Ok(text.to_owned()),
        Some(_) => Err("this program speaks 1.0 and later, and no version before".into()),
        None => Err("write MAJOR.MINOR, for example 1.0".into()),
    }
}

fn service_parameter(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME:VALUE")?;
    let name = header(name.trim())?;
    let value = value.trim();
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("the value holds characters other than visible ASCII ones and blanks".into());
    }
    let mut value =
        HeaderValue::try_from(value).map_err(|_| "the value is not one that a header can have")?;
    // Nobody can tell which of them are credentials.
    value.set_sensitive(true);
    Ok((name, value))
}

/// The name of a header that says nothing about the connection.
pub fn header(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(text).map_err(|_| "the name is not one that a header can have")?;
    if name == "a2a-version" || name.as_str().starts_with("grpc-") || CONNECTION.contains(&name.as_str()) {
        return Err(format!(
            "{name} is not a parameter of the service: the connection itself says it"
        ));
    }
    Ok(name)
}

/// Headers that say something about the connection or the body.
const CONNECTION: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A credential, which stands in a header.
pub fn secret(text: &str) -> Result<Secret<String>, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
        true => Ok(Secret::new(text.to_owned())),
        false => Err("a credential has visible ASCII characters only".into()),
    }
}

/// `500ms`, `2s`, `1m30s`, `1h`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    const HELP: &str = "write a time such as 500ms, 2s, 10m or 1h, more than nothing and at most 1000h";
    const MAX: Duration = Duration::from_secs(1000 * 3600);
    let error = || HELP.to_owned();
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len()
            - rest
                .trim_start_matches(|letter: char| letter.is_ascii_digit())
                .len();
        let number: u32 = rest[..digits].parse().map_err(|_| error())?;
        rest = &rest[digits..];
        let letters = rest.len()
            - rest
                .trim_start_matches(|letter: char| letter.is_ascii_alphabetic())
                .len();
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" | "" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(error()),
        };
        rest = &rest[letters..];
        sum = sum
            .checked_add(unit.checked_mul(number).ok_or_else(error)?)
            .ok_or_else(error)?;
    }
    (sum > Duration::ZERO && sum <= MAX)
        .then_some(sum)
        .ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("2", 2_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "0",
            "0s",
            "s",
            "1d",
            "-1s",
            "1.5s",
            "2 s",
            "99999999999s",
            "1001h",
            "4294967295h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_service_parameter_is_no_header_of_the_connection() {
        let (name, value) = service_parameter("X-Trace-Id: a:b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-trace-id", "a:b"));
        assert!(value.is_sensitive());
        for bad in [
            "x",
            ":v",
            "a b:c",
            "x:a\nb",
            "x:\u{e9}",
            "Host:a",
            "a2a-version:1.0",
            "grpc-timeout:1S",
            "te:x",
        ] {
            assert!(service_parameter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_before_the_first_are_another_protocol() {
        for (text, good) in [
            ("1.0", true),
            ("1.1", true),
            ("2.0", true),
            ("0.3", false),
            ("1", false),
            ("a.b", false),
        ] {
            assert_eq!(version(text).is_ok(), good, "{text}");
        }
    }
}
