//! Logins on disk: one file for each origin, which nobody but the user can read (a2a-cli specification 8.3 and 12.2).
//!
//! A login is the client at an authorization server, and the token that it got. Calls to the origin that it was made for show
//! the token, and no others do.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use a2ad::client::credential::oauth::{Grant, OAuthEndpoints, OAuthSettings, StoredToken, TokenStore};
use a2ad::config::Secret;
use a2ad::task::new_id;
use serde::{Deserialize, Serialize};

use crate::cli::agent::failure::Failure;
use crate::cli::agent::secrets::Secrets;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Logins that are looked at.
const LOGINS_MAX: usize = 256;

/// One login as it stands in its file. It holds secrets, so it has no `Debug` form.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// The origin whose calls show the token.
    pub origin: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    token_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    device_url: Option<String>,
    /// Whether a person signed in.
    is_device: bool,
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    client_secret: Option<String>,
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    token: Option<Token>,
}

/// Times are in milliseconds since the Unix epoch.
#[derive(Clone, Serialize, Deserialize)]
struct Token {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    refresh_token: Option<String>,
    due_ms: Option<i64>,
    expires_ms: Option<i64>,
}

impl Login {
    /// A login that has no token yet.
    pub fn new(origin: String, settings: &OAuthSettings) -> Self {
        let (issuer, token_url, device_url) = match &settings.endpoints {
            OAuthEndpoints::Issuer(issuer) => (Some(issuer.clone()), None, None),
            OAuthEndpoints::Urls { token, device } => (None, Some(token.clone()), device.clone()),
        };
        Self {
            origin,
            issuer,
            token_url,
            device_url,
            is_device: settings.grant == Grant::DeviceCode,
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.as_ref().map(|one| one.expose().clone()),
            scopes: settings.scopes.clone(),
            resource: settings.resource.clone(),
            token: None,
        }
    }

    /// The client that it is of.
    pub fn settings(&self) -> OAuthSettings {
        let endpoints = match &self.issuer {
            Some(issuer) => OAuthEndpoints::Issuer(issuer.clone()),
            None => OAuthEndpoints::Urls {
                token: self.token_url.clone().unwrap_or_default(),
                device: self.device_url.clone(),
            },
        };
        OAuthSettings {
            client_secret: self.client_secret.clone().map(Secret::new),
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
            ..OAuthSettings::new(endpoints, self.grant(), &self.client_id)
        }
    }

    fn grant(&self) -> Grant {
        if self.is_device {
            Grant::DeviceCode
        } else {
            Grant::ClientCredentials
        }
    }

    /// How the token is got, in the words of the options.
    pub fn grant_name(&self) -> &'static str {
        if self.is_device {
            "device"
        } else {
            "client-credentials"
        }
    }

    /// Where the token comes from.
    pub fn server(&self) -> &str {
        self.issuer
            .as_deref()
            .or(self.token_url.as_deref())
            .unwrap_or_default()
    }

    /// The state of the token, at this time.
    pub fn state(&self, now_ms: i64) -> &'static str {
        match &self.token {
            None => "none",
            Some(token) if token.expires_ms.is_none_or(|end| now_ms < end) => "valid",
            Some(token) if token.refresh_token.is_some() || !self.is_device => "to be renewed",
            Some(_) => "expired",
        }
    }
}

/// The folder of all logins.
#[derive(Clone)]
pub struct Logins {
    folder: PathBuf,
}

impl Logins {
    /// That of this user: `~/.config/a2a-cli/logins`.
    pub fn of_user() -> Result<Self, Failure> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.ok_or_else(|| Failure::usage("HOME is not set, so there is no place for logins"))?;
        Ok(Self {
            folder: Path::new(&home).join(".config/a2a-cli/logins"),
        })
    }

    /// The file of an origin.
    pub fn path(&self, origin: &str) -> PathBuf {
        let name = origin.replace([':', '/', '[', ']'], "_");
        self.folder.join(format!("{name}.json"))
    }

    /// The login of an origin. The files of others are not looked at: what is wrong with them does not matter here.
    pub fn of(&self, origin: &str) -> Result<Option<Login>, Failure> {
        let path = self.path(origin);
        if !path.try_exists().map_err(|error| failed(&path, &error))? {
            return Ok(None);
        }
        // Names of files are less exact than origins.
        Ok(Some(read(&path)?).filter(|login| login.origin == origin))
    }

    /// All logins, in the order of their origins.
    pub fn all(&self) -> Result<Vec<Login>, Failure> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&self.folder, &error)),
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .take(LOGINS_MAX)
            .collect();
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// Keeps a login in place of an older one of its origin.
    pub fn save(&self, login: &Login) -> Result<(), Failure> {
        let path = self.path(&login.origin);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .and_then(|()| std::fs::set_permissions(&self.folder, Permissions::from_mode(0o700)))
            .map_err(|error| failed(&self.folder, &error))?;
        let json = serde_json::to_vec(login).map_err(|error| failed(&path, &error))?;
        write(&path, &json).map_err(|error| failed(&path, &error))
    }

    /// Forgets the login of an origin. False if there is none.
    pub fn remove(&self, origin: &str) -> Result<bool, Failure> {
        let path = self.path(origin);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&path, &error)),
        }
    }
}

/// Written beside and renamed: another run finds the old file or the new one, and never half of one.
fn write(path: &Path, json: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.new", new_id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(json)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // The first failure is the one to tell.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn read(path: &Path) -> Result<Login, Failure> {
    let about = std::fs::metadata(path).map_err(|error| failed(path, &error))?;
    if about.len() > FILE_BYTES_MAX {
        return Err(failed(path, &format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    if about.permissions().mode() & 0o077 != 0 {
        let why = "others can read this login; run `chmod 600` on it, or log in again";
        return Err(failed(path, &why));
    }
    let json = std::fs::read(path).map_err(|error| failed(path, &error))?;
    // What serde says of a broken file names no value of it.
    serde_json::from_slice(&json).map_err(|error| failed(path, &format!("it is no login: {error}")))
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

/// The token of one login, for whoever renews it.
pub struct LoginStore {
    logins: Logins,
    login: Login,
    secrets: Secrets,
}

impl LoginStore {
    /// What it comes to hold is none that anybody is to read.
    pub fn new(logins: Logins, login: Login, secrets: &Secrets) -> Self {
        if let Some(secret) = &login.client_secret {
            secrets.learn_client(&login.client_id, secret);
        }
        let store = Self {
            logins,
            login,
            secrets: secrets.clone(),
        };
        store.learn(store.login.token.as_ref());
        store
    }

    fn learn(&self, token: Option<&Token>) {
        let Some(token) = token else { return };
        self.secrets.learn(&token.access_token);
        if let Some(refresh) = &token.refresh_token {
            self.secrets.learn(refresh);
        }
    }
}

#[async_trait::async_trait]
impl TokenStore for LoginStore {
    async fn load(&self, _: &str) -> Result<Option<StoredToken>, String> {
        Ok(self.login.token.clone().map(|token| StoredToken {
            access_token: Secret::new(token.access_token),
            refresh_token: token.refresh_token.map(Secret::new),
            due_ms: token.due_ms,
            expires_ms: token.expires_ms,
        }))
    }

    async fn save(&self, _: &str, token: &StoredToken) -> Result<(), String> {
        let login = Login {
            token: Some(Token {
                access_token: token.access_token.expose().clone(),
                refresh_token: token.refresh_token.as_ref().map(|one| one.expose().clone()),
                due_ms: token.due_ms,
                expires_ms: token.expires_ms,
            }),
            ..self.login.clone()
        };
        self.learn(login.token.as_ref());
        self.logins.save(&login).map_err(|failure| failure.message)
    }

    async fn remove(&self, _: &str) -> Result<(), String> {
        let removed = self.logins.remove(&self.login.origin);
        removed.map(drop).map_err(|failure| failure.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(origin: &str) -> Login {
        let endpoints = OAuthEndpoints::Issuer("https://issuer.example.com".to_owned());
        let settings = OAuthSettings {
            client_secret: Some(Secret::new("s".to_owned())),
            ..OAuthSettings::new(endpoints, Grant::ClientCredentials, "me")
        };
        Login::new(origin.to_owned(), &settings)
    }

    #[test]
    fn a_login_is_the_users_alone_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins {
            folder: folder.path().join("logins"),
        };
        assert!(logins.all().unwrap().is_empty());
        let one = login("https://agents.example.com:443");
        logins.save(&one).unwrap();
        logins.save(&login("http://[::1]:8420")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&logins.folder), 0o700);
        assert_eq!(mode(&logins.path(&one.origin)), 0o600);
        let all = logins.all().unwrap();
        assert_eq!(all.len(), 2);
        let found = all.iter().find(|found| found.origin == one.origin).unwrap();
        assert_eq!(found.settings(), one.settings());
        assert_eq!(found.state(0), "none");
        assert!(logins.remove(&one.origin).unwrap() && !logins.remove(&one.origin).unwrap());
    }

    #[test]
    fn a_login_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins {
            folder: folder.path().to_owned(),
        };
        let one = login("https://agents.example.com:443");
        logins.save(&one).unwrap();
        let path = logins.path(&one.origin);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(logins.all().is_err() && logins.of(&one.origin).is_err());
        // Nor does it keep anybody from another.
        let other = login("http://[::1]:8420");
        logins.save(&other).unwrap();
        assert!(logins.of(&other.origin).unwrap().is_some());
        assert!(logins.of("https://nobody.example.com:443").unwrap().is_none());
    }
}
