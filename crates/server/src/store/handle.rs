//! The store's handle: orders for the writer, and snapshots for readers.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use redb::{Database, ReadableDatabase};

use super::bounds::Bounds;
use super::change::Change;
use super::error::StoreError;
use super::file;
use super::order::{Order, Written};
use super::snapshot::Snapshot;
use super::writer::Writer;

/// Keeps and reads.
#[derive(Clone)]
pub(crate) struct Store {
    database: Arc<Database>,
    orders: Sender<Order>,
}

impl Store {
    /// Opens what a folder holds; without one, what is kept ends with this value.
    ///
    /// # Errors
    /// When the file can't be used.
    pub(crate) fn open(folder: Option<&Path>, bounds: Bounds) -> Result<Self, StoreError> {
        let database = Arc::new(file::open(folder)?);
        let (journal, left) = folder.map(|folder| file::journal(folder, &database)).transpose()?.unzip();
        let mut writer = Writer { database: Arc::clone(&database), journal, bounds, since: None };
        writer.make(left.iter().flatten())?;
        writer.settle();
        let (orders, received) = channel();
        let thread = thread::Builder::new().name("kiln-store".into());
        let started = thread.spawn(move || writer.work(&received));
        started.map_err(|error| StoreError::from(redb::Error::Io(error)))?;
        Ok(Self { database, orders })
    }

    /// Orders a change: it is written before all that is ordered after it.
    pub(crate) fn order(&self, change: Change) -> Written {
        let (order, written) = Order::new(change);
        // Without a writer the reply is gone, and that is the answer.
        let _ = self.orders.send(order);
        written
    }

    /// Orders a change, and returns when it can't be lost any more.
    ///
    /// # Errors
    /// When it can't be written; then nothing has changed.
    pub(crate) async fn keep(&self, change: Change) -> Result<(), StoreError> {
        self.order(change).done().await
    }

    /// What is kept now.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::new(self.database.begin_read()?))
    }
}
