//! The server: sockets that are bound, and everything behind them.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use futures::future::join_all;
use kiln_exec::RunOptions;
use kiln_nodes::Session;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::config::Config;
use crate::connections::Connections;
use crate::files::users::Users;
use crate::http::access::Token;
use crate::http::around::{Cors, Guard, guard};
use crate::http::webhook::Hooks;
use crate::hub;
use crate::queue::{Queue, Setup};
use crate::routes;
use crate::state::App;
use crate::store::{Bounds, Store};
use crate::tls::acceptor;

/// How long connections may take to end after the last prompt.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a server doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {source}; another program may, choose another port")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The origin can't stand in a header.
    #[error("`{0}` is no origin; write https://example.org, or * for all")]
    Origin(String),
    /// The certificate or its key can't be used.
    #[error("TLS can't be used: {0}")]
    Tls(String),
    /// The queue and the history can't be used.
    #[error("{0}")]
    Store(String),
}

/// A server that listens already and answers as soon as it [runs](Self::run).
pub struct Server {
    config: Arc<Config>,
    guard: Guard,
    tls: Option<TlsAcceptor>,
    sessions: Vec<Arc<Session>>,
    store: Store,
    options: RunOptions,
    listeners: Vec<TcpListener>,
}

impl Server {
    /// Binds the addresses. `options` are those of every run.
    ///
    /// # Errors
    /// [`ServerError`] when an address can't be listened on, when a setting makes no sense, or when the queue that an earlier
    /// server has left can't be used.
    pub async fn bind(config: Config, session: Session, options: RunOptions) -> Result<Self, ServerError> {
        let cors = match &config.cors {
            Some(origin) => Some(Cors::of(origin).ok_or_else(|| ServerError::Origin(origin.clone()))?),
            None => None,
        };
        let tls = config.tls.as_ref().map(acceptor).transpose().map_err(ServerError::Tls)?;
        let token = config.token.as_deref().map(Token::new);
        let guard = Guard { cors, token, hosts: config.hosts.clone().into() };
        let listeners = listen(&config.listen, config.port).await?;
        let bounds = Bounds { entries: config.history as u64, bytes: config.history_bytes };
        let store = Store::open(config.data.as_deref(), bounds).map_err(|e| ServerError::Store(e.to_string()))?;
        let sessions = vec![Arc::new(session)];
        Ok(Self { config: Arc::new(config), guard, tls, sessions, store, options, listeners })
    }

    /// Adds sessions: as many prompts more run at the same time. They should share one
    /// [`Environment`](kiln_nodes::Environment), and so one budget.
    #[must_use]
    pub fn with_lanes(mut self, sessions: impl IntoIterator<Item = Session>) -> Self {
        self.sessions.extend(sessions.into_iter().map(Arc::new));
        self
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `stop` ends. Then the running prompt ends within [`Config::grace`] or is stopped, to run again after the
    /// next start, and connections are closed.
    ///
    /// # Errors
    /// [`ServerError::Store`] when what an earlier server has left can't be read.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let Self { config, guard, tls, sessions, store, options, listeners } = self;
        let hub = hub::start(config.log.clone());
        let session = Arc::clone(&sessions[0]);
        let hooks = Arc::new(Hooks::new(config.webhook_hosts.clone()));
        let setup =
            Setup { sessions, options, previews: config.previews, resume: config.resume, hooks: Arc::clone(&hooks) };
        let queue = Queue::start(setup, hub.clone(), store).map_err(|e| ServerError::Store(e.to_string()))?;
        let (grace, patience) = (config.grace, config.patience);
        let users = Arc::new(Users::new(config.user_directory.clone(), config.multi_user));
        let (hub_, queue_) = (hub.clone(), queue.clone());
        let sockets = Arc::new(Semaphore::new(config.sockets));
        let (catalogue, since) = (Arc::default(), Instant::now());
        let app = App { config, session, hub: hub_, queue: queue_, users, catalogue, sockets, hooks, since };
        let router = router(app, guard);
        let (end, ended) = watch::channel(false);
        let connections = Connections::new(router, tls, patience, ended);
        let serving = listeners.into_iter().map(|listener| connections.clone().take(listener));
        let serving = tokio::spawn(join_all(serving.collect::<Vec<_>>()));
        drop(connections);
        let abort = serving.abort_handle();
        stop.await;
        queue.close(grace).await;
        hub.close();
        // Only a server without connections hears nothing of it.
        let _ = end.send(true);
        if tokio::time::timeout(FAREWELL, serving).await.is_err() {
            abort.abort();
        }
        Ok(())
    }
}

async fn listen(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, ServerError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut port = port;
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match TcpListener::bind(address).await {
            Ok(listener) => {
                // A port that the system chose is that of every address.
                port = listener.local_addr().map_or(port, |address| address.port());
                listeners.push(listener);
            }
            // `::` often listens on IPv4 as well.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && ip.is_unspecified() && !listeners.is_empty() => {}
            Err(source) => return Err(ServerError::Bind { address, source }),
        }
    }
    Ok(listeners)
}

fn router(app: App, guarding: Guard) -> Router {
    let (compress, most, patience) = (app.config.compress, app.config.max_upload, app.config.patience);
    let api = routes::api();
    let page = routes::page(app.config.front_end.as_deref());
    let router = Router::new()
        .merge(api.clone())
        .nest("/api", api)
        .merge(routes::internal())
        .merge(routes::own_page())
        .merge(page);
    let router = router.layer(DefaultBodyLimit::max(most)).layer(RequestBodyTimeoutLayer::new(patience));
    let router = if compress { router.layer(CompressionLayer::new().compress_when(texts())) } else { router };
    router.layer(middleware::from_fn_with_state(guarding, guard)).with_state(app)
}

/// JSON and plain text are compressed, pictures and the page's files are not.
fn texts() -> impl Predicate {
    SizeAbove::new(256)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("audio/"))
        .and(NotForContentType::const_new("text/html"))
}
