//! Answers: JSON as ComfyUI labels it, and refusals as values.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// JSON with ComfyUI's content type.
pub(crate) struct Json<T>(pub(crate) T);

/// JSON's content type.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, JSON)], body).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Why a request gets nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A status without a body, as ComfyUI's short refusals are.
    Plain(StatusCode),
    /// A status with a sentence.
    Said(StatusCode, String),
    /// Status 400 with the shape of ComfyUI's validation errors.
    Wrong { kind: &'static str, message: String, details: String },
    /// A status with JSON of another shape.
    Data(StatusCode, Value),
}

/// What a handler returns.
pub(crate) type Answer<T = Response> = Result<T, Refusal>;

impl Refusal {
    /// An error in ComfyUI's shape.
    pub(crate) fn wrong(kind: &'static str, message: impl Into<String>, details: impl Into<String>) -> Self {
        Self::Wrong { kind, message: message.into(), details: details.into() }
    }

    /// Nothing there.
    pub(crate) fn missing() -> Self {
        Self::Plain(StatusCode::NOT_FOUND)
    }

    /// Not allowed.
    pub(crate) fn forbidden() -> Self {
        Self::Plain(StatusCode::FORBIDDEN)
    }

    /// Not understood.
    pub(crate) fn bad() -> Self {
        Self::Plain(StatusCode::BAD_REQUEST)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Plain(status) => status.into_response(),
            Self::Said(status, words) => (status, words).into_response(),
            Self::Wrong { kind, message, details } => {
                let error = json!({"type": kind, "message": message, "details": details, "extra_info": {}});
                (StatusCode::BAD_REQUEST, Json(json!({"error": error, "node_errors": {}}))).into_response()
            }
            Self::Data(status, value) => (status, Json(value)).into_response(),
        }
    }
}
