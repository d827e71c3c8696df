//! From what a user knows of an agent to a [`Client`] of it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::card::{
    CardReference, CardStore, Documents, MemoryCards, ResolvedCard, Resolver, Verification, choose, place_of,
};
use super::credential::{Authorize, Given, Origins, Parameters, Plan, Showing};
use super::layers::{Interceptor, LayerSettings, stack};
use super::pool::{Configs, Pool};
use super::transport::{Transport, transport};
use super::wire::Tap;
use super::{Client, ClientSettings, Connections, Error, Instance, Target};
use crate::context::Binding;
use crate::egress::{Egress, EgressClient, EgressPolicy, EgressSettings};
use crate::service::VERSION;
use crate::shutdown::Shutdown;
use crate::tls::{self, ClientTls};

/// How clients of agents are made. Clones share the cards that were fetched.
///
/// ```no_run
/// # use a2ad::client::{Client, Credential, Error};
/// # use a2ad::config::Secret;
/// # async fn connect(token: Secret<String>) -> Result<(), Error> {
/// let client = Client::builder()
///     .credential(Credential::Token(token))
///     .connect("agents.example.com")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientBuilder {
    settings: Arc<ClientSettings>,
    tls: Option<ClientTls>,
    is_insecure: bool,
    policy: EgressPolicy,
    credentials: Vec<Given>,
    allowed_headers: Vec<HeaderName>,
    prefer: Vec<Binding>,
    verification: Option<Verification>,
    extensions: Vec<String>,
    version: String,
    store: Arc<dyn CardStore>,
    parameters: Parameters,
    tap: Option<Arc<dyn Tap>>,
    layers: LayerSettings,
    interceptors: Vec<Arc<dyn Interceptor>>,
    /// Made of the files once.
    configs: Arc<OnceCell<Configs>>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        let settings = ClientSettings::default();
        Self {
            store: Arc::new(MemoryCards::new(settings.card_cache_bytes_max)),
            settings: Arc::new(settings),
            tls: None,
            is_insecure: false,
            policy: EgressPolicy::unrestricted(),
            credentials: Vec::new(),
            allowed_headers: Vec::new(),
            prefer: Vec::new(),
            verification: None,
            extensions: Vec::new(),
            version: VERSION.to_owned(),
            parameters: Parameters::default(),
            tap: None,
            layers: LayerSettings::default(),
            interceptors: Vec::new(),
            configs: Arc::default(),
        }
    }
}

impl ClientBuilder {
    /// The limits. They begin a new cache in memory, of the size that they say.
    #[must_use]
    pub fn settings(mut self, settings: ClientSettings) -> Self {
        self.store = Arc::new(MemoryCards::new(settings.card_cache_bytes_max));
        self.settings = Arc::new(settings);
        self
    }

    /// The authorities that count in place of those of the system, and the client's certificate, which is shown to the
    /// origin that the user names and to no other. They begin a new cache of cards in memory: what other authorities vouched
    /// for does not count under these.
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.store = Arc::new(MemoryCards::new(self.settings.card_cache_bytes_max));
        self.tls = Some(tls);
        self.configs = Arc::default();
        self
    }

    /// Takes any certificate of a server, for development: whoever stands in between reads and changes everything,
    /// credentials included. Cards are not kept then.
    #[must_use]
    pub fn dangerously_insecure(mut self, is_insecure: bool) -> Self {
        self.is_insecure = is_insecure;
        self.configs = Arc::default();
        self
    }

    /// What may be reached of what the user names; everything unless said otherwise. What the card of a public host names
    /// elsewhere is reached under the same policy if it is one that restricts, and else only on the public internet.
    #[must_use]
    pub fn policy(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// One more credential. It goes to the origin that the user names, unless it was [given](Given) for others.
    #[must_use]
    pub fn credential(mut self, credential: impl Into<Given>) -> Self {
        self.credentials.push(credential.into());
        self
    }

    /// A header that a card may ask for an API key in, beside `authorization` and `x-api-key`.
    #[must_use]
    pub fn allow_header(mut self, name: HeaderName) -> Self {
        self.allowed_headers.push(name);
        self
    }

    /// The bindings to prefer, the best first. Without any, and where the card offers none of them, the card's order
    /// counts.
    #[must_use]
    pub fn prefer(mut self, bindings: impl IntoIterator<Item = Binding>) -> Self {
        self.prefer = bindings.into_iter().collect();
        self
    }

    /// The keys that cards are verified with.
    #[must_use]
    pub fn verification(mut self, verification: Verification) -> Self {
        self.verification = Some(verification);
        self
    }

    /// An extension that is declared with every call (`A2A-Extensions`, specification 3.2.6).
    #[must_use]
    pub fn extension(mut self, uri: impl Into<String>) -> Self {
        self.extensions.push(uri.into());
        self
    }

    /// The protocol version that is named with every call; 1.0 unless said otherwise.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Service parameters of every call (specification 3.2.6). Secrets among them have to be marked sensitive: interfaces that
    /// are not of the origin that the user names, nor of [`ClientBuilder::parameter_origins`], are not used then.
    #[must_use]
    pub fn parameters(mut self, parameters: HeaderMap) -> Self {
        self.parameters.headers = parameters;
        self
    }

    /// Origins that secrets among the parameters may go to beside the one that the user names.
    #[must_use]
    pub fn parameter_origins(mut self, origins: Origins) -> Self {
        self.parameters.origins = origins;
        self
    }

    /// Looks at what goes over the wire, credentials included.
    #[must_use]
    pub fn tap(mut self, tap: Arc<dyn Tap>) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Where cards are kept, in place of memory.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn CardStore>) -> Self {
        self.store = store;
        self
    }

    /// What the layers around the agent do: how long calls wait, what is repeated, when an agent is left alone.
    #[must_use]
    pub fn layers(mut self, layers: LayerSettings) -> Self {
        self.layers = layers;
        self
    }

    /// One more that sees each attempt of each call; the first sees it first.
    #[must_use]
    pub fn interceptor(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.interceptors.push(interceptor);
        self
    }

    /// The card that a reference names.
    ///
    /// # Errors
    /// As [`Resolver::resolve`]; [`Error::Tls`] when a certificate file can't be used.
    pub async fn resolve(&self, reference: &CardReference) -> Result<ResolvedCard, Error> {
        self.resolver().await?.resolve(reference).await
    }

    /// The agent that a reference names. It is connected to with the first call.
    ///
    /// # Errors
    /// As [`ClientBuilder::resolve`] and [`ClientBuilder::client`].
    pub async fn connect(
        &self,
        reference: impl TryInto<CardReference, Error: Into<Error>>,
    ) -> Result<Client, Error> {
        let reference = reference.try_into().map_err(Into::into)?;
        let resolved = self.resolve(&reference).await?;
        self.client(resolved).await
    }

    /// The agent of a card.
    ///
    /// # Errors
    /// [`Error::Card`] when no interface of the card can be used; [`Error::Credential`] when the credentials must not go to
    /// any of those that can; [`Error::Tls`].
    pub async fn client(&self, resolved: ResolvedCard) -> Result<Client, Error> {
        let instances = self.instances(&resolved).await?;
        let first = instances
            .first()
            .ok_or_else(|| Error::Card("it has no interface".to_owned()))?;
        let agent = Instance {
            target: first.target.clone(),
            transport: stack(instances, &self.layers, self.interceptors.clone()),
        };
        let client = Client::of_instance(agent, resolved, self.verification.clone());
        client
            .with_parameters(&self.parameters.headers)
            .declaring(&self.extensions)
    }

    /// The interfaces that calls may go to, all of the binding that was chosen: the best one, and others of the agent that
    /// are as good: with the same tenant, and shown the same credentials, as a task is its owner's only. An interface that can't be used is left out unless all are.
    ///
    /// # Errors
    /// As [`ClientBuilder::client`].
    pub async fn instances(&self, resolved: &ResolvedCard) -> Result<Vec<Instance>, Error> {
        let chosen = choose(&resolved.card, &self.prefer)?;
        let mut pool = Pool::new(self.configs().await?.clone()).tapped(self.tap.clone());
        let linked = self.linked_policy();
        let (mut instances, mut failed) = (Vec::<Instance>::new(), None);
        for interface in chosen {
            let Some(binding) = Target::binding_of(interface) else {
                continue;
            };
            let first = instances.first().map(|first| &*first.target);
            let is_other = first.is_some_and(|first| first.binding != binding);
            if is_other || instances.len() >= self.settings.instances_max {
                break;
            }
            let place = place_of(interface, &resolved.card, &resolved.source);
            let allowed = resolved.source.policy(&place, &self.policy, &linked);
            let (policy, url) = match allowed {
                Ok(allowed) => allowed,
                Err(error) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            };
            let target = Target {
                binding,
                url,
                tenant: interface.tenant.clone(),
                version: self.version.clone(),
                card: Some(resolved.card.clone()),
            };
            if !self
                .parameters
                .are_for(&target.url, resolved.named_origin.as_deref())
            {
                failed = failed.or(Some(Error::Credential(format!(
                    "the service parameters are not given for {}, which only the card names",
                    target.origin()
                ))));
                continue;
            }
            let shown = self.shown(&target, resolved);
            if first
                .is_some_and(|first| first.tenant != target.tenant || self.shown(first, resolved) != shown)
            {
                continue;
            }
            let connections = pool.of(&self.settings, policy, shown.0);
            match self.instance(target, resolved, connections, shown.0) {
                Ok(instance) => instances.push(instance),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if instances.is_empty() => Err(error),
            _ => Ok(instances),
        }
    }

    /// As whom this client comes to an interface: whether with its certificate, and with which of its credentials.
    fn shown(&self, target: &Target, resolved: &ResolvedCard) -> (bool, Vec<bool>) {
        let (url, named) = (&target.url, resolved.named_origin.as_deref());
        let has_certificate = self.tls.as_ref().is_some_and(|tls| tls.cert_file.is_some());
        let is_fit = url.scheme_str() == Some("https") && Given::is_named(url, named);
        let given = self.credentials.iter().map(|given| given.is_for(url, named));
        (has_certificate && is_fit, given.collect())
    }

    fn instance(
        &self,
        target: Target,
        resolved: &ResolvedCard,
        connections: &Connections,
        has_certificate: bool,
    ) -> Result<Instance, Error> {
        let showing = Showing {
            given: &self.credentials,
            named: resolved.named_origin.as_deref(),
            parameter_origins: &self.parameters.origins,
            allowed_headers: &self.allowed_headers,
            has_certificate,
        };
        let plan = Plan::of(&target, showing)?;
        let mut binding = transport(&target, connections, &self.settings);
        if let Some(tap) = &self.tap {
            binding = tap.around(binding, &target);
        }
        Ok(Instance {
            target: Arc::new(target),
            transport: Transport::new(Authorize::new(binding, plan)),
        })
    }

    /// A client for small documents under this builder's policy and authorities, which shows no certificate: for
    /// authorization servers. It checks theirs in any case.
    ///
    /// # Errors
    /// [`Error::Tls`] when a certificate file can't be used.
    pub async fn web(&self) -> Result<EgressClient, Error> {
        let ca_file = self.tls.as_ref().map(|tls| tls.ca_file.as_path());
        let tls = tls::web_client(ca_file, &[]).await?;
        Ok(self.egress(tls).client(self.policy.clone()))
    }

    async fn resolver(&self) -> Result<Resolver, Error> {
        let configs = self.configs().await?;
        let store: Arc<dyn CardStore> = if self.is_insecure {
            Arc::new(MemoryCards::new(self.settings.card_cache_bytes_max))
        } else {
            self.store.clone()
        };
        // The certificate is for the agent that the user names, and so is its card.
        let named = self.egress(configs.with_certificate.clone());
        let other = self.egress(configs.without.clone());
        let clients = [
            named.client(self.policy.clone()),
            other.client(self.policy.clone()),
            other.client(self.linked_policy()),
        ];
        let documents = Documents::new(clients, store, self.settings.clone());
        Ok(Resolver::new(documents, self.verification.clone()))
    }

    /// What strangers' documents may lead to.
    fn linked_policy(&self) -> EgressPolicy {
        if self.policy.unrestricted {
            EgressPolicy::default()
        } else {
            self.policy.clone()
        }
    }

    async fn configs(&self) -> Result<&Configs, Error> {
        let read = || Configs::read(self.tls.as_ref(), self.is_insecure);
        Ok(self.configs.get_or_try_init(read).await?)
    }

    fn egress(&self, tls: ClientConfig) -> Egress {
        let limits = EgressSettings {
            connect_timeout: self.settings.connect_timeout,
            timeout: self.settings.card_timeout,
            response_bytes_max: self.settings.card_bytes_max,
            connections_max: self.settings.connections_max,
            ..EgressSettings::default()
        };
        Egress::with_tls(limits, tls, &Shutdown::new())
    }
}
