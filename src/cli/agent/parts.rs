//! The parts of a message, in the order in which they stand on the command line (a2a-cli specification 10.2).

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use a2ad::client::upload::{FileContent, Uploads};
use a2ad::pb::{Message, Part, part};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use super::failure::Failure;
use super::progress::Progress;
use super::upload::Shown;
use super::value;

/// The most bytes that are read into memory: of data, and of what has no length before it is read. An agent takes less.
const READ_BYTES_MAX: u64 = 64 << 20;

/// What each option of a part makes of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    File,
    Data,
}

/// One part as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    kind: Kind,
    value: String,
    media_type: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Parts(Vec<Wanted>);

impl Parts {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads what they name, all of it.
    pub fn whole(&self) -> Result<Vec<Part>, Failure> {
        self.check()?;
        self.0.iter().map(Wanted::read).collect()
    }

    /// Puts them into a message. Files are read when they are sent.
    pub async fn put_into(&self, message: &mut Message, progress: &Progress) -> Result<Uploads, Failure> {
        self.check()?;
        let mut uploads = Uploads::default();
        for wanted in &self.0 {
            match wanted.upload().await? {
                Some((part, file)) => uploads.attach(message, part, Shown::new(file, progress)),
                None => message.parts.push(wanted.read()?),
            }
        }
        Ok(uploads)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Err(Failure::usage("there is nothing to send")
                .with_hint("write the text of the message behind `a2ad send`, or --text, --file or --data"));
        }
        let is_stdin = |wanted: &&Wanted| wanted.kind == Kind::Data && wanted.value == "-";
        if self.0.iter().filter(is_stdin).count() > 1 {
            return Err(Failure::usage(
                "--data - reads all of standard input; it can stand there once",
            ));
        }
        Ok(())
    }
}

impl Wanted {
    /// The part of a file that is read when it is sent; `None` for what is read now.
    async fn upload(&self) -> Result<Option<(Part, FileContent)>, Failure> {
        let Some(path) = self.local() else {
            return Ok(None);
        };
        // What has no length, such as a pipe, has to be read before it is known; so have the files of /proc, which say that
        // they are empty, and of /sys, which say another one.
        let metadata = tokio::fs::metadata(path).await;
        let Some(length) = metadata
            .ok()
            .filter(|file| file.is_file() && file.len() > 0)
            .map(|file| file.len())
        else {
            return Ok(None);
        };
        let file = match FileContent::of(path).await {
            Err(error) if error.kind() == ErrorKind::InvalidData && length <= READ_BYTES_MAX => {
                return Ok(None);
            }
            file => file.map_err(|error| Failure::usage(format!("--file {}: {error}", self.value)))?,
        };
        let mut part = named(path);
        if let Some(media_type) = &self.media_type {
            part.media_type.clone_from(media_type);
        }
        Ok(Some((part, file)))
    }

    /// The file of this machine that it names.
    fn local(&self) -> Option<&str> {
        match (self.kind, self.value.split_once("://")) {
            (Kind::File, None) => Some(&self.value),
            (Kind::File, Some(("file", path))) => Some(path),
            _ => None,
        }
    }

    fn read(&self) -> Result<Part, Failure> {
        let mut part = match self.kind {
            Kind::Text => Part {
                content: Some(part::Content::Text(self.value.clone())),
                ..Part::default()
            },
            Kind::Data => data(&self.value)?,
            Kind::File => match self.local() {
                Some(path) => file(&self.value, path)?,
                None => url(&self.value),
            },
        };
        if let Some(media_type) = &self.media_type {
            part.media_type.clone_from(media_type);
        }
        Ok(part)
    }
}

fn data(path: &str) -> Result<Part, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("--data {path}: {error}"));
    let text = match path {
        "-" => limited(std::io::stdin().lock()),
        path => std::fs::File::open(path).and_then(limited),
    };
    let text = text.map_err(|error| failed(&error))?;
    let value = value::read(&text).map_err(|error| failed(&format!("it is not JSON: {error}")))?;
    Ok(Part {
        content: Some(part::Content::Data(value)),
        ..Part::default()
    })
}

/// What the agent is to fetch.
fn url(url: &str) -> Part {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    Part {
        content: Some(part::Content::Url(url.to_owned())),
        filename: path.rsplit('/').next().unwrap_or_default().to_owned(),
        media_type: media_type(path).to_owned(),
        ..Part::default()
    }
}

/// A file of this machine, all of it.
fn file(name: &str, path: &str) -> Result<Part, Failure> {
    let bytes = std::fs::File::open(path).and_then(limited);
    let bytes = bytes.map_err(|error| Failure::usage(format!("--file {name}: {error}")))?;
    Ok(Part {
        content: Some(part::Content::Raw(bytes.into())),
        ..named(path)
    })
}

/// What a path says of the part that the file becomes.
fn named(path: &str) -> Part {
    let filename = Path::new(path).file_name().unwrap_or_default();
    Part {
        filename: filename.to_string_lossy().into_owned(),
        media_type: media_type(path).to_owned(),
        ..Part::default()
    }
}

fn limited(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(READ_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > READ_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "it is larger than {READ_BYTES_MAX} bytes; give the agent a URL of it, or send it with --file from a regular file"
        )));
    }
    Ok(bytes)
}

/// What the ending of a name says; nothing if it says nothing, and the agent may find out.
fn media_type(name: &str) -> &'static str {
    let ending = name
        .rsplit('/')
        .next()
        .and_then(|name| Some(name.rsplit_once('.')?.1));
    match &*ending.unwrap_or_default().to_ascii_lowercase() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "xml" => "application/xml",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "",
    }
}

impl FromArgMatches for Parts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut placed: Vec<(usize, Option<Kind>, String)> = Vec::new();
        for (id, kind) in [
            ("message", Some(Kind::Text)),
            ("text", Some(Kind::Text)),
            ("file", Some(Kind::File)),
            ("data", Some(Kind::Data)),
            ("media_type", None),
        ] {
            let places = matches.indices_of(id).into_iter().flatten();
            let values = matches.get_many::<String>(id).into_iter().flatten();
            placed.extend(
                places
                    .zip(values)
                    .map(|(place, value)| (place, kind, value.clone())),
            );
        }
        placed.sort_by_key(|(place, ..)| *place);
        let mut parts: Vec<Wanted> = Vec::new();
        for (_, kind, value) in placed {
            match (kind, parts.last_mut()) {
                (Some(kind), _) => parts.push(Wanted {
                    kind,
                    value,
                    media_type: None,
                }),
                (None, Some(part)) if part.media_type.is_none() => part.media_type = Some(value),
                (None, part) => {
                    let what = part.map_or("stands before every part", |_| "is given twice for one part");
                    let message = format!("--media-type {what}; it belongs behind the part that it is for\n");
                    return Err(clap::Error::raw(
                        clap::error::ErrorKind::ArgumentConflict,
                        message,
                    ));
                }
            }
        }
        Ok(Self(parts))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Parts {
    fn augment_args(command: clap::Command) -> clap::Command {
        let many = |id: &'static str, long: &'static str, value: &'static str, help: &'static str| {
            Arg::new(id)
                .long(long)
                .value_name(value)
                .help(help)
                .action(ArgAction::Append)
                .help_heading("Message")
        };
        command
            .arg(
                Arg::new("message")
                    .value_name("TEXT")
                    .help("The text of the message, like --text"),
            )
            .arg(
                many("text", "text", "TEXT", "A part of text; parts keep their order")
                    .allow_hyphen_values(true),
            )
            .arg(many(
                "file",
                "file",
                "PATH|URL",
                "A part with the content of a file, or a URL for the agent to fetch",
            ))
            .arg(many(
                "data",
                "data",
                "PATH|-",
                "A part with the JSON of a file, or of standard input",
            ))
            .arg(many(
                "media_type",
                "media-type",
                "TYPE",
                "The media type of the part before it",
            ))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &[&str]) -> Result<Vec<(Kind, String, Option<String>)>, String> {
        let command = Parts::augment_args(clap::Command::new("send"));
        let line = std::iter::once("send").chain(line.iter().copied());
        let parts = command
            .try_get_matches_from(line)
            .and_then(|matches| Parts::from_arg_matches(&matches))
            .map_err(|error| error.to_string())?;
        let parts = parts.0.into_iter();
        Ok(parts
            .map(|part| (part.kind, part.value, part.media_type))
            .collect())
    }

    #[test]
    fn parts_keep_their_order_and_their_media_types() {
        let part = |kind, value: &str, media_type: Option<&str>| {
            (kind, value.to_owned(), media_type.map(str::to_owned))
        };
        let line = "--file a --media-type x/y --text b hello --data - --file c --media-type z/z";
        let line: Vec<&str> = line.split(' ').collect();
        let expected = vec![
            part(Kind::File, "a", Some("x/y")),
            part(Kind::Text, "b", None),
            part(Kind::Text, "hello", None),
            part(Kind::Data, "-", None),
            part(Kind::File, "c", Some("z/z")),
        ];
        assert_eq!(wanted(&line), Ok(expected));
        assert_eq!(wanted(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_media_type_without_its_part_is_a_mistake() {
        for (line, said) in [
            (&["--media-type", "a/b", "--text", "x"][..], "before every part"),
            (
                &["--text", "x", "--media-type", "a/b", "--media-type", "c/d"],
                "twice",
            ),
        ] {
            let error = wanted(line).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn urls_are_for_the_agent_to_fetch() {
        let part = url("https://example.com/a/b.PDF?x=1");
        assert_eq!(
            part.content,
            Some(part::Content::Url("https://example.com/a/b.PDF?x=1".into()))
        );
        assert_eq!((&*part.filename, &*part.media_type), ("b.PDF", "application/pdf"));
        assert_eq!(media_type("a.b/c"), "");
    }
}
