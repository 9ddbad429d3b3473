//! The writer: the one thread that changes what is kept.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redb::{Database, Durability, WriteTransaction};

use super::bounds::Bounds;
use super::change::Change;
use super::error::StoreError;
use super::journal::Journal;
use super::order::Order;
use super::tables::{APPLIED, COUNTS};

/// The most changes of one commit.
const MOST: usize = 256;
/// How long a change may be in the journal alone.
const LATEST: Duration = Duration::from_millis(100);
/// How large the journal may become.
const LARGEST: u64 = 16 << 20;

/// Changes what is kept.
pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    /// Without one everything is in memory alone.
    pub(super) journal: Option<Journal>,
    pub(super) bounds: Bounds,
    /// Since when the journal has something that the disk's database has not.
    pub(super) since: Option<Instant>,
}

impl Writer {
    /// Until every handle is gone.
    pub(super) fn work(mut self, orders: &Receiver<Order>) {
        loop {
            match self.next(orders) {
                Ok(first) => self.obey(std::iter::once(first).chain(orders.try_iter().take(MOST)).collect()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let large = self.journal.as_ref().is_some_and(|journal| journal.length() > LARGEST);
            if large || self.since.is_some_and(|since| since.elapsed() >= LATEST) {
                self.settle();
            }
        }
        self.settle();
    }

    fn next(&self, orders: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        match self.since {
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => orders.recv_timeout(LATEST.saturating_sub(since.elapsed())),
        }
    }

    fn obey(&mut self, group: Vec<Order>) {
        if self.commit(group.iter().map(|order| &order.change)).is_ok() {
            for order in group {
                order.answer(Ok(()));
            }
            return;
        }
        // One of them may be to blame alone.
        for order in group {
            let written = self.commit(std::iter::once(&order.change));
            order.answer(written);
        }
    }

    /// First the journal, then what readers see.
    pub(super) fn commit<'a>(&mut self, changes: impl Iterator<Item = &'a Change> + Clone) -> Result<(), StoreError> {
        let before = self.journal.as_ref().map(Journal::length);
        if let Some(journal) = &mut self.journal {
            journal.add(changes.clone()).map_err(StoreError::from)?;
            self.since.get_or_insert_with(Instant::now);
        }
        let made = self.make(changes);
        if let (Err(_), Some(journal), Some(before)) = (&made, &mut self.journal, before) {
            journal.cut(before)?;
        }
        made
    }

    /// Changes the database. Its disk waits where there is a journal.
    pub(super) fn make<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Result<(), StoreError> {
        let mut to = self.database.begin_write()?;
        if self.journal.is_some() {
            to.set_durability(Durability::None)?;
        }
        for change in changes {
            change.write(&to, self.bounds)?;
        }
        self.note_applied(&to)?;
        Ok(to.commit()?)
    }

    fn note_applied(&self, to: &WriteTransaction) -> Result<(), StoreError> {
        if let Some(journal) = &self.journal {
            to.open_table(COUNTS)?.insert(APPLIED, journal.last())?;
        }
        Ok(())
    }

    /// Brings the database to the disk, and empties the journal.
    pub(super) fn settle(&mut self) {
        if self.journal.is_none() {
            return;
        }
        let settled = self.settled();
        // What failed is tried again a little later.
        self.since = settled.is_err().then(Instant::now);
        if let Err(error) = settled {
            tracing::error!("{error}");
        }
    }

    fn settled(&mut self) -> Result<(), StoreError> {
        let to = self.database.begin_write()?;
        self.note_applied(&to)?;
        to.commit()?;
        if let Some(journal) = &mut self.journal {
            journal.cut(0)?;
        }
        Ok(())
    }
}
