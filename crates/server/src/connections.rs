//! Connections: taken, bounded in number, with TLS or without, and closed in good order.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// So many connections are open at one time; more wait.
const MOST: usize = 8192;
/// How long to wait when the system has no descriptors left.
const PAUSE: Duration = Duration::from_millis(200);

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Connections {
    router: Router,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    /// How long a client may take to send the head of a request, or to agree on keys.
    patience: Duration,
    ended: watch::Receiver<bool>,
}

impl Connections {
    /// Clients may take so long for the head of a request.
    pub(crate) fn new(
        router: Router,
        tls: Option<TlsAcceptor>,
        patience: Duration,
        ended: watch::Receiver<bool>,
    ) -> Self {
        Self { router, tls, places: Arc::new(Semaphore::new(MOST)), patience, ended }
    }

    /// Takes connections until the end, and returns when the last one is closed.
    pub(crate) async fn take(mut self, listener: TcpListener) {
        let (open, _) = watch::channel(());
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { break };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) if is_of_one_connection(&error) => continue,
                    Err(error) => {
                        tracing::error!("connections can't be taken: {error}");
                        sleep(PAUSE).await;
                        continue;
                    }
                },
                () = end(&mut self.ended) => break,
            };
            let (this, open) = (self.clone(), open.subscribe());
            tokio::spawn(async move {
                this.serve(stream, place).await;
                drop(open);
            });
        }
        drop(listener);
        // Returns when the last receiver, and so the last connection, is gone.
        open.closed().await;
    }

    async fn serve(self, stream: TcpStream, _place: OwnedSemaphorePermit) {
        // Messages are small, and late ones are of no use.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.speak(stream).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(self.patience, tls.accept(stream)).await {
                    self.speak(stream).await;
                }
            }
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = TowerToHyperService::new(self.router.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.patience);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let mut ended = self.ended.clone();
        tokio::select! {
            // A client that breaks off is no failure of the server's.
            _ = connection.as_mut() => return,
            () = end(&mut ended) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Ends with the server.
async fn end(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|ended| *ended).await);
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
