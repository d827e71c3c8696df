//! What no single value shows: settings that contradict each other, and texts that have a form.

use http::Uri;
use toml::Table;
use tracing_subscriber::EnvFilter;

use super::agent::AgentConfig;
use super::database::Backend;
use super::error::{Error, Problem};
use super::layers::{Layers, dotted};
use super::secret::{MASK, Secret};
use super::{Config, Database, Network, Retention};

/// Keys that are published and sign nothing: verifiers read sets of 64 keys in all.
const PUBLISHED_KEYS_MAX: usize = 8;

impl Config {
    /// Refuses a configuration that can't work, with every reason at once. [`super::Loader::load`] has done it
    /// already; call it for a configuration made in code.
    pub fn validate(&self) -> Result<(), Error> {
        let problems = self.problems();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(problems))
        }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = self.out_of_range();
        self.check_server(&mut found);
        found.extend(self.tls.problems());
        found.extend(self.auth.problems(
            self.takes_certificates(),
            matches!(self.database.backend(), Ok(Backend::Memory)),
        ));
        found.extend(self.access.problems(self.is_authenticated()));
        found.extend(self.admin.problems(self.is_authenticated()));
        self.check_database(&mut found);
        self.check_lease(&mut found);
        self.check_secrets(&mut found);
        self.check_limits(&mut found);
        self.check_egress(&mut found);
        found.extend(self.push.problems());
        let quotas = self.agents.iter();
        let quotas = quotas.filter_map(|(name, agent)| Some((name, agent.quota.as_ref()?)));
        found.extend(self.quotas.problems(quotas));
        self.check_retention(&mut found);
        found.extend(self.card.problems());
        self.check_agents(&mut found);
        self.check_log(&mut found);
        if self.is_authenticated() {
            found.extend(self.audit.problems(self.server.in_flight_max));
        }
        found
    }

    /// The bounds stand in the schema; a configuration made in code is measured by it as a file is.
    fn out_of_range(&self) -> Vec<Problem> {
        match Table::try_from(self) {
            Ok(tree) => {
                let mut layers = Layers::default();
                layers.add(None, tree);
                layers.problems
            }
            Err(error) => vec![Problem::new(
                "configuration",
                format!("holds a value that TOML can't: {error}"),
            )],
        }
    }

    fn check_server(&self, found: &mut Vec<Problem>) {
        let server = &self.server;
        if !self.tls.is_on() && !server.listen.ip().is_loopback() && !server.allow_plaintext {
            found.push(Problem::new(
                "server.listen",
                "is reachable from elsewhere without TLS; set tls.cert_file and tls.key_file, listen on 127.0.0.1, or \
                 say server.allow_plaintext = true if something in front encrypts",
            ));
        }
        if let Some(url) = &server.public_url {
            found.extend(check_url("server.public_url", url));
        }
        for origin in &server.cors_origins {
            if origin != "*" && !is_origin(origin) {
                found.push(Problem::new(
                    "server.cors_origins",
                    format!("`{origin}` is no origin; write scheme and host only, like \"https://app.example.com\""),
                ));
            }
        }
        found.extend(check_networks("server.trusted_proxies", &server.trusted_proxies));
        if let Some(key) = &server.page_token_key
            && server.page_token_key_bytes().is_none()
        {
            found.push(no_key("server.page_token_key", key));
        }
    }

    fn check_secrets(&self, found: &mut Vec<Problem>) {
        let secrets = &self.secrets;
        if let Some(key) = &secrets.key
            && secrets.key_bytes().is_none()
        {
            found.push(no_key("secrets.key", key));
        }
        if let Some(keys) = &secrets.previous_keys {
            if secrets.previous_key_bytes().is_none() {
                found.push(no_key("secrets.previous_keys", keys));
            }
            if secrets.key.is_none() {
                let message = "has no effect without secrets.key, which takes the place of these; set it too";
                found.push(Problem::new("secrets.previous_keys", message));
            }
        }
    }

    fn check_database(&self, found: &mut Vec<Problem>) {
        match Database::parse(self.database.url.expose()) {
            Ok(Backend::Memory | Backend::Sqlite(_) | Backend::Postgres(_)) => {}
            Err(message) => found.push(Problem::new("database.url", message)),
        }
    }

    /// A batch that hangs, and the connection that is made behind it, take the time of a heartbeat or two: the third one
    /// must still come before the lease is over. A file and memory hang for no other process.
    fn check_lease(&self, found: &mut Vec<Problem>) {
        if !matches!(self.database.backend(), Ok(Backend::Postgres(_))) {
            return;
        }
        let Database {
            commit_timeout_ms: commit,
            connect_timeout_ms: connect,
            ..
        } = self.database;
        let lease = self.execution.lease_ms;
        let hung = commit.saturating_add(connect);
        if hung.saturating_mul(3) >= lease.saturating_mul(2) {
            let message = format!(
                "is too short: database.commit_timeout_ms ({commit}) and database.connect_timeout_ms ({connect}) \
                 together must be less than two thirds of it, or one hung batch costs the leases; raise it above {}, \
                 or lower these",
                hung.saturating_mul(3) / 2
            );
            found.push(Problem::new("execution.lease_ms", message));
        }
    }

    fn check_egress(&self, found: &mut Vec<Problem>) {
        found.extend(check_networks(
            "push.allowed_networks",
            &self.push.allowed_networks,
        ));
        let files = self.push.published_key_files.len();
        if files > PUBLISHED_KEYS_MAX {
            let message =
                format!("names {files} files; {PUBLISHED_KEYS_MAX} are enough for every change of a key");
            found.push(Problem::new("push.published_key_files", message));
        }
        let egress = &self.egress;
        if egress.idle_timeout_ms >= egress.connect_timeout_ms {
            let message = format!(
                "is not below egress.connect_timeout_ms, which is {}: whoever waits for a place among the connections \
                 might never get one; lower it",
                egress.connect_timeout_ms
            );
            found.push(Problem::new("egress.idle_timeout_ms", message));
        }
    }

    fn check_limits(&self, found: &mut Vec<Problem>) {
        let limits = &self.limits;
        let body_bytes_max = self.server.body_bytes_max;
        if limits.page_size_default > limits.page_size_max {
            let message = format!(
                "is above limits.page_size_max, which is {}; lower it",
                limits.page_size_max
            );
            found.push(Problem::new("limits.page_size_default", message));
        }
        if limits.part_bytes_max > body_bytes_max {
            let message = format!("is above server.body_bytes_max, which is {body_bytes_max}; lower it");
            found.push(Problem::new("limits.part_bytes_max", message));
        }
        if limits.task_bytes_max < body_bytes_max {
            let message = format!("is below server.body_bytes_max, which is {body_bytes_max}; raise it");
            found.push(Problem::new("limits.task_bytes_max", message));
        }
        if limits.batch_concurrency_max > limits.batch_requests_max {
            let message = format!(
                "is above limits.batch_requests_max, which is {}",
                limits.batch_requests_max
            );
            found.push(Problem::new("limits.batch_concurrency_max", message));
        }
    }

    /// A task that is gone before its idempotency key would be run again by a repeated send.
    fn check_retention(&self, found: &mut Vec<Problem>) {
        let least_ms = self.limits.idempotency_ttl_ms;
        let mut check = |key: String, seconds: u64| {
            if seconds > 0 && seconds.saturating_mul(1_000) < least_ms {
                let message = format!(
                    "is below limits.idempotency_ttl_ms, which is {least_ms} milliseconds; raise it, lower that, or \
                     write 0 for ever"
                );
                found.push(Problem::new(key, message));
            }
        };
        let Retention {
            completed_s,
            failed_s,
            canceled_s,
            rejected_s,
            ..
        } = self.retention;
        check("retention.completed_s".to_owned(), completed_s);
        check("retention.failed_s".to_owned(), failed_s);
        check("retention.canceled_s".to_owned(), canceled_s);
        check("retention.rejected_s".to_owned(), rejected_s);
        for (name, agent) in &self.agents {
            let Some(own) = &agent.retention else { continue };
            let times = [
                ("completed_s", own.completed_s),
                ("failed_s", own.failed_s),
                ("canceled_s", own.canceled_s),
                ("rejected_s", own.rejected_s),
            ];
            for (field, seconds) in times {
                let path = ["agents", name, "retention", field].map(str::to_owned);
                check(dotted(&path), seconds.unwrap_or(0));
            }
        }
    }

    fn check_agents(&self, found: &mut Vec<Problem>) {
        if self.default_agent.as_deref() == Some("") {
            found.push(Problem::new(
                "default_agent",
                "is empty; name an agent, or take the key out",
            ));
        }
        for (name, agent) in &self.agents {
            let key = |field: &str| dotted(&["agents".to_owned(), name.clone(), field.to_owned()]);
            check_agent(&key, agent, found);
            if !agent.organisations.is_empty() && !self.names_organisations() {
                found.push(Problem::new(
                    key("organisations"),
                    "hides the agent from everybody: no credential can name an organisation here; set \
                     organisation_claim or organisation of an issuer, auth.certificates.organisation, or \
                     auth.api_keys.enabled",
                ));
            }
        }
    }

    fn check_log(&self, found: &mut Vec<Problem>) {
        if let Err(error) = EnvFilter::try_new(&self.log.filter) {
            found.push(Problem::new(
                "log.filter",
                format!("{error}; write a level, or levels by target, like \"info,a2ad::server=debug\""),
            ));
        }
    }
}

fn check_agent(key: &dyn Fn(&str) -> String, agent: &AgentConfig, found: &mut Vec<Problem>) {
    let urls = [
        ("documentation_url", &agent.documentation_url),
        ("icon_url", &agent.icon_url),
    ];
    for (field, url) in urls {
        if let Some(url) = url {
            found.extend(check_url(&key(field), url));
        }
    }
    if let Some(provider) = &agent.provider {
        found.extend(check_url(&format!("{}.url", key("provider")), &provider.url));
        if provider.organization.is_empty() {
            found.push(Problem::new(
                format!("{}.organization", key("provider")),
                "is needed with the provider's url",
            ));
        }
    }
}

fn no_key(name: &str, secret: &Secret<String>) -> Problem {
    let message = if secret.expose() == MASK {
        "is the mask that stands for a secret where a configuration is printed; write the secret itself"
    } else {
        "is not 32 bytes in hex or base64; make one with `openssl rand -hex 32`"
    };
    Problem::new(name, message)
}

/// The first text of a list that is no network, and why.
pub(super) fn check_networks(key: &str, texts: &[String]) -> Option<Problem> {
    let wrong = |text: &String| {
        let error = text.parse::<Network>().err()?;
        Some(Problem::new(key, format!("`{text}` is no network; {error}")))
    };
    texts.iter().find_map(wrong)
}

/// URLs end up on public cards: http or https with a host, and no credentials.
pub(super) fn check_url(key: &str, text: &str) -> Option<Problem> {
    let message = match text.parse::<Uri>() {
        Ok(uri) if !is_web(&uri) => {
            "is not a URL of the web; write https://, a host, and a path if there is one"
        }
        Ok(uri)
            if uri
                .authority()
                .is_some_and(|authority| authority.as_str().contains('@')) =>
        {
            "holds credentials, and cards are public; take them out"
        }
        Ok(uri) if key == "server.public_url" && uri.query().is_some() => {
            "is a base that paths are added to; cut the `?`"
        }
        Ok(_) if text.contains('#') => "holds a fragment, which no server ever sees; cut the `#`",
        Ok(_) => return None,
        Err(_) => "is not a URL; write https://, a host, and a path if there is one",
    };
    Some(Problem::new(key, message))
}

fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Browsers compare origins as text: scheme, host and port, and nothing after them, not even a slash.
fn is_origin(text: &str) -> bool {
    let has_path = text
        .split_once("://")
        .is_none_or(|(_, rest)| rest.contains(['/', '?', '#', '@']));
    !has_path && text.parse::<Uri>().is_ok_and(|uri| is_web(&uri))
}
