//! From what a user knows of an agent to a [`Client`] of it.

mod instances;

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::card::{
    CardReference, CardStore, Documents, MemoryCards, Policies, ResolvedCard, Resolver, Verification,
};
use super::connections::{Network, egress};
use super::credential::{Given, Origins, Parameters};
use super::layers::{Interceptor, LayerSettings, stack};
use super::pool::Configs;
use super::wire::Tap;
use super::{Client, ClientSettings, Error, Instance};
use crate::context::Binding;
use crate::egress::{Dial, Egress, EgressClient, EgressPolicy, EgressSettings, Resolve};
use crate::service::VERSION;
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
    network: Option<Network>,
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
            network: None,
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

    /// What may be reached of what the user names; everything unless said otherwise. What a card that came from the public
    /// internet names is reached under the same policy if it is one that restricts, and else only on the public internet.
    #[must_use]
    pub fn policy(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Another way to look names up, and another one to connect, than those of the system. Policies judge what it answers.
    #[must_use]
    pub fn network(mut self, resolver: Arc<dyn Resolve>, dialer: Arc<dyn Dial>) -> Self {
        self.network = Some((resolver, dialer));
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

    /// Service parameters of every call (specification 3.2.6). Each counts as a secret, whether it is marked sensitive or not:
    /// interfaces that are not of the origin that the user names, nor of [`ClientBuilder::parameter_origins`], are not used
    /// then.
    #[must_use]
    pub fn parameters(mut self, parameters: HeaderMap) -> Self {
        self.parameters.headers = parameters;
        self
    }

    /// Origins that the parameters may go to beside the one that the user names.
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
        let ways = [&configs.with_certificate, &configs.without].map(|tls| self.egress(tls.clone()));
        let policies = Policies::of(self.policy.clone());
        let given = self.credentials.clone();
        let documents = Documents::new(ways, policies, store, self.settings.clone(), given);
        Ok(Resolver::new(documents, self.verification.clone()))
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
        egress(limits, tls, self.network.as_ref())
    }
}
