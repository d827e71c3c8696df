//! A runtime from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{
    HostedAgent, RetentionPolicy, StartError, audit, auth, cards, push, retention, settings, signals::Signals,
};
use crate::agent::Agents;
use crate::api::Api;
use crate::audit::Store;
use crate::auth::{Authenticator, Needs};
use crate::bus::{Bus, LocalBus};
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::egress::Egress;
use crate::execution::{Executions, Sweeper};
use crate::push::Pushes;
use crate::repository::memory::MemoryRepository;
use crate::repository::sea_orm::SeaOrmRepository;
use crate::repository::{ApiKeyRepository, PushRepository, TaskRepository};
use crate::server;
use crate::service::AgentService;
use crate::shutdown::Shutdown;
use crate::tls::TlsSource;

/// How long each step of the end may take: leases handed back, the database closed, background tasks ended.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// The same when everything was told to stop at once.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// A runtime that has its socket, its database and its agents. It serves once [`Runtime::serve_until_signal`] is polled.
pub struct Runtime {
    config: Config,
    address: SocketAddr,
    base_url: String,
    listener: TcpListener,
    tls: Option<Arc<TlsSource>>,
    api: Api,
    service: AgentService,
    executions: Executions,
    repository: Arc<dyn TaskRepository>,
    outbox: Arc<dyn PushRepository>,
    pushes: Pushes,
    shutdown: Shutdown,
}

impl Runtime {
    /// Opens everything that the configuration names, and takes up what the last run left.
    ///
    /// # Errors
    /// See [`StartError`]; nothing keeps running then.
    pub async fn start(config: Config, hosted: Vec<HostedAgent>) -> Result<Self, StartError> {
        config.validate()?;
        let shutdown = Shutdown::new();
        let tls = open_tls(&config, &shutdown).await?;
        let listener = listen(&config, tls.is_some()).await?;
        let address = listener
            .local_addr()
            .map_err(|cause| listen_error(config.server.listen, cause))?;
        let base_url = config.server.public_url(address, tls.is_some());
        let security = auth::settings(&config);
        let signing_key = cards::signing_key(&config)?;
        let agents = Agents::new(
            cards::agents(hosted, &config, &base_url, &security)?,
            config.default_agent.as_deref(),
        )?;
        let Stores {
            tasks: repository,
            push: outbox,
            api_keys,
            records,
        } = open_stores(&config, &shutdown).await?;
        let clock = Clock::system();
        let audit = audit::start(&config, records, &clock, &shutdown).await?;
        let egress = Egress::open(settings::egress(&config), &shutdown).await?;
        let needs = Needs {
            clock: clock.clone(),
            shutdown: &shutdown,
            egress: &egress,
            keys: api_keys,
            secrets: settings::keys(&config)?,
        };
        let authenticator = Authenticator::new(security, needs).await?;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let pushes = push::start(push::Parts {
            config: &config,
            egress: &egress,
            tasks: &repository,
            outbox: &outbox,
            bus: &bus,
            clock: &clock,
            audit: &audit,
            shutdown: &shutdown,
        });
        let executions = Executions::new(
            repository.clone(),
            bus,
            clock.clone(),
            shutdown.clone(),
            settings::execution(&config),
            audit,
        );
        keep_up(&config, &executions, &agents, &shutdown);
        let retention = retention::keep(
            repository.clone(),
            outbox.clone(),
            RetentionPolicy::of(&config),
            clock.clone(),
            shutdown.clone(),
        );
        shutdown.spawn("retention", retention);
        let service = AgentService::new(
            agents,
            executions.clone(),
            repository.clone(),
            clock,
            shutdown.clone(),
            settings::service(&config, signing_key),
            pushes.clone(),
        )?;
        let api = Api::new(
            service.clone(),
            authenticator,
            settings::api(&config),
            shutdown.clone(),
        )
        .await?;
        Ok(Self {
            config,
            address,
            base_url,
            listener,
            tls,
            api,
            service,
            executions,
            repository,
            outbox,
            pushes,
            shutdown,
        })
    }

    /// The address that the socket is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL that stands in the cards.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// True if the socket speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The bindings, for callers in the same process.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The operations, for callers in the same process.
    pub fn service(&self) -> &AgentService {
        &self.service
    }

    /// The handle that ends the runtime.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal stops at once, whatever is under way. Signals are
    /// listened for from the call on, not from the first poll: whoever says in between that the server is ready may be
    /// answered by one.
    ///
    /// An agent that holds a thread does not hold this up. It holds tokio's runtime up when that is dropped, if the
    /// thread is one of tokio's: end with [`tokio::runtime::Runtime::shutdown_background`], as the program does.
    pub fn serve_until_signal(self) -> impl Future<Output = ()> {
        let signals = Signals::listen();
        self.serve_until_one_of(signals)
    }

    async fn serve_until_one_of(self, mut signals: Signals) {
        let shutdown = self.shutdown.clone();
        let (stop, stopped) = oneshot::channel();
        let watch = async {
            signals.next().await;
            tracing::info!("draining; a second signal stops at once");
            let _ = stop.send(());
            signals.next().await;
            shutdown.abort();
            // In the middle of the end there may be something that waits for longer.
            tokio::time::sleep(2 * LAST_MOMENT).await;
        };
        let serve = self.serve_until(async {
            let _ = stopped.await;
        });
        tokio::select! {
            () = serve => {}
            () = watch => {}
        }
    }

    /// Serves until `stop` resolves, then drains: health says NOT_SERVING, nothing new is taken, streams end with
    /// their cursor, executions and requests to webhooks get `server.drain_timeout_ms` to finish. What still runs then is left to the next
    /// start, which takes it up.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        let Self {
            config,
            listener,
            tls,
            api,
            executions,
            repository,
            outbox,
            pushes,
            shutdown,
            ..
        } = self;
        let delay = Duration::from_millis(config.server.drain_delay_ms);
        let limit = Duration::from_millis(config.server.drain_timeout_ms);
        let serving = server::serve(
            listener,
            tls,
            api.clone(),
            settings::server(&config),
            shutdown.clone(),
        );
        let draining = async {
            stop.await;
            api.not_serving().await;
            tokio::time::sleep(delay).await;
            shutdown.drain();
            executions.idle().await;
        };
        let too_long = async {
            shutdown.draining().await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            // A request that was let in last may have begun a task when nothing else ran any more.
            () = async { tokio::join!(serving, draining); executions.idle().await; pushes.idle().await } => {}
            () = shutdown.aborted() => tracing::warn!("stopped without draining"),
            () = too_long => {
                tracing::warn!(tasks = executions.running(), "stopped after the drain timeout; the next start takes up what ran");
            }
        }
        if !shutdown.is_aborted() {
            push::hand_back(&pushes, &outbox, LAST_WAIT).await;
        }
        end(&shutdown, &executions, &repository).await;
    }
}

/// Keeps what this process holds, and takes up what others have let go.
fn keep_up(config: &Config, executions: &Executions, agents: &Agents, shutdown: &Shutdown) {
    shutdown.spawn("leases", executions.clone().keep_leases());
    let pause = Duration::from_millis(config.execution.sweep_interval_ms);
    let sweeper = Sweeper::new(executions.clone(), agents.clone());
    shutdown.spawn("sweeper", sweeper.run(pause));
}

/// Stops what still runs, and lets others take it up; what was handed to the database is written before it closes.
/// When everything is stopped already there is nothing left to hand back: the leases run out by themselves.
async fn end(shutdown: &Shutdown, executions: &Executions, repository: &Arc<dyn TaskRepository>) {
    let wait = if shutdown.is_aborted() {
        LAST_MOMENT
    } else {
        hand_back(executions).await;
        LAST_WAIT
    };
    shutdown.abort();
    if tokio::time::timeout(wait, executions.audit().close())
        .await
        .is_err()
    {
        tracing::error!("the last audit records could not be written in time");
    }
    if tokio::time::timeout(wait, repository.close()).await.is_err() {
        tracing::warn!("the database did not close in time");
    }
    if !shutdown.finished(wait).await {
        tracing::warn!(tasks = shutdown.running(), "background tasks did not end in time");
    }
}

async fn hand_back(executions: &Executions) {
    let handed_back = tokio::time::timeout(LAST_WAIT, executions.hand_back_leases());
    if handed_back.await.is_err() {
        tracing::warn!("the leases could not be handed back in time; they run out by themselves");
    }
}

async fn open_tls(config: &Config, shutdown: &Shutdown) -> Result<Option<Arc<TlsSource>>, StartError> {
    let Some(settings) = settings::tls(config) else {
        return Ok(None);
    };
    let source = Arc::new(TlsSource::open(settings).await?);
    source.watch(shutdown);
    Ok(Some(source))
}

async fn listen(config: &Config, is_tls: bool) -> Result<TcpListener, StartError> {
    let address = config.server.listen;
    server::check_exposure(address, is_tls, config.server.allow_plaintext)?;
    TcpListener::bind(address)
        .await
        .map_err(|cause| listen_error(address, cause))
}

fn listen_error(address: SocketAddr, cause: std::io::Error) -> StartError {
    StartError::Listen { address, cause }
}

/// What a runtime keeps, in one database.
pub struct Stores {
    /// Tasks and what belongs to them. Closing it closes the database.
    pub tasks: Arc<dyn TaskRepository>,
    /// What waits to be sent of them.
    pub push: Arc<dyn PushRepository>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyRepository>,
    /// Audit records, where they are kept.
    pub records: Option<Arc<dyn Store>>,
}

impl Stores {
    fn lasting(repository: SeaOrmRepository) -> Self {
        let repository = Arc::new(repository);
        Self {
            tasks: repository.clone(),
            push: repository.clone(),
            api_keys: repository.clone(),
            records: Some(repository),
        }
    }

    fn passing(repository: MemoryRepository) -> Self {
        let repository = Arc::new(repository);
        Self {
            tasks: repository.clone(),
            push: repository.clone(),
            api_keys: repository,
            records: None,
        }
    }
}

/// Opens the database that a configuration names and applies missing migrations. Close it before the process ends.
///
/// # Errors
/// [`StartError::Database`] and [`StartError::Backend`].
pub async fn open_stores(config: &Config, shutdown: &Shutdown) -> Result<Stores, StartError> {
    let settings = settings::database(config)?;
    match config.database.backend().map_err(StartError::Backend)? {
        Backend::Memory => Ok(Stores::passing(MemoryRepository::new())),
        Backend::Sqlite(path) => Ok(Stores::lasting(
            SeaOrmRepository::open_sqlite(&path, &settings, shutdown).await?,
        )),
        Backend::Postgres(url) => Ok(Stores::lasting(
            SeaOrmRepository::open_postgres(url.expose(), &settings, shutdown).await?,
        )),
    }
}
