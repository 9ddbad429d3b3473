//! What this server can do, for clients that ask.

use axum::extract::State;
use serde_json::{Value, json};

use crate::config::Config;
use crate::http::answer::Json;
use crate::state::App;

/// The features as JSON.
pub(crate) fn features(config: &Config) -> Value {
    json!({
        "supports_preview_metadata": true,
        "supports_progress_text_metadata": false,
        "max_upload_size": config.max_upload,
        "node_replacements": false,
        "assets": false,
    })
}

pub(crate) async fn list(State(app): State<App>) -> Json<Value> {
    Json(features(&app.config))
}
