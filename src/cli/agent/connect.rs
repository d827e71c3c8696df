//! From an agent card reference to an agent that can be called.

use std::sync::Arc;

use a2ad::client::transport::{Transport, transport};
use a2ad::client::{Address, Call, Client, ClientSettings, Connections, Error, Target, fetch_card};
use a2ad::context::Binding;
use a2ad::egress::EgressPolicy;
use a2ad::pb::AgentCard;
use a2ad::tls::ClientTls;
use http::{HeaderMap, HeaderName, HeaderValue};
use tower::ServiceExt as _;

use super::config::{Setting, Source};
use super::failure::Failure;
use super::options::Options;
use super::session::Session;
use super::wire::Wire;

/// An agent, and what its card says.
pub struct Agent {
    pub client: Client,
    pub card: Arc<AgentCard>,
}

impl Session {
    /// Warns of what may give secrets away.
    fn warn(&self) {
        let (to, credentials) = (&self.options.to, &self.options.credentials);
        let has_credential =
            credentials.bearer.is_some() || credentials.api_key.is_some() || !to.svc_param.is_empty();
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

    /// Fetches the card and gets ready to call the agent.
    pub async fn connect(&self) -> Result<Agent, Failure> {
        let reference = self.options.to.agent_card.as_deref().ok_or_else(|| {
            Failure::usage("no agent is named").with_hint(
                "name its card with --agent-card REF or A2ACLI_AGENT_CARD, for example -a 127.0.0.1:8420",
            )
        })?;
        self.out.progress.say("asking for the agent's card".to_owned());
        let (host, agent) = match reference.rsplit_once('/') {
            Some((host, agent)) if !host.ends_with('/') => {
                (host, Some(agent).filter(|agent| !agent.is_empty()))
            }
            _ => (reference, None),
        };
        let address: Address = host.parse().map_err(Error::from)?;
        let tls = tls(&self.options)?;
        let address = if tls.is_some() {
            address.with_tls()
        } else {
            address
        };
        let card = fetch_card(&address, tls.as_ref(), agent).await?;
        self.out.progress.say("asking the agent".to_owned());
        self.warn();
        let card = Arc::new(card);
        let settings = ClientSettings {
            timeout: self.options.times.timeout,
            ..ClientSettings::default()
        };
        let connections = Connections::open(&settings, tls.as_ref(), EgressPolicy::unrestricted())
            .await
            .map_err(Error::from)?;
        let target = Target {
            binding: Binding::Grpc,
            url: address.url().parse().map_err(|_| Failure::usage("no url"))?,
            tenant: agent.unwrap_or_default().to_owned(),
            version: self.options.to.a2a_version.clone(),
            card: Some(card.clone()),
        };
        let mut transport = transport(&target, &connections, &settings);
        if self.options.output.debug {
            transport = Wire::new(&self.options).around(transport, &target);
        }
        let mut parameters: HeaderMap = self.options.to.svc_param.iter().cloned().collect();
        parameters.extend(credential(&self.options)?);
        let introduced = transport.map_request(move |mut call: Call| {
            call.parameters.extend(parameters.clone());
            call
        });
        Ok(Agent {
            client: Client::new(target, Transport::new(introduced)),
            card,
        })
    }
}

fn tls(options: &Options) -> Result<Option<ClientTls>, Failure> {
    let to = &options.to;
    if to.cert.is_some() != to.key.is_some() {
        return Err(Failure::usage("--cert and --key belong together"));
    }
    Ok(to.ca.clone().map(|ca_file| ClientTls {
        ca_file,
        cert_file: to.cert.clone(),
        key_file: to.key.clone(),
    }))
}

fn credential(options: &Options) -> Result<Option<(HeaderName, HeaderValue)>, Failure> {
    let credentials = &options.credentials;
    let header = match (&credentials.bearer, &credentials.api_key) {
        (Some(token), _) => Some(("authorization", format!("Bearer {}", token.expose()))),
        (None, Some(key)) => Some(("x-api-key", key.expose().clone())),
        (None, None) => None,
    };
    let Some((name, text)) = header else {
        return Ok(None);
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| Failure::usage("no header"))?;
    value.set_sensitive(true);
    Ok(Some((HeaderName::from_static(name), value)))
}
