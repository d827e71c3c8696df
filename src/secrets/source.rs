//! Where keys come from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::keyring::KEY_BYTES;
use super::{Error, Keyring, file};

/// Where the keys of a process come from. Clones share them.
#[derive(Clone, Debug)]
pub struct KeySource(Arc<Source>);

#[derive(Debug)]
enum Source {
    None,
    Keys(Arc<Keyring>),
    File {
        path: PathBuf,
        keyring: OnceLock<Arc<Keyring>>,
    },
}

impl KeySource {
    /// No keys: nothing is sealed, and nothing sealed opens.
    pub fn none() -> Self {
        Self(Arc::new(Source::None))
    }

    /// These keys.
    pub fn of(keyring: Keyring) -> Self {
        Self(Arc::new(Source::Keys(Arc::new(keyring))))
    }

    /// A new key that ends with the process.
    ///
    /// # Errors
    /// [`Error::Random`] when the system has none.
    pub fn random() -> Result<Self, Error> {
        let mut key = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| Error::Random)?;
        Ok(Self::of(Keyring::new(&key, &[])))
    }

    /// The key in the file beside a database, which is made when it is first needed.
    pub fn beside(database: &Path) -> Self {
        Self(Arc::new(Source::File {
            path: file::beside(database),
            keyring: OnceLock::new(),
        }))
    }

    /// Configured keys for a database that may have had a key file before: its key opens what it has sealed.
    ///
    /// # Errors
    /// [`Error::File`] when there is one that can't be used.
    pub fn configured_beside(
        current: &[u8; KEY_BYTES],
        mut previous: Vec<[u8; KEY_BYTES]>,
        database: &Path,
    ) -> Result<Self, Error> {
        previous.extend(file::read(&file::beside(database))?);
        Ok(Self::of(Keyring::new(current, &previous)))
    }

    /// The file beside a database that has its key, if there is one.
    pub fn file_beside(database: &Path) -> Option<PathBuf> {
        Some(file::beside(database)).filter(|path| path.exists())
    }

    /// The keys that there are, to open with; `None` if there are none.
    ///
    /// # Errors
    /// [`Error::File`] when the key file can't be used.
    pub fn known(&self) -> Result<Option<Arc<Keyring>>, Error> {
        match &*self.0 {
            Source::None => Ok(None),
            Source::Keys(keyring) => Ok(Some(keyring.clone())),
            Source::File { path, keyring } => match keyring.get() {
                Some(keyring) => Ok(Some(keyring.clone())),
                None => Ok(file::read(path)?.map(|key| kept(keyring, &key))),
            },
        }
    }

    /// The keys, to seal with. A key file that is not there is made, which takes a moment of the disk.
    ///
    /// # Errors
    /// [`Error::NoKey`] when there is none, [`Error::File`] when the key file can't be made or used.
    pub fn needed(&self) -> Result<Arc<Keyring>, Error> {
        match (self.known()?, &*self.0) {
            (Some(keyring), _) => Ok(keyring),
            (None, Source::File { path, keyring }) => Ok(kept(keyring, &file::make(path)?)),
            (None, _) => Err(Error::NoKey),
        }
    }
}

fn kept(keyring: &OnceLock<Arc<Keyring>>, key: &[u8; KEY_BYTES]) -> Arc<Keyring> {
    keyring.get_or_init(|| Arc::new(Keyring::new(key, &[]))).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_when_it_is_needed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let source = KeySource::beside(&database);
        assert!(source.known().unwrap().is_none());
        assert_eq!(KeySource::file_beside(&database), None);
        let made = source.needed().unwrap().current();
        assert!(KeySource::file_beside(&database).is_some());
        let again = KeySource::beside(&database).known().unwrap().unwrap();
        assert_eq!(again.current(), made);

        let configured = KeySource::configured_beside(&[1; 32], vec![[2; 32]], &database).unwrap();
        let ids: Vec<_> = configured.needed().unwrap().ids().collect();
        assert_eq!((ids.len(), ids[2]), (3, made));
    }

    #[test]
    fn without_keys_nothing_is_sealed() {
        assert!(KeySource::none().known().unwrap().is_none());
        assert_eq!(KeySource::none().needed().err(), Some(Error::NoKey));
        let (one, other) = (KeySource::random().unwrap(), KeySource::random().unwrap());
        assert_ne!(one.needed().unwrap().current(), other.needed().unwrap().current());
    }
}
