//! What is kept, as it was at one moment.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::error::StoreError;
use super::tables::{
    BEGUN, BYTES, COUNTS, HISTORY, IDS, JOBS, NO_DURATION, NUMBER, PAUSED, ROWS, SERIAL, STATES, WAITING,
};

/// A part of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many to leave out from the oldest on; without it, and with `most`, the last ones are meant.
    pub(crate) offset: Option<usize>,
    /// How many at most.
    pub(crate) most: Option<usize>,
}

impl Page {
    /// The first of so many entries, and how many follow from it on.
    fn of(self, count: usize) -> (usize, usize) {
        let most = self.most.unwrap_or(usize::MAX);
        let first = match (self.offset, self.most) {
            (Some(offset), _) => offset,
            (None, Some(most)) => count.saturating_sub(most),
            (None, None) => 0,
        };
        (first.min(count), most)
    }
}

/// A finished job, as far as lists are sorted and filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) serial: u64,
    pub(crate) status: &'static str,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// Milliseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) workflow: Option<String>,
}

/// An id and the text of its entry.
type Entry = (Arc<str>, Arc<str>);

/// What is kept, as it was at one moment.
pub(crate) struct Snapshot {
    read: ReadTransaction,
    /// Entries from this place on are not meant: they came later.
    end: u64,
}

impl Snapshot {
    pub(super) fn new(read: ReadTransaction) -> Self {
        Self { read, end: u64::MAX }
    }

    /// The same without the rows that came from this place on.
    pub(crate) fn before(self, end: u64) -> Self {
        Self { end, ..self }
    }

    /// The place that the next entry of the history gets.
    pub(super) fn next_entry(&self) -> Result<u64, StoreError> {
        self.count(SERIAL)
    }

    /// Prompts that wait: their places, what they are, and how many times they have begun.
    pub(crate) fn waiting(&self) -> Result<Vec<(u64, Vec<u8>, u32)>, StoreError> {
        let begun = self.read.open_table(BEGUN)?;
        let mut waiting = Vec::new();
        for entry in self.read.open_table(WAITING)?.iter()? {
            let (place, text) = entry?;
            let place = place.value();
            waiting.push((place, text.value().to_vec(), begun.get(place)?.map_or(0, |times| times.value())));
        }
        Ok(waiting)
    }

    /// The number that the next prompt gets.
    pub(crate) fn next_number(&self) -> Result<u64, StoreError> {
        self.count(NUMBER)
    }

    /// Whether the queue is paused.
    pub(crate) fn is_paused(&self) -> Result<bool, StoreError> {
        Ok(self.count(PAUSED)? != 0)
    }

    /// How many entries the history has, and their bytes.
    pub(crate) fn size(&self) -> Result<(u64, u64), StoreError> {
        Ok((self.read.open_table(HISTORY)?.len()?, self.count(BYTES)?))
    }

    fn count(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.read.open_table(COUNTS)?.get(name)?.map_or(0, |count| count.value()))
    }

    /// The entry of that id.
    pub(crate) fn entry(&self, id: &str) -> Result<Option<Arc<str>>, StoreError> {
        let Some(serial) = self.read.open_table(IDS)?.get(id)?.map(|serial| serial.value()) else { return Ok(None) };
        let entry = self.read.open_table(HISTORY)?.get(serial)?;
        Ok(entry.map(|entry| text(entry.value())))
    }

    /// The job of that id as lists show it.
    pub(crate) fn job(&self, id: &str) -> Result<Option<Arc<str>>, StoreError> {
        let serial = self.read.open_table(IDS)?.get(id)?.map(|serial| serial.value());
        serial.map_or(Ok(None), |serial| self.job_at(serial))
    }

    /// The job of a row.
    pub(crate) fn job_at(&self, serial: u64) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.read.open_table(JOBS)?.get(serial)?.map(|job| text(job.value().1)))
    }

    /// A part of the history, the oldest first.
    pub(crate) fn page(&self, page: Page) -> Result<Vec<Entry>, StoreError> {
        let (history, jobs) = (self.read.open_table(HISTORY)?, self.read.open_table(JOBS)?);
        let (first, most) = page.of(history.len()? as usize);
        let mut entries = Vec::new();
        for entry in history.iter()?.skip(first).take(most) {
            let (serial, entry) = entry?;
            let Some(job) = jobs.get(serial.value())? else { continue };
            entries.push((Arc::from(job.value().0), text(entry.value())));
        }
        Ok(entries)
    }

    /// All finished jobs, the oldest first.
    pub(crate) fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let table = self.read.open_table(ROWS)?;
        let mut rows = Vec::with_capacity(table.len()? as usize);
        for entry in table.range(..self.end)? {
            let (serial, row) = entry?;
            let (state, created, duration, workflow) = row.value();
            rows.push(Row {
                serial: serial.value(),
                status: STATES.get(usize::from(state)).copied().unwrap_or(STATES[1]),
                created,
                duration: (duration != NO_DURATION).then_some(duration),
                workflow: (!workflow.is_empty()).then(|| workflow.to_owned()),
            });
        }
        Ok(rows)
    }
}

/// What this program wrote is UTF-8; what isn't is shown as far as it can be.
fn text(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}
