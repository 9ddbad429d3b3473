//! Orders: changes that are about to be written, and what becomes of them.

use tokio::sync::oneshot;

use super::change::Change;
use super::error::StoreError;

/// What is asked of the writer.
pub(super) struct Order {
    pub(super) change: Change,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

/// A change that is about to be written. It is written also where nobody waits for it.
#[must_use = "whether it could be written shows only to those who wait"]
pub(crate) struct Written(oneshot::Receiver<Result<(), StoreError>>);

impl Order {
    /// An order, and what its giver waits for.
    pub(super) fn new(change: Change) -> (Self, Written) {
        let (reply, done) = oneshot::channel();
        (Self { change, reply }, Written(done))
    }

    /// Says what became of it.
    pub(super) fn answer(self, written: Result<(), StoreError>) {
        // Where nobody waits a failure is at least logged.
        if let Err(Err(error)) = self.reply.send(written) {
            tracing::error!("{error}");
        }
    }
}

impl Written {
    /// Returns when the change can't be lost any more.
    ///
    /// # Errors
    /// When it can't be written; then nothing has changed.
    pub(crate) async fn done(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::ended()))
    }
}
