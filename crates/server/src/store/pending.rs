//! Changes that are kept already, and that the database has not yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Database, Durability, ReadableDatabase};

use super::bounds::Bounds;
use super::change::Change;
use super::error::StoreError;
use super::journal::Journal;
use super::snapshot::Snapshot;
use super::tables::{APPLIED, COUNTS};

/// The database, and what it has not yet.
pub(super) struct Pending {
    database: Database,
    bounds: Bounds,
    front: Mutex<Front>,
    /// Held by whoever brings changes to the database, so that they arrive in their order.
    turn: Mutex<()>,
}

/// What is kept before it is in the database.
struct Front {
    /// Without one everything is in memory alone.
    journal: Option<Journal>,
    changes: Vec<Change>,
    /// The place that the next entry of the history gets.
    next_entry: u64,
}

/// What a new change means for the thread that settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is the first one: there is something to do now.
    Later,
    /// There is very much to do.
    Now,
    /// Nothing new.
    Known,
}

/// How large the journal may become before it is settled at once.
const LARGEST: u64 = 16 << 20;

impl Pending {
    /// Takes up what an earlier process has left in its journal.
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub(super) fn new(
        database: Database,
        bounds: Bounds,
        journal: Option<(Journal, Vec<Change>)>,
    ) -> Result<Self, StoreError> {
        let (journal, changes) = journal.map_or_else(Default::default, |(journal, left)| (Some(journal), left));
        let front = Front { journal, changes, next_entry: 0 };
        let pending = Self { database, bounds, front: Mutex::new(front), turn: Mutex::default() };
        pending.settle()?;
        let next_entry = pending.snapshot()?.next_entry()?;
        pending.front().next_entry = next_entry;
        Ok(pending)
    }

    /// Keeps a change: when this returns the end of the process can't take it away any more.
    ///
    /// # Errors
    /// When it can't be written; then nothing has changed.
    pub(super) fn keep(&self, change: Change) -> Result<Due, StoreError> {
        let text = change.to_text()?;
        let mut front = self.front();
        if let Some(journal) = &mut front.journal {
            journal.add(&text)?;
        }
        front.next_entry += u64::from(matches!(change, Change::End(_)));
        front.changes.push(change);
        Ok(match &front.journal {
            Some(journal) if journal.length() > LARGEST => Due::Now,
            _ if front.changes.len() == 1 => Due::Later,
            _ => Due::Known,
        })
    }

    /// The place that the next entry of the history gets.
    pub(super) fn next_entry(&self) -> u64 {
        self.front().next_entry
    }

    /// Everything that is kept now. Waits for the disk where that is at work.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, last) = self.front().take();
        if !changes.is_empty() {
            // The disk comes later, for many changes in one go.
            self.write(changes, last, Durability::None)?;
        }
        drop(turn);
        Ok(Snapshot::new(self.database.begin_read()?))
    }

    /// Brings everything that is kept to the disk's database, and empties the journal.
    ///
    /// # Errors
    /// When it can't be written; then the journal still has it, and the next time may succeed.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, last) = {
            let mut front = self.front();
            // What comes meanwhile goes to another file than what is settled now.
            front.journal.iter_mut().for_each(Journal::turn_over);
            front.take()
        };
        self.write(changes, last, Durability::Immediate)?;
        if let Some(journal) = &mut self.front().journal {
            journal.drop_up_to(last)?;
        }
        Ok(())
    }

    fn write(&self, changes: Vec<Change>, last: u64, durability: Durability) -> Result<(), StoreError> {
        let written = self.commit(&changes, last, durability);
        if written.is_err() {
            let mut front = self.front();
            let newer = std::mem::replace(&mut front.changes, changes);
            front.changes.extend(newer);
        }
        written
    }

    fn commit(&self, changes: &[Change], last: u64, durability: Durability) -> Result<(), StoreError> {
        let mut to = self.database.begin_write()?;
        to.set_durability(durability)?;
        for change in changes {
            change.write(&to, self.bounds)?;
        }
        to.open_table(COUNTS)?.insert(APPLIED, last)?;
        Ok(to.commit()?)
    }

    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Front {
    /// The changes, and the number of the last one.
    fn take(&mut self) -> (Vec<Change>, u64) {
        (std::mem::take(&mut self.changes), self.journal.as_ref().map_or(0, Journal::last))
    }
}
