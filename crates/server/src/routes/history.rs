//! The history: pages, single entries, forgetting.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::answer::{Answer, JSON, Refusal};
use crate::http::blocking::blocking;
use crate::http::body;
use crate::queue::handle::State as Known;
use crate::state::App;
use crate::store::Page;

/// The header that says what is known of an id, as ComfyUI's answer is the same for an unknown one and one that waits.
const STATE: &str = "kiln-prompt-state";

/// A whole number out of a query; as ComfyUI's, one below zero is none.
fn number(query: &HashMap<String, String>, name: &str) -> Answer<Option<usize>> {
    let Some(given) = query.get(name) else { return Ok(None) };
    let wrong = |_| Refusal::Data(StatusCode::BAD_REQUEST, json!({"error": format!("{name} must be an integer")}));
    Ok(usize::try_from(given.trim().parse::<i64>().map_err(wrong)?).ok())
}

pub(crate) async fn page(State(app): State<App>, Query(query): Query<HashMap<String, String>>) -> Answer {
    let page = Page { offset: number(&query, "offset")?, most: number(&query, "max_items")? };
    let kept = app.queue.kept().await?;
    blocking(move || Ok(entries(&kept.page(page)?))).await
}

pub(crate) async fn entry(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let state = app.queue.state(id.clone()).await?;
    let entry = if state == Known::Finished { app.queue.kept().await?.entry(&id)? } else { None };
    let found: Vec<_> = entry.into_iter().map(|entry| (Arc::from(&*id), entry)).collect();
    let word = match state {
        Known::Unknown => "unknown",
        Known::Waiting => "waiting",
        Known::Running => "running",
        Known::Finished => "finished",
    };
    let mut response = entries(&found);
    response.headers_mut().insert(STATE, HeaderValue::from_static(word));
    Ok(response)
}

pub(crate) async fn edit(State(app): State<App>, text: Bytes) -> Answer<StatusCode> {
    let asked = body::object(&text)?;
    if body::is_set(&asked, "clear") {
        app.queue.forget(None)?;
    }
    let ids = body::texts(&asked, "delete");
    if !ids.is_empty() {
        app.queue.forget(Some(ids))?;
    }
    Ok(StatusCode::OK)
}

/// `{id: entry}` out of texts that are JSON already.
fn entries(entries: &[(Arc<str>, Arc<str>)]) -> Response {
    let mut text = String::from("{");
    for (id, entry) in entries {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(&**id).to_string());
        text.push(':');
        text.push_str(entry);
    }
    text.push('}');
    ([(header::CONTENT_TYPE, JSON)], text).into_response()
}
