//! The store's handle: keeps changes, and reads what is kept.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::bounds::Bounds;
use super::change::Change;
use super::error::StoreError;
use super::file;
use super::pending::{Due, Pending};
use super::snapshot::Snapshot;

/// How long a change may be in the journal alone.
const LATEST: Duration = Duration::from_millis(100);

/// Keeps and reads.
#[derive(Clone)]
pub(crate) struct Store {
    pending: Arc<Pending>,
    /// Wakes the thread that settles. It ends with the last handle.
    due: Sender<()>,
}

impl Store {
    /// Opens what a folder holds; without one, what is kept ends with this value.
    ///
    /// # Errors
    /// When the file can't be used.
    pub(crate) fn open(folder: Option<&Path>, bounds: Bounds) -> Result<Self, StoreError> {
        let database = file::open(folder)?;
        let journal = folder.map(|folder| file::journal(folder, &database)).transpose()?;
        let pending = Arc::new(Pending::new(database, bounds, journal)?);
        let (due, woken) = channel();
        let settled = Arc::clone(&pending);
        let thread = thread::Builder::new().name("kiln-store".into());
        let started = thread.spawn(move || settle(&settled, &woken));
        started.map_err(|error| StoreError::from(redb::Error::Io(error)))?;
        Ok(Self { pending, due })
    }

    /// Keeps a change: when this returns it can't be lost any more. Writes to the end of a file and waits for no disk.
    ///
    /// # Errors
    /// When it can't be written; then nothing has changed.
    pub(crate) fn keep(&self, change: Change) -> Result<(), StoreError> {
        if self.pending.keep(change)? != Due::Known {
            // The thread ends after this handle only.
            let _ = self.due.send(());
        }
        Ok(())
    }

    /// The place that the next entry of the history gets.
    pub(crate) fn next_entry(&self) -> u64 {
        self.pending.next_entry()
    }

    /// What is kept now. May wait for the disk: not on a thread that serves connections.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.pending.snapshot()
    }
}

/// Settles a little after the first change that comes, or when very much has come, until every handle is gone.
fn settle(pending: &Pending, due: &Receiver<()>) {
    let mut failed = false;
    loop {
        // What failed is tried again a little later.
        if !failed && due.recv().is_err() {
            break;
        }
        let is_last = matches!(due.recv_timeout(LATEST), Err(RecvTimeoutError::Disconnected));
        let settled = pending.settle();
        failed = settled.is_err();
        if let Err(error) = settled {
            tracing::error!("{error}");
        }
        if is_last {
            break;
        }
    }
}
