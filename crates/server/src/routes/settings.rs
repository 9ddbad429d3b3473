//! Users and their settings.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::files::users::Users;
use crate::http::answer::{Answer, Json};
use crate::http::body;
use crate::state::App;

pub(crate) async fn users(State(app): State<App>) -> Json<Value> {
    Json(app.users.overview())
}

pub(crate) async fn add_user(State(app): State<App>, text: Bytes) -> Answer<Json<String>> {
    let asked = body::object(&text)?;
    let name = asked.get("username").and_then(Value::as_str).unwrap_or_default();
    app.users.add(name).await.map(Json)
}

pub(crate) async fn all(State(app): State<App>, headers: HeaderMap) -> Answer<Json<Map<String, Value>>> {
    Ok(Json(Users::settings(&app.user(&headers)?)))
}

pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer<Json<Value>> {
    let mut settings = Users::settings(&app.user(&headers)?);
    Ok(Json(settings.shift_remove(&id).unwrap_or_default()))
}

pub(crate) async fn merge(State(app): State<App>, headers: HeaderMap, text: Bytes) -> Answer<StatusCode> {
    let new = body::object(&text)?;
    app.users.set(&app.user(&headers)?, new).await?;
    Ok(StatusCode::OK)
}

pub(crate) async fn set(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    text: Bytes,
) -> Answer<StatusCode> {
    let value = body::json(&text)?;
    app.users.set(&app.user(&headers)?, Map::from_iter([(id, value)])).await?;
    Ok(StatusCode::OK)
}
