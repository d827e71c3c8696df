//! The bytes of the TLS files, and whether they are other bytes than last time.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;

use super::error::Error;
use super::settings::{Authorities, ClientCertificates, TlsSettings};

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

/// The files of authorities and of their lists.
pub(super) struct AuthorityFiles {
    pub(super) ca: FileBytes,
    pub(super) crls: Vec<FileBytes>,
}

impl AuthorityFiles {
    async fn read(authorities: &Authorities) -> Self {
        let mut crls = Vec::with_capacity(authorities.crl_files.len());
        for path in &authorities.crl_files {
            crls.push(FileBytes::read(path).await);
        }
        Self {
            ca: FileBytes::read(&authorities.ca_file).await,
            crls,
        }
    }

    fn all(&self) -> impl Iterator<Item = &FileBytes> {
        [&self.ca].into_iter().chain(&self.crls)
    }
}

/// Everything that a listener's TLS is made from.
pub(super) struct Files {
    pub(super) cert: FileBytes,
    pub(super) key: FileBytes,
    /// The authorities of `client_ca_file`.
    pub(super) client: Option<AuthorityFiles>,
    /// The trust domains that have authorities of their own.
    pub(super) trust_domains: BTreeMap<String, AuthorityFiles>,
}

impl Files {
    /// Reads the files that the settings name. A file that cannot be read is kept as such: that it went away is a
    /// change like any other.
    pub(super) async fn read(settings: &TlsSettings) -> Self {
        let mut files = Self {
            cert: FileBytes::read(&settings.cert_file).await,
            key: FileBytes::read(&settings.key_file).await,
            client: None,
            trust_domains: BTreeMap::new(),
        };
        if settings.client_certificates == ClientCertificates::Off {
            return files;
        }
        if let Some(authorities) = settings.client_authorities() {
            files.client = Some(AuthorityFiles::read(&authorities).await);
        }
        for (name, own) in &settings.trust_domains {
            if let Some(own) = own {
                files
                    .trust_domains
                    .insert(name.clone(), AuthorityFiles::read(own).await);
            }
        }
        files
    }

    /// A hash over all contents. It is the contents alone that count: a copied or touched file is no change, and
    /// one that changed within the clock's grain, or was swapped by a link, is. The files are few and small, so
    /// reading them costs less than being wrong about their times.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let authorities = self.client.iter().chain(self.trust_domains.values());
        for file in [&self.cert, &self.key]
            .into_iter()
            .chain(authorities.flat_map(AuthorityFiles::all))
        {
            match &file.bytes {
                Ok(bytes) => bytes.hash(&mut hasher),
                Err(error) => error.kind().hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}
