//! Interrupt and free: what concerns the prompt that runs, and what is kept after it.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use crate::http::answer::Answer;
use crate::http::body;
use crate::state::App;

/// Stops what runs; with a `prompt_id`, only that one. A body that can't be read means whatever runs.
pub(crate) async fn interrupt(State(app): State<App>, text: Bytes) -> Answer<StatusCode> {
    let asked = body::json(&text).unwrap_or_default();
    let id = asked.get("prompt_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    app.queue.interrupt(id.map(str::to_owned)).await?;
    Ok(StatusCode::OK)
}

/// Gives back models and results, after the prompt that runs.
pub(crate) async fn free(State(app): State<App>, text: Bytes) -> Answer<StatusCode> {
    let asked = body::object(&text)?;
    if body::is_set(&asked, "unload_models") || body::is_set(&asked, "free_memory") {
        app.queue.free().await?;
    }
    Ok(StatusCode::OK)
}
