//! What every handler is given: handles and settings, nothing that changes.

use std::sync::Arc;

use axum::http::StatusCode;
use kiln_nodes::Session;

use crate::config::Config;
use crate::http::answer::Refusal;
use crate::hub::Hub;
use crate::queue::Queue;
use crate::queue::handle::Closed;

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) session: Arc<Session>,
    pub(crate) hub: Hub,
    pub(crate) queue: Queue,
}

impl From<Closed> for Refusal {
    fn from(_: Closed) -> Self {
        Self::Said(StatusCode::SERVICE_UNAVAILABLE, "the server is going down".into())
    }
}
