//! The routes, a file per topic. Handlers translate between requests and the handles of [`App`](crate::state::App).

mod control;
mod features;
mod history;
mod prompt;
mod queue;
mod socket;

use axum::Router;
use axum::routing::{get, post};

use crate::state::App;

/// Every route that exists with and without `/api`.
pub(crate) fn api() -> Router<App> {
    Router::new()
        .route("/ws", get(socket::connect))
        .route("/prompt", get(prompt::remaining).post(prompt::post))
        .route("/queue", get(queue::list).post(queue::edit))
        .route("/history", get(history::page).post(history::edit))
        .route("/history/{prompt_id}", get(history::entry))
        .route("/interrupt", post(control::interrupt))
        .route("/free", post(control::free))
        .route("/features", get(features::list))
}
