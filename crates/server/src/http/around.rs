//! What stands around every request: the origin check or the CORS headers, and how long answers may be kept.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

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
}

/// Refuses what comes from a page of another site; or, where such pages are welcome, tells browsers so.
pub(crate) async fn guard(State(cors): State<Option<Cors>>, request: Request, next: Next) -> Response {
    let allowed = cors.is_some() || from_here(request.headers()).await;
    if !allowed {
        tracing::warn!("a page of another site was refused");
        return StatusCode::FORBIDDEN.into_response();
    }
    let path = request.uri().path().to_lowercase();
    let mut response =
        if request.method() == Method::OPTIONS { StatusCode::OK.into_response() } else { next.run(request).await };
    keep(&path, &mut response);
    for (name, value) in cors.iter().flat_map(|cors| cors.0.iter()) {
        response.headers_mut().insert(name, value.clone());
    }
    response
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
