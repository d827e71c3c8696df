//! `a2ad task download`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use a2ad::pb::{Artifact, Part, Task, part};
use a2ad::task::new_id;
use clap::Args;

use super::{One, names};
use crate::cli::agent::config::{BYTES_MAX, PARTS_MAX};
use crate::cli::agent::failure::Failure;
use crate::cli::agent::follow::Follower;
use crate::cli::agent::session::Session;
use crate::cli::agent::{render, value};

/// Every part of an artifact becomes a file: a text .txt, a data part .json, a file what it is. A part that is a URL is shown and not fetched.
#[derive(Args)]
pub struct Download {
    #[command(flatten)]
    pub task: One,
    /// Only this artifact
    #[arg(long, value_name = "ID")]
    artifact: Option<String>,
    /// The folder to write to; it is made if it does not exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Overwrite files that exist
    #[arg(long)]
    force: bool,
    /// Parts that are saved at most; nothing is saved of a task that has more
    #[arg(long, value_name = "N", default_value = PARTS_MAX, value_parser = clap::value_parser!(u64).range(1..))]
    parts_max: u64,
    /// Bytes that are saved at most, all files together; nothing is saved of a task that has more. The task comes in one answer
    /// of 64 MiB at most, but data parts grow as they are written with indents
    #[arg(long, value_name = "BYTES", default_value = BYTES_MAX, value_parser = clap::value_parser!(u64).range(1..))]
    bytes_max: u64,
}

/// What became of one part.
enum Saved {
    File(PathBuf),
    /// Not fetched: the agent only says where it is.
    Elsewhere(String),
}

impl Download {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let task = Follower::new(session, &agent, None).task(&self.task.id).await?;
        let saved = self.save(&task)?;
        for one in &saved {
            match one {
                Saved::File(path) => session.out.note(&format!("saved {}", path.display())),
                Saved::Elsewhere(url) => session.out.warning(&format!("not fetched: {url}")),
            }
        }
        session.out.result(&task, |page, task| {
            let state = task
                .status
                .as_ref()
                .map(|status| status.state)
                .unwrap_or_default();
            render::identifiers(page, &task.id, &task.context_id, Some(state));
            for one in &saved {
                match one {
                    Saved::File(path) => page.field("Saved", path.display()),
                    Saved::Elsewhere(url) => page.field("URL", url),
                }
            }
        })
    }

    fn save(&self, task: &Task) -> Result<Vec<Saved>, Failure> {
        let is_wanted = |artifact: &&Artifact| {
            self.artifact
                .as_ref()
                .is_none_or(|id| *id == artifact.artifact_id)
        };
        let wanted: Vec<&Artifact> = task.artifacts.iter().filter(is_wanted).collect();
        if wanted.is_empty() {
            let message = match &self.artifact {
                Some(id) => format!("task {} has no artifact {id}", task.id),
                None => format!("task {} has no artifacts", task.id),
            };
            return Err(Failure::internal(message).with_hint("`a2ad task get` shows what it has"));
        }
        self.check(task, &wanted)?;
        std::fs::create_dir_all(&self.dir).map_err(|error| failed(&self.dir, &error))?;
        let mut taken = HashSet::new();
        let mut saved = Vec::new();
        for artifact in wanted {
            for part in &artifact.parts {
                saved.push(self.part(artifact, part, &mut taken)?);
            }
        }
        Ok(saved)
    }

    /// Before anything is written: half of a task helps nobody.
    fn check(&self, task: &Task, wanted: &[&Artifact]) -> Result<(), Failure> {
        let parts = || wanted.iter().flat_map(|artifact| &artifact.parts);
        let bytes = parts().map(|part| content(part).map_or(0, |(bytes, _)| bytes.len() as u64));
        for (what, found, option, limit) in [
            ("parts", parts().count() as u64, "--parts-max", self.parts_max),
            ("bytes", bytes.sum(), "--bytes-max", self.bytes_max),
        ] {
            if found > limit {
                let message = format!(
                    "the artifacts of task {} are {found} {what}, and {option} is {limit}: nothing was saved",
                    task.id
                );
                let hint = format!("allow it with {option} {found}, or save one artifact with --artifact ID");
                return Err(Failure::internal(message).with_hint(hint));
            }
        }
        Ok(())
    }

    fn part(&self, artifact: &Artifact, part: &Part, taken: &mut HashSet<String>) -> Result<Saved, Failure> {
        let (bytes, ending) = match content(part) {
            Ok(content) => content,
            Err(url) => return Ok(Saved::Elsewhere(url.to_owned())),
        };
        let path = self.dir.join(free(name(artifact, part, ending), taken));
        let written = match self.force {
            true => replace(&path, &bytes),
            false => create(&path, &bytes),
        };
        match written {
            Ok(()) => Ok(Saved::File(path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::internal(format!("{} exists already", path.display()))
                    .with_hint("overwrite with --force, or write elsewhere with --dir"))
            }
            Err(error) => Err(failed(&path, &error)),
        }
    }
}

/// What the file of a part holds, and the ending of its name; of a part that is elsewhere its URL.
fn content(part: &Part) -> Result<(Cow<'_, [u8]>, &'static str), &str> {
    Ok(match &part.content {
        Some(part::Content::Url(url)) => return Err(url),
        Some(part::Content::Raw(raw)) => (Cow::Borrowed(raw), names::ending(&part.media_type)),
        Some(part::Content::Text(text)) => (Cow::Borrowed(text.as_bytes()), "txt"),
        Some(part::Content::Data(data)) => (Cow::Owned(value::pretty(data).into_bytes()), "json"),
        None => (Cow::Borrowed(&[]), "bin"),
    })
}

/// What a part is called: by its own name, or else by that of its artifact.
fn name(artifact: &Artifact, part: &Part, ending: &str) -> String {
    let own = names::safe(&part.filename);
    if !own.is_empty() {
        return own;
    }
    let candidates = [&artifact.name, &artifact.artifact_id].map(|name| names::safe(name));
    let stem = candidates.into_iter().find(|name| !name.is_empty());
    format!("{}.{ending}", stem.as_deref().unwrap_or("artifact"))
}

/// The first form of the name that nothing of this run has. Folders that tell no capitals apart are no surprise.
fn free(name: String, taken: &mut HashSet<String>) -> String {
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.to_lowercase()) {
        free = names::numbered(&name, number);
        number += 1;
    }
    free
}

/// Writes a file that is not there yet, for its owner's eyes. A link in its place is not followed.
fn create(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would be taken for a whole one.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Puts a whole new file in the place of whatever is there.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_file_name(format!(".a2ad-{}", new_id()));
    create(&beside, bytes)?;
    std::fs::rename(&beside, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::internal(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_not_followed_and_what_is_there_stays_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("a.txt"), folder.path().join("victim"));
        std::fs::write(&victim, "kept").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let refused = create(&path, b"new").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"kept");
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(!std::fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn two_parts_of_one_name_are_two_files() {
        let mut taken = HashSet::new();
        let names = ["a.txt", "A.txt", "a.txt"].map(|name| free(name.to_owned(), &mut taken));
        assert_eq!(names, ["a.txt", "A-2.txt", "a-3.txt"]);
    }
}
