//! The bytes of the TLS files, and whether they are other bytes than last time.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;

use super::error::Error;
use super::settings::{ClientCertificates, TlsSettings};

/// One file as it was read, or why it could not be read.
pub(super) struct FileBytes {
    path: PathBuf,
    bytes: io::Result<Vec<u8>>,
}

impl FileBytes {
    async fn read(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            bytes: tokio::fs::read(path).await,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> Result<&[u8], Error> {
        self.bytes.as_deref().map_err(|source| Error::Read {
            file: self.path.clone(),
            source: io::Error::new(source.kind(), source.to_string()),
        })
    }

    /// The first PEM section of a type, called `what` in errors.
    pub(super) fn one<T: PemObject>(&self, what: &'static str) -> Result<T, Error> {
        T::from_pem_slice(self.bytes()?).map_err(|error| Error::pem(&self.path, what, &error))
    }

    /// All PEM sections of a type, at least one.
    pub(super) fn all<T: PemObject>(&self, what: &'static str) -> Result<Vec<T>, Error> {
        let found: Vec<T> = T::pem_slice_iter(self.bytes()?)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::pem(&self.path, what, &error))?;
        if found.is_empty() {
            return Err(Error::pem(
                &self.path,
                what,
                &rustls::pki_types::pem::Error::NoItemsFound,
            ));
        }
        Ok(found)
    }
}

/// Reads one file for a caller that needs no more than that.
pub(super) async fn read(path: &Path) -> FileBytes {
    FileBytes::read(path).await
}

/// Everything that a listener's TLS is made from.
pub(super) struct Files {
    pub(super) cert: FileBytes,
    pub(super) key: FileBytes,
    pub(super) client_ca: Option<FileBytes>,
    pub(super) crls: Vec<FileBytes>,
}

impl Files {
    /// Reads the files that the settings name. A file that cannot be read is kept as such: that it went away is a
    /// change like any other.
    pub(super) async fn read(settings: &TlsSettings) -> Self {
        let mut files = Self {
            cert: FileBytes::read(&settings.cert_file).await,
            key: FileBytes::read(&settings.key_file).await,
            client_ca: None,
            crls: Vec::new(),
        };
        if settings.client_certificates == ClientCertificates::Off {
            return files;
        }
        if let Some(path) = &settings.client_ca_file {
            files.client_ca = Some(FileBytes::read(path).await);
        }
        for path in &settings.crl_files {
            files.crls.push(FileBytes::read(path).await);
        }
        files
    }

    /// A hash over all contents. It is the contents alone that count: a copied or touched file is no change, and
    /// one that changed within the clock's grain, or was swapped by a link, is. The files are few and small, so
    /// reading them costs less than being wrong about their times.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in [&self.cert, &self.key]
            .into_iter()
            .chain(&self.client_ca)
            .chain(&self.crls)
        {
            match &file.bytes {
                Ok(bytes) => bytes.hash(&mut hasher),
                Err(error) => error.kind().hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}
