//! What the page asks behind the public routes: logs, and the files of a folder.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kiln_nodes::files::DirKind;
use serde_json::{Value, json};

use crate::files::listing::below;
use crate::http::answer::{Answer, Json, Refusal};
use crate::http::blocking::blocking;
use crate::http::body;
use crate::state::App;

pub(crate) async fn logs(State(app): State<App>) -> Json<String> {
    let mut text = String::new();
    for line in app.hub.log_lines().await {
        text.extend([&*line.time, " - ", &*line.text]);
    }
    Json(text)
}

pub(crate) async fn raw_logs(State(app): State<App>) -> Json<Value> {
    Json(json!({"entries": app.hub.log_lines().await, "size": {"cols": 80, "rows": 24}}))
}

/// A client wants to hear of new lines, or no more.
pub(crate) async fn subscribe(State(app): State<App>, text: Bytes) -> Answer<StatusCode> {
    let asked = body::object(&text)?;
    let client = asked.get("clientId").and_then(Value::as_str).ok_or_else(Refusal::bad)?;
    app.hub.subscribe(client.into(), body::is_set(&asked, "enabled"));
    Ok(StatusCode::OK)
}

/// Names of the files right in a folder, the newest first.
pub(crate) async fn files(State(app): State<App>, Path(folder): Path<String>) -> Answer<Json<Vec<String>>> {
    let wrong = || Refusal::Data(StatusCode::BAD_REQUEST, json!({"error": "Invalid directory type"}));
    let kind = DirKind::named(&folder).ok_or_else(wrong)?;
    let session = Arc::clone(&app.session);
    blocking(move || {
        let mut found = below(session.environment().folders().dir(kind), false);
        found.retain(|found| found.metadata.is_file());
        found.sort_by(|a, b| b.modified().total_cmp(&a.modified()));
        Ok(Json(found.into_iter().map(|found| found.path).collect()))
    })
    .await
}
