//! Why something can't be kept, or what was kept can't be read.

use std::path::Path;
use std::sync::Arc;

/// Why something can't be kept, or what was kept can't be read. Shared by all who hear of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StoreError(Arc<str>);

impl StoreError {
    /// The file can't be used.
    pub(super) fn file(path: &Path, why: impl std::fmt::Display) -> Self {
        let path = path.display();
        Self(format!("{path}, which holds the queue and the history, can't be used: {why}").into())
    }
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self(format!("the queue and the history can't be read or written: {}", error.into()).into())
    }
}
