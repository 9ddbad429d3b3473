//! Work that waits for files or computes, away from the threads that serve connections.

use axum::http::StatusCode;

use super::answer::{Answer, Refusal};

/// Does the work on a thread of its own.
///
/// # Errors
/// Those of the work; 500 if it breaks down.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Refusal::Plain(StatusCode::INTERNAL_SERVER_ERROR)))
}
