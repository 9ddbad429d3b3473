//! The server: sockets that are bound, and everything behind them.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use futures::future::join_all;
use kiln_exec::RunOptions;
use kiln_nodes::Session;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::config::Config;
use crate::files::users::Users;
use crate::http::around::{Cors, guard};
use crate::hub;
use crate::queue::{Queue, Setup};
use crate::routes;
use crate::state::App;

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
    /// Connections can't be taken any more.
    #[error("the server can't go on: {0}")]
    Serve(#[from] io::Error),
}

/// A server that listens already and answers as soon as it [runs](Self::run).
pub struct Server {
    config: Arc<Config>,
    cors: Option<Cors>,
    session: Arc<Session>,
    options: RunOptions,
    listeners: Vec<TcpListener>,
}

impl Server {
    /// Binds the addresses. `options` are those of every run.
    ///
    /// # Errors
    /// [`ServerError`] when an address can't be listened on, or when a setting makes no sense.
    pub async fn bind(config: Config, session: Session, options: RunOptions) -> Result<Self, ServerError> {
        let cors = match &config.cors {
            Some(origin) => Some(Cors::of(origin).ok_or_else(|| ServerError::Origin(origin.clone()))?),
            None => None,
        };
        let listeners = listen(&config.listen, config.port).await?;
        Ok(Self { config: Arc::new(config), cors, session: Arc::new(session), options, listeners })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `stop` ends. Then the running prompt is interrupted and recorded, and connections are closed.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when connections can't be taken any more.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let Self { config, cors, session, options, listeners } = self;
        let hub = hub::start();
        let setup =
            Setup { session: Arc::clone(&session), options, previews: config.previews, history: config.history };
        let queue = Queue::start(setup, hub.clone());
        let users = Arc::new(Users::new(config.user_directory.clone(), config.multi_user));
        let (hub_, queue_) = (hub.clone(), queue.clone());
        let app = App { config, session, hub: hub_, queue: queue_, users, catalogue: Arc::default() };
        let router = router(app, cors);
        let (end, ended) = watch::channel(false);
        let serving = listeners.into_iter().map(|listener| {
            let mut ended = ended.clone();
            let end = async move { drop(ended.wait_for(|ended| *ended).await) };
            axum::serve(listener, router.clone()).with_graceful_shutdown(end).into_future()
        });
        let serving = tokio::spawn(join_all(serving));
        let abort = serving.abort_handle();
        stop.await;
        queue.close().await;
        hub.close();
        // Only a server without connections hears nothing of it.
        let _ = end.send(true);
        match tokio::time::timeout(FAREWELL, serving).await {
            Ok(Ok(results)) => Ok(results.into_iter().collect::<io::Result<()>>()?),
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                abort.abort();
                Ok(())
            }
        }
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

fn router(app: App, cors: Option<Cors>) -> Router {
    let (compress, most) = (app.config.compress, app.config.max_upload);
    let api = routes::api();
    let page = routes::page(app.config.front_end.as_deref());
    let router = Router::new().merge(api.clone()).nest("/api", api).merge(routes::internal()).merge(page);
    let router = router.layer(DefaultBodyLimit::max(most));
    let router = if compress { router.layer(CompressionLayer::new().compress_when(texts())) } else { router };
    router.layer(middleware::from_fn_with_state(cors, guard)).with_state(app)
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
