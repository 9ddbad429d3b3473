//! What every handler is given: handles and settings. What changes is behind a handle, but for the last catalogue of
//! nodes, which is only a saved computation.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use kiln_nodes::Session;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::files::users::Users;
use crate::http::answer::Refusal;
use crate::http::webhook::Hooks;
use crate::hub::Hub;
use crate::queue::Queue;
use crate::queue::handle::QueueError;
use crate::store::StoreError;

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) session: Arc<Session>,
    pub(crate) hub: Hub,
    pub(crate) queue: Queue,
    pub(crate) users: Arc<Users>,
    pub(crate) catalogue: Arc<Latest>,
    /// Places for websockets.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) hooks: Arc<Hooks>,
    /// When the server began.
    pub(crate) since: Instant,
}

impl App {
    /// The folder of whoever sent a request.
    ///
    /// # Errors
    /// 401 for somebody unknown.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Result<std::path::PathBuf, Refusal> {
        self.users.folder(headers.get("comfy-user").and_then(|user| user.to_str().ok()))
    }
}

/// All node classes as JSON, for as long as no folder changes.
pub(crate) struct Catalogue {
    /// Of the folders when it was made.
    pub(crate) stamp: u64,
    pub(crate) tag: HeaderValue,
    pub(crate) json: Bytes,
    pub(crate) gzip: Bytes,
}

/// The catalogue that was made last.
#[derive(Default)]
pub(crate) struct Latest(RwLock<Option<Arc<Catalogue>>>);

impl Latest {
    pub(crate) fn get(&self) -> Option<Arc<Catalogue>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, catalogue: Arc<Catalogue>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(catalogue);
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Closed => Self::Said(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            QueueError::Store(error) => error.into(),
        }
    }
}

/// Nothing that the client could mend: the disk is full, or the file is gone.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!("{error}");
        Self::Said(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
    }
}
