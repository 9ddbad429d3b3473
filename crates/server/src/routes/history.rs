//! The history: pages, single entries, forgetting.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::http::answer::{Answer, JSON, Refusal};
use crate::http::blocking::blocking;
use crate::http::body;
use crate::queue::handle::State as Known;
use crate::state::App;
use crate::store::Page;

/// The header that says what is known of an id, as ComfyUI's answer is the same for an unknown one and one that waits.
const STATE: &str = "kiln-prompt-state";

/// Which part of the history.
#[derive(Deserialize)]
pub(crate) struct Asked {
    max_items: Option<i64>,
    offset: Option<i64>,
}

pub(crate) async fn page(State(app): State<App>, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(asked) = asked.map_err(|e| Refusal::wrong("invalid_query", "Not a whole number", e.body_text()))?;
    // As ComfyUI's, an offset below zero is none.
    let number = |given: Option<i64>| given.and_then(|number| usize::try_from(number).ok());
    let page = Page { offset: number(asked.offset), most: number(asked.max_items) };
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
