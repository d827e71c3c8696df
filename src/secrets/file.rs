//! A key in a file of its own, for a database that is a file too.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Error;
use super::keyring::KEY_BYTES;

/// Only the owner may read it.
const MODE: u32 = 0o600;

/// A key in hex, and the end of its line.
const TEXT_BYTES: u64 = 2 * KEY_BYTES as u64 + 1;

/// The file beside a database that has its key.
pub(super) fn beside(database: &Path) -> PathBuf {
    with_ending(database, ".key")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The key of a file; `None` if there is no such file.
///
/// # Errors
/// When others may read it, or it holds no key.
pub(super) fn read(path: &Path) -> Result<Option<[u8; KEY_BYTES]>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(path, format!("{error}; check that this user may read it"))),
    };
    let io = |error: std::io::Error| wrong(path, error.to_string());
    let metadata = file.metadata().map_err(io)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(wrong(path, "others may read it; run chmod 600 on it".to_owned()));
    }
    let mut text = String::new();
    // One more than it should be, so that a longer one is noticed.
    let read = file.take(TEXT_BYTES + 1).read_to_string(&mut text);
    read.map_err(io)?;
    let key = decode(text.trim_end());
    key.map(Some).ok_or_else(|| {
        wrong(
            path,
            "it does not hold 64 hex digits; bring it back from a backup".to_owned(),
        )
    })
}

/// Makes a file with a new key, unless there is one; the key that is in it.
///
/// # Errors
/// When it can't be made.
pub(super) fn make(path: &Path) -> Result<[u8; KEY_BYTES], Error> {
    let mut key = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| Error::Random)?;
    write(path, &key).map_err(|error| {
        wrong(
            path,
            format!("{error}; check that this user may write to its folder, or set secrets.key"),
        )
    })?;
    // Somebody else may have been quicker; what counts is what is in the file.
    read(path)?.ok_or_else(|| wrong(path, "it was taken away while it was made".to_owned()))
}

/// The whole file appears under its name at once, and never instead of another one.
fn write(path: &Path, key: &[u8; KEY_BYTES]) -> std::io::Result<()> {
    // Two that make one at the same time must not write into the same file.
    let mut name = [0; 8];
    aws_lc_rs::rand::fill(&mut name).map_err(std::io::Error::other)?;
    let draft = with_ending(path, &format!(".{:016x}", u64::from_be_bytes(name)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&draft)?;
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&draft)?;
    linked?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn wrong(path: &Path, why: String) -> Error {
    Error::File {
        path: path.to_owned(),
        why,
    }
}

fn decode(text: &str) -> Option<[u8; KEY_BYTES]> {
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("tasks.db"));
        assert!(path.ends_with("tasks.db.key"));
        assert_eq!(read(&path), Ok(None));
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| make(&path))).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        let key = read(&path).unwrap().unwrap();
        assert!(
            made.iter().all(|made| *made == Ok(key)),
            "two have different keys"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "drafts are left");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(make(&path), Ok(key), "a second one replaced it");
    }

    #[test]
    fn a_file_that_others_may_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        make(&path).unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "00", &"0".repeat(65), &"g".repeat(64), &"0".repeat(10_000)] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("64 hex digits"), "{error}");
        }
    }
}
