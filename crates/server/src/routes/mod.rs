//! The routes, a file per topic. Handlers translate between requests and the handles of [`App`](crate::state::App).

mod control;
mod features;
mod history;
mod internal;
mod jobs;
mod metrics;
mod models;
mod object_info;
mod openapi;
mod own_page;
mod page;
mod prompt;
mod queue;
mod settings;
mod socket;
mod system;
mod upload;
mod userdata;
mod view;

pub(crate) use own_page::own_page;
pub(crate) use page::page;

use axum::Router;
use axum::routing::{get, patch, post};

use crate::state::App;

/// Every route that exists with and without `/api`.
pub(crate) fn api() -> Router<App> {
    Router::new().merge(running()).merge(nodes_and_models()).merge(files_and_users())
}

/// Prompts and what becomes of them.
fn running() -> Router<App> {
    Router::new()
        .route("/ws", get(socket::connect))
        .route("/prompt", get(prompt::remaining).post(prompt::post))
        .route("/queue", get(queue::list).post(queue::edit))
        .route("/history", get(history::page).post(history::edit))
        .route("/history/{prompt_id}", get(history::entry))
        .route("/interrupt", post(control::interrupt))
        .route("/free", post(control::free))
        .route("/jobs", get(jobs::list))
        .route("/jobs/cancel", post(jobs::cancel_all))
        .route("/jobs/{id}", get(jobs::one))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
}

/// What there is to run with.
fn nodes_and_models() -> Router<App> {
    Router::new()
        .route("/features", get(features::list))
        .route("/system_stats", get(system::stats))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/object_info", get(object_info::all))
        .route("/object_info/{class}", get(object_info::one))
        .route("/models", get(models::kinds))
        .route("/models/{folder}", get(models::of_kind))
        .route("/embeddings", get(models::embeddings))
        .route("/experiment/models", get(models::library))
        .route("/experiment/models/{folder}", get(models::details))
        .route("/experiment/models/preview/{folder}/{index}/{*name}", get(models::picture))
        .route("/view_metadata/{folder}", get(models::metadata))
        .route("/extensions", get(page::extensions))
        .route("/i18n", get(page::nothing))
        .route("/workflow_templates", get(page::nothing))
        .route("/global_subgraphs", get(page::nothing))
}

/// What users send, get and keep.
fn files_and_users() -> Router<App> {
    Router::new()
        .route("/view", get(view::view))
        .route("/upload/image", post(upload::image))
        .route("/upload/mask", post(upload::mask))
        .route("/users", get(settings::users).post(settings::add_user))
        .route("/settings", get(settings::all).post(settings::merge))
        .route("/settings/{id}", get(settings::one).post(settings::set))
        .route("/userdata", get(userdata::list))
        .route("/v2/userdata", get(userdata::tree))
        .route("/userdata/{file}", get(userdata::read).post(userdata::write).delete(userdata::delete))
        .route("/userdata/{file}/move/{dest}", post(userdata::rename))
}

/// What the page asks behind the public routes; without `/api`.
pub(crate) fn internal() -> Router<App> {
    Router::new()
        .route("/internal/logs", get(internal::logs))
        .route("/internal/logs/raw", get(internal::raw_logs))
        .route("/internal/logs/subscribe", patch(internal::subscribe))
        .route("/internal/folder_paths", get(models::paths))
        .route("/internal/files/{folder}", get(internal::files))
        .route("/templates/{*file}", get(page::template))
        .route("/docs/{*file}", get(page::help))
}
