//! A runtime from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{
    HostedAgent, StartError, audit, auth, cards, engine::Engine, push, settings, signals::Signals, signing,
};
use crate::agent::Agents;
use crate::api::Api;
use crate::auth::{Authenticator, Needs};
use crate::config::Config;
use crate::execution::Executions;
use crate::push::Pushes;
use crate::repository::{PushRepository, TaskRepository};
use crate::server;
use crate::service::AgentService;
use crate::service::push_admin::{PushAdmin, PushAdminParts};
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
        let secrets = settings::keys(&config)?;
        let signing_keys = signing::keys(&config, &secrets)?;
        let agents = Agents::new(
            cards::agents(hosted, &config, &base_url, &security)?,
            config.default_agent.as_deref(),
        )?;
        let engine = Engine::start(&config, &agents, signing_keys.push.clone(), &shutdown).await?;
        let needs = Needs {
            clock: engine.clock.clone(),
            shutdown: &shutdown,
            egress: &engine.egress,
            keys: engine.api_keys.clone(),
            secrets,
        };
        let authenticator = Authenticator::new(security, needs).await?;
        let Engine {
            repository,
            outbox,
            executions,
            pushes,
            clock,
            ..
        } = engine;
        let service = AgentService::new(
            agents,
            executions.clone(),
            repository.clone(),
            clock,
            shutdown.clone(),
            settings::service(&config, signing_keys),
            pushes.clone(),
        )?;
        let api = Api::with_admin(
            service.clone(),
            push_admin(
                &config,
                &service,
                (outbox.clone(), pushes.clone()),
                &repository,
                &shutdown,
            ),
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
            Arc::new(audit::Certificates(executions.audit().clone())),
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

/// The operators' service, where the configuration says so.
fn push_admin(
    config: &Config,
    service: &AgentService,
    (push, pushes): (Arc<dyn PushRepository>, Pushes),
    tasks: &Arc<dyn TaskRepository>,
    shutdown: &Shutdown,
) -> Option<PushAdmin> {
    let parts = PushAdminParts {
        push,
        pushes,
        tasks: tasks.clone(),
        audit: service.audit().clone(),
        quotas: service.quotas().clone(),
        shutdown: shutdown.clone(),
        changes: service.changes().clone(),
        settings: settings::push_admin(config),
    };
    config.admin.enabled.then(|| PushAdmin::new(parts))
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
