//! From an agent card reference to an agent that can be called.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use a2ad::client::credential::{Given, Origins};
use a2ad::client::{
    CardReference, Client, ClientBuilder, ClientSettings, Credential, Error, LayerSettings, ResolvedCard,
};
use a2ad::pb::AgentCard;
use a2ad::pb::security_scheme::Scheme;
use a2ad::tls::ClientTls;
use http::{HeaderMap, Uri};

use super::auth;
use super::cache::FileCards;
use super::config::{Setting, Source};
use super::failure::{Code, Failure};
use super::options::{Options, header};
use super::session::Session;
use super::wire::Wire;

/// How much later than the command a single call would end.
const GRACE: Duration = Duration::from_secs(5);
/// Headers that any card may ask for a key in.
const USUAL_HEADERS: [&str; 2] = ["authorization", "x-api-key"];

/// An agent, and what its card says.
pub struct Agent {
    pub client: Client,
    pub card: Arc<AgentCard>,
}

impl Session {
    /// Warns of what may give secrets away, once.
    pub fn warn(&self) {
        if self.is_warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let (to, credentials) = (&self.options.to, &self.options.credentials);
        let has_credential = credentials.bearer.is_some()
            || credentials.api_key.is_some()
            || !to.svc_param.is_empty()
            || self.has_client()
            || auth::has_login(self);
        if to.insecure {
            self.out.warning(
                "--insecure: certificates are not verified; everybody on the way can read and change what is said",
            );
            if has_credential {
                self.out
                    .warning("a credential is sent over a connection whose certificate is not verified");
            }
        }
        let source = |name: &str| {
            let setting = Setting::of(name)?;
            Some(self.options.given.effective(setting, &self.sources).1)
        };
        let is_found = |name: &str| source(name).is_some_and(|source| self.sources.is_found(&source));
        let leads_away = ["agent-card", "insecure", "ca"]
            .into_iter()
            .find(|name| is_found(name));
        let is_ours =
            |name: &str| source(name).is_some_and(|source| source != Source::Default) && !is_found(name);
        if let Some(name) = leads_away
            && ["bearer", "api-key", "svc-param"].into_iter().any(is_ours)
        {
            let file = source(name).map(|source| source.to_string()).unwrap_or_default();
            self.out.warning(&format!(
                "a credential of yours goes where {file} of this folder says (--{name}); name the agent with -a if you \
                 don't trust it"
            ));
        }
    }

    /// What makes clients, as the options say.
    pub fn builder(&self) -> Result<ClientBuilder, Failure> {
        let (to, credentials) = (&self.options.to, &self.options.credentials);
        let settings = limits(self.options.times.timeout);
        let timeout = settings.timeout;
        let layers = LayerSettings {
            timeout,
            ..LayerSettings::default()
        };
        let mut builder = Client::builder()
            .settings(settings)
            .layers(layers)
            .dangerously_insecure(to.insecure)
            .prefer(to.transport.iter().copied())
            .version(&to.a2a_version)
            .parameters(to.svc_param.iter().cloned().collect());
        for name in &credentials.api_key_header {
            builder = builder.allow_header(name.clone());
        }
        for uri in &to.extension {
            builder = builder.extension(uri);
        }
        if let Some(tls) = tls(&self.options)? {
            builder = builder.tls(tls);
        }
        // What was come by under authorities of the user's own is kept for nobody who does not name them.
        if to.ca.is_none()
            && let Some(cards) = FileCards::of_user()
        {
            builder = builder.store(Arc::new(cards));
        }
        let token = credentials.bearer.clone().map(Credential::Token);
        let key = credentials.api_key.clone().map(Credential::ApiKey);
        for credential in token.into_iter().chain(key) {
            builder = builder.credential(match credentials.credential_origin.as_slice() {
                [] => Given::new(credential),
                origins => Given::for_origins(credential, &self.origins(origins)?)?,
            });
        }
        let origins = Origins::of(&credentials.credential_origin)?;
        Ok(builder.parameter_origins(origins).tap(Arc::new(self.wire())))
    }

    /// The origins that credentials may go to: those that are named, and that of the agent.
    fn origins(&self, named: &[String]) -> Result<Vec<String>, Failure> {
        let urls = self.reference()?.urls();
        let own = urls.iter().filter_map(|url| url.parse::<Uri>().ok());
        let own = own.filter_map(|uri| {
            let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
            Some(format!("{scheme}://{authority}"))
        });
        Ok(own.chain(named.iter().cloned()).collect())
    }

    /// What looks at the wire.
    fn wire(&self) -> Wire {
        Wire::new(&self.out.secrets, self.options.output.debug)
    }

    /// The failure to make a client. Service parameters may be credentials and don't go where only a card leads to: where
    /// they are the reason, it says what allows it.
    async fn without_parameters(
        &self,
        error: Error,
        builder: &ClientBuilder,
        resolved: &ResolvedCard,
    ) -> Failure {
        let bare = builder.clone().parameters(HeaderMap::new());
        let is_theirs = matches!(error, Error::Credential(_)) && !self.options.to.svc_param.is_empty();
        let elsewhere = match is_theirs {
            true => bare.instances(resolved).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let Some(first) = elsewhere.first() else {
            return self.without_header(error, &resolved.card);
        };
        let origin = first.target.origin();
        let message =
            format!("the agent is at {origin}, which only its card names: --svc-param is not sent there");
        Failure::usage(message).with_hint(format!("--credential-origin {origin} allows it"))
    }

    /// The agent that is named.
    pub fn reference(&self) -> Result<CardReference, Failure> {
        let reference = self.options.to.agent_card.as_deref().ok_or_else(|| {
            Failure::usage("no agent is named").with_hint(
                "name its card with --agent-card REF or A2ACLI_AGENT_CARD, for example -a 127.0.0.1:8420",
            )
        })?;
        Ok(reference.parse().map_err(Error::Reference)?)
    }

    /// Finds the card, and gets ready to call the agent.
    pub async fn connect(&self) -> Result<Agent, Failure> {
        let (builder, reference) = (self.builder()?, self.reference()?);
        let resolved = self.resolve(&builder, &reference).await?;
        let builder = auth::signed_in(self, builder, &resolved).await?;
        let card = resolved.card.clone();
        let client = self.client(&builder, resolved).await?;
        let target = client.target();
        self.wire().say(&format!(
            "interface {} {}, version {}, tenant {:?}",
            target.binding.as_str(),
            target.url,
            target.version,
            target.tenant
        ));
        self.out.progress.say("asking the agent".to_owned());
        Ok(Agent { client, card })
    }

    /// The agent of a card, if what the user gave may go wherever calls may go.
    pub async fn client(&self, builder: &ClientBuilder, resolved: ResolvedCard) -> Result<Client, Failure> {
        match builder.client(resolved.clone()).await {
            Ok(client) => Ok(client),
            Err(error) => Err(self.without_parameters(error, builder, &resolved).await),
        }
    }

    /// The failure to make a client; where the card wants the key in a header of its own, with the option that allows it.
    fn without_header(&self, error: Error, card: &AgentCard) -> Failure {
        let credentials = &self.options.credentials;
        let schemes = card.security_schemes.values();
        let names = schemes.filter_map(|scheme| match &scheme.scheme {
            Some(Scheme::ApiKeySecurityScheme(key)) if key.location == "header" => header(&key.name).ok(),
            _ => None,
        });
        let wanted = names.into_iter().find(|name| {
            !USUAL_HEADERS.contains(&name.as_str()) && !credentials.api_key_header.contains(name)
        });
        match (&error, wanted) {
            (Error::Credential(_), Some(name)) if credentials.api_key.is_some() => Failure::new(
                Code::CredentialsMissing,
                error.to_string(),
            )
            .with_hint(format!(
                "--api-key-header {name} allows it, if that is where the agent's owner says the key belongs"
            )),
            _ => error.into(),
        }
    }

    /// Finds the card of the agent that is named.
    pub async fn resolve(
        &self,
        builder: &ClientBuilder,
        reference: &CardReference,
    ) -> Result<ResolvedCard, Failure> {
        self.warn();
        self.out.progress.say("asking for the agent's card".to_owned());
        let resolved = builder.resolve(reference).await?;
        self.wire().say(&format!(
            "card of {:?} from {}, signature {:?}",
            resolved.card.name, resolved.source, resolved.signature
        ));
        Ok(resolved)
    }
}

/// The limits of a command that has so much time. The end of the command's own time says more: it knows the task.
fn limits(timeout: Duration) -> ClientSettings {
    let timeout = timeout.saturating_add(GRACE);
    ClientSettings {
        timeout,
        upload_idle_timeout: timeout,
        ..ClientSettings::default()
    }
}

fn tls(options: &Options) -> Result<Option<ClientTls>, Failure> {
    let to = &options.to;
    if to.cert.is_some() != to.key.is_some() {
        return Err(Failure::usage("--cert and --key belong together"));
    }
    if to.cert.is_some() && to.ca.is_none() {
        return Err(Failure::usage(
            "--cert needs --ca with the authorities that the agent's certificate must come from",
        ));
    }
    Ok(to.ca.clone().map(|ca_file| ClientTls {
        ca_file,
        cert_file: to.cert.clone(),
        key_file: to.key.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_command_before_its_time() {
        let hour = Duration::from_secs(3_600);
        let limits = limits(hour);
        assert!(limits.timeout > hour && limits.upload_idle_timeout > hour);
    }
}
