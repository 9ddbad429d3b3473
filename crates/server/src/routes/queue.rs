//! The queue: what runs and waits, and taking jobs out.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::http::answer::{Answer, Json};
use crate::http::body;
use crate::state::App;

pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Value>> {
    let listing = app.queue.listing().await?;
    Ok(Json(json!({"queue_running": listing.running, "queue_pending": listing.waiting})))
}

pub(crate) async fn edit(State(app): State<App>, text: Bytes) -> Answer<StatusCode> {
    let asked = body::object(&text)?;
    if body::is_set(&asked, "clear") {
        app.queue.clear().await?;
    }
    let ids = body::texts(&asked, "delete");
    if !ids.is_empty() {
        app.queue.remove(ids).await?;
    }
    Ok(StatusCode::OK)
}
