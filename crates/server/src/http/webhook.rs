//! Webhooks: somebody is told of the end of a prompt, where the server's owner allows that host.
//!
//! Follows no redirect: a host that is allowed can't lead to one that isn't.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before each further try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Who may be told.
pub(crate) struct Hooks {
    hosts: Vec<String>,
}

/// Why nobody was told.
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Hooks {
    /// `hosts` are names, or names with a port.
    pub(crate) fn new(hosts: Vec<String>) -> Self {
        Self { hosts }
    }

    /// The address, if it may be told.
    ///
    /// # Errors
    /// A sentence, for what is no address and for a host that is not allowed.
    pub(crate) fn allowed(&self, url: &str) -> Result<Uri, String> {
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no address: {error}"))?;
        let authority = uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https")));
        let authority = authority.ok_or_else(|| format!("`{url}` is no address of http or https"))?;
        if authority.as_str().contains('@') {
            return Err("a webhook's address carries no user".into());
        }
        let port = port(&uri);
        let with_port = format!("{}:{port}", authority.host());
        let is_usual = uri.port_u16().is_none();
        let known = |host: &String| {
            host.eq_ignore_ascii_case(&with_port) || is_usual && host.eq_ignore_ascii_case(authority.host())
        };
        if self.hosts.iter().any(known) {
            return Ok(uri);
        }
        Err(format!("{with_port} is not among the hosts that may be told; --webhook-host names them"))
    }

    /// Tells it, with some patience; what fails in the end is warned of.
    pub(crate) async fn tell(&self, url: &str, body: String) {
        let Ok(uri) = self.allowed(url) else { return };
        let body = Bytes::from(body);
        let mut pauses = PAUSES.into_iter();
        loop {
            let told = timeout(PATIENCE, post(&uri, body.clone())).await;
            let why = match told {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it takes too long".into(),
            };
            let Some(pause) = pauses.next() else {
                let host = uri.host().unwrap_or_default();
                return tracing::warn!("the webhook at {host} was not told of a prompt's end: {why}");
            };
            sleep(pause).await;
        }
    }
}

/// Of the address, or the usual one.
fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

async fn post(uri: &Uri, body: Bytes) -> Result<(), Failure> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((host.as_str(), port(uri))).await?;
    if uri.scheme_str() != Some("https") {
        return send(stream, uri, body).await;
    }
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host)?, stream).await?;
    send(stream, uri, body).await
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &Uri,
    body: Bytes,
) -> Result<(), Failure> {
    let (mut to, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(body))?;
    let speaking = tokio::spawn(connection);
    let answer = to.send_request(request).await;
    speaking.abort();
    let status = answer?.status();
    if status.is_success() { Ok(()) } else { Err(format!("it says {status}").into()) }
}

#[cfg(test)]
mod tests {
    use super::Hooks;

    #[test]
    fn only_hosts_of_the_list_are_told() {
        let hooks = Hooks::new(vec!["hooks.example".into(), "127.0.0.1:9000".into()]);
        for url in ["https://hooks.example/x?y", "http://HOOKS.example", "http://127.0.0.1:9000/"] {
            assert!(hooks.allowed(url).is_ok(), "{url}");
        }
        for url in [
            "http://hooks.example:8080/",
            "http://127.0.0.1/",
            "http://127.0.0.1:9000@evil.example/",
            "http://user@hooks.example/",
            "http://hooks.example.evil.example/",
            "file:///etc/passwd",
            "ftp://hooks.example/",
            "//hooks.example/",
            "nothing at all",
        ] {
            assert!(hooks.allowed(url).is_err(), "{url}");
        }
    }
}
