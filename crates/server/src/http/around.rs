//! What stands around every request: token, origin and host, or the CORS headers, and how long answers may be kept.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Shown, Token, cookie, is_own_host};
use super::origin::{Named, may_pass, named};

/// Endings of images, whose answers may be kept.
const IMAGES: &[&str] = &["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"];

/// The origin that pages of other sites may have.
#[derive(Clone)]
pub(crate) struct Cors(Arc<[(HeaderName, HeaderValue)]>);

impl Cors {
    /// `None` when the origin can't stand in a header.
    pub(crate) fn of(origin: &str) -> Option<Self> {
        let methods = HeaderValue::from_static("POST, GET, DELETE, PUT, OPTIONS, PATCH");
        Some(Self(Arc::new([
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_str(origin).ok()?),
            (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Authorization")),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
        ])))
    }

    /// Whether pages of every origin are welcome.
    fn is_any(&self) -> bool {
        self.0.iter().any(|(name, value)| *name == header::ACCESS_CONTROL_ALLOW_ORIGIN && value == "*")
    }
}

/// Whom the server lets in.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) cors: Option<Cors>,
    pub(crate) token: Option<Token>,
    /// Names of the server that it could not know.
    pub(crate) hosts: Arc<[String]>,
}

/// Refuses what comes from a page of another site, or without the token; where pages of other sites are welcome, tells
/// browsers so.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if let Some(refused) = guard.refuses(request.headers()).await {
        return refused;
    }
    let path = request.uri().path().to_lowercase();
    let mut response = if request.method() == Method::OPTIONS {
        // Browsers ask this without showing who they are.
        StatusCode::OK.into_response()
    } else {
        guard.pass(request, next).await
    };
    keep(&path, &mut response);
    for (name, value) in guard.cors.iter().flat_map(|cors| cors.0.iter()) {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

impl Guard {
    async fn refuses(&self, headers: &HeaderMap) -> Option<Response> {
        if self.cors.is_none() && !from_here(headers).await {
            tracing::warn!("a page of another site was refused");
            return Some(StatusCode::FORBIDDEN.into_response());
        }
        // Who knows the token is no page of another site, and where all are welcome none has to hide.
        let is_open = self.token.is_some() || self.cors.as_ref().is_some_and(Cors::is_any);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if is_open || is_own_host(host, &self.hosts) {
            return None;
        }
        tracing::warn!("a request to a host that is not known was refused; --allowed-host names further ones");
        let words = "this server does not know that it is called so; start it with --allowed-host NAME";
        Some((StatusCode::FORBIDDEN, words).into_response())
    }

    /// On, if the token is shown.
    async fn pass(&self, request: Request, next: Next) -> Response {
        let Some(token) = &self.token else { return next.run(request).await };
        let query = request.uri().query().unwrap_or_default().to_owned();
        let Some(shown) = token.shown(request.headers(), &query) else {
            let asks =
                [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Kiln\", charset=\"UTF-8\""))];
            return (StatusCode::UNAUTHORIZED, asks, "the token of this server is missing or wrong").into_response();
        };
        let mut response = next.run(request).await;
        if let Some(cookie) = cookie(&query).filter(|_| shown == Shown::InAddress) {
            response
                .headers_mut()
                .extend(HeaderValue::from_str(&cookie).ok().map(|cookie| (header::SET_COOKIE, cookie)));
        }
        response
    }
}

async fn from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(host), Some(origin)) = (text(header::HOST), text(header::ORIGIN)) else { return true };
    may_pass(host, origin) || !is_this_machine(host).await
}

async fn is_this_machine(host: &str) -> bool {
    match named(host) {
        Named::Loopback => true,
        Named::Elsewhere => false,
        Named::Name(name) => match tokio::net::lookup_host((name.as_str(), 0)).await {
            Ok(addresses) => addresses.map(|address| address.ip()).all(|ip| ip.is_loopback()),
            Err(_) => false,
        },
    }
}

/// Says how long an answer may be kept, where its route did not.
fn keep(path: &str, response: &mut Response) {
    if response.headers().contains_key(header::CACHE_CONTROL) {
        return;
    }
    let file = path.rsplit('/').next().unwrap_or_default();
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    let image = IMAGES.contains(&ending);
    let code = matches!(ending, "js" | "css") || ending == "json" && file.starts_with("index");
    let value = match response.status().as_u16() {
        _ if code => "no-cache",
        404 if image => "public, max-age=3600",
        200..=206 | 301 | 308 if image => "public, max-age=86400",
        302 | 303 | 307 if image => "no-cache",
        _ => return,
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
}
