//! `/object_info`: what nodes there are, made once for as long as no folder changes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use kiln_nodes::Session;
use serde_json::{Map, Value};

use crate::files::stamp;
use crate::http::answer::{Answer, JSON, Json};
use crate::http::blocking::blocking;
use crate::state::{App, Catalogue};

pub(crate) async fn all(State(app): State<App>, headers: HeaderMap) -> Answer {
    let catalogue = blocking(move || Ok(current(&app))).await?;
    Ok(respond(&catalogue, &headers))
}

pub(crate) async fn one(State(app): State<App>, Path(class): Path<String>) -> Answer<Json<Value>> {
    blocking(move || {
        let engine = app.session.engine();
        let found = engine.registry().get(&class).map(|found| found.def_now(engine.host()).to_object_info());
        Ok(Json(found.map(|info| (class, info)).into_iter().collect::<Map<_, _>>().into()))
    })
    .await
}

/// The catalogue; a new one if a folder has changed since the last.
fn current(app: &App) -> Arc<Catalogue> {
    let stamp = stamp::of(app.session.environment().folders());
    if let Some(known) = app.catalogue.get().filter(|known| known.stamp == stamp) {
        return known;
    }
    let new = Arc::new(make(&app.session, stamp));
    app.catalogue.set(Arc::clone(&new));
    new
}

fn make(session: &Session, stamp: u64) -> Catalogue {
    let classes = session.definitions();
    let classes: Map<String, Value> =
        classes.iter().map(|def| (def.class_type.to_string(), def.to_object_info())).collect();
    let json = Value::Object(classes).to_string();
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    // Writing into memory does not fail.
    let gzip = gzip.write_all(json.as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
    let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).unwrap_or(HeaderValue::from_static(""));
    Catalogue { stamp, tag, json: json.into(), gzip: gzip.into() }
}

fn respond(catalogue: &Catalogue, asked: &HeaderMap) -> Response {
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let tag = (header::ETAG, catalogue.tag.clone());
    let known = text(header::IF_NONE_MATCH).split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    if known.into_iter().any(|known| known == "*" || catalogue.tag == known) {
        return (StatusCode::NOT_MODIFIED, [tag]).into_response();
    }
    let common = [
        tag,
        (header::CONTENT_TYPE, JSON),
        (header::VARY, HeaderValue::from_static("Accept-Encoding")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if accepts_gzip(text(header::ACCEPT_ENCODING)) && !catalogue.gzip.is_empty() {
        return (common, [(header::CONTENT_ENCODING, "gzip")], catalogue.gzip.clone()).into_response();
    }
    (common, catalogue.json.clone()).into_response()
}

/// Whether `gzip` is named, and not with a weight of nothing.
fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim() == "gzip" && weight != Some(0.0)
    })
}
