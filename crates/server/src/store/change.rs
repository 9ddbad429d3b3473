//! Changes of what is kept, and how each is written.

use std::sync::Arc;

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::error::StoreError;
use super::tables::{
    BEGUN, BYTES, COUNTS, HISTORY, IDS, JOBS, NO_DURATION, NUMBER, PAUSED, ROWS, SERIAL, STATES, WAITING,
};

/// A prompt that waits.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Waiting {
    /// Its place: no other one has it.
    pub(crate) place: u64,
    /// What it is, as JSON.
    pub(crate) text: String,
}

/// A prompt that has ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ended {
    /// The place at which it waited.
    pub(crate) place: u64,
    pub(crate) id: Arc<str>,
    /// The entry of the history.
    pub(crate) entry: String,
    pub(crate) status: String,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// Milliseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) workflow: Option<String>,
    /// The job as lists show it.
    pub(crate) job: String,
}

/// Something that is to be kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Change {
    /// A prompt is accepted. The next number is at least this one.
    Put { waiting: Waiting, next_number: u64 },
    /// A prompt that waits is another one now. One that has ended meanwhile stays away.
    Replace(Waiting),
    /// A prompt begins.
    Begin(u64),
    /// A prompt goes back to those that have not begun.
    Park(u64),
    /// Prompts are taken out.
    Remove(Vec<u64>),
    /// A prompt has ended.
    End(Box<Ended>),
    /// Entries of the history go; without ids, all.
    Forget(Option<Vec<String>>),
    /// Nothing begins for now, or things begin again.
    Pause(bool),
}

impl Change {
    /// The change as the journal has it: JSON.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(super) fn to_text(&self) -> Result<Vec<u8>, StoreError> {
        Ok(serde_json::to_vec(self).map_err(std::io::Error::from)?)
    }

    pub(super) fn write(&self, to: &WriteTransaction, bounds: Bounds) -> Result<(), StoreError> {
        match self {
            Self::Put { waiting, next_number } => {
                to.open_table(WAITING)?.insert(waiting.place, waiting.text.as_bytes())?;
                raise(to, NUMBER, *next_number)
            }
            Self::Replace(waiting) => {
                let mut table = to.open_table(WAITING)?;
                if table.get(waiting.place)?.is_some() {
                    table.insert(waiting.place, waiting.text.as_bytes())?;
                }
                Ok(())
            }
            Self::Begin(place) => {
                let mut begun = to.open_table(BEGUN)?;
                let times = begun.get(place)?.map_or(0, |times| times.value());
                begun.insert(place, times.saturating_add(1))?;
                Ok(())
            }
            Self::Park(place) => {
                to.open_table(BEGUN)?.remove(place)?;
                Ok(())
            }
            Self::Remove(places) => places.iter().try_for_each(|place| take_out(to, *place)),
            Self::End(ended) => {
                take_out(to, ended.place)?;
                add(to, ended)?;
                shrink(to, bounds)
            }
            Self::Forget(Some(ids)) => ids.iter().try_for_each(|id| forget(to, id)),
            Self::Forget(None) => clear(to),
            Self::Pause(paused) => {
                to.open_table(COUNTS)?.insert(PAUSED, u64::from(*paused))?;
                Ok(())
            }
        }
    }
}

fn take_out(to: &WriteTransaction, place: u64) -> Result<(), StoreError> {
    to.open_table(WAITING)?.remove(place)?;
    to.open_table(BEGUN)?.remove(place)?;
    Ok(())
}

/// An entry of the same id goes.
fn add(to: &WriteTransaction, ended: &Ended) -> Result<(), StoreError> {
    forget(to, &ended.id)?;
    let serial = count(to, SERIAL)?;
    let state = STATES.iter().position(|state| **state == *ended.status).unwrap_or_default() as u8;
    let workflow = ended.workflow.as_deref().unwrap_or_default();
    to.open_table(HISTORY)?.insert(serial, ended.entry.as_bytes())?;
    to.open_table(IDS)?.insert(&*ended.id, serial)?;
    to.open_table(ROWS)?.insert(serial, (state, ended.created, ended.duration.unwrap_or(NO_DURATION), workflow))?;
    to.open_table(JOBS)?.insert(serial, (&*ended.id, ended.job.as_bytes()))?;
    let bytes = count(to, BYTES)? + ended.entry.len() as u64;
    let mut counts = to.open_table(COUNTS)?;
    counts.insert(SERIAL, serial + 1)?;
    counts.insert(BYTES, bytes)?;
    Ok(())
}

fn forget(to: &WriteTransaction, id: &str) -> Result<(), StoreError> {
    let serial = to.open_table(IDS)?.remove(id)?.map(|serial| serial.value());
    serial.map_or(Ok(()), |serial| drop_entry(to, serial))
}

fn drop_entry(to: &WriteTransaction, serial: u64) -> Result<(), StoreError> {
    let gone = to.open_table(HISTORY)?.remove(serial)?.map_or(0, |entry| entry.value().len() as u64);
    to.open_table(ROWS)?.remove(serial)?;
    if let Some(job) = to.open_table(JOBS)?.remove(serial)? {
        to.open_table(IDS)?.remove(job.value().0)?;
    }
    let bytes = count(to, BYTES)?.saturating_sub(gone);
    to.open_table(COUNTS)?.insert(BYTES, bytes)?;
    Ok(())
}

/// The oldest go until the bounds hold; the newest stays in any case.
fn shrink(to: &WriteTransaction, bounds: Bounds) -> Result<(), StoreError> {
    loop {
        let (kept, oldest) = {
            let history = to.open_table(HISTORY)?;
            (history.len()?, history.first()?.map(|(serial, _)| serial.value()))
        };
        let fits = kept <= bounds.entries && count(to, BYTES)? <= bounds.bytes;
        match oldest {
            Some(oldest) if !fits && kept > 1 => drop_entry(to, oldest)?,
            _ => return Ok(()),
        }
    }
}

fn clear(to: &WriteTransaction) -> Result<(), StoreError> {
    to.open_table(HISTORY)?.retain(|_, _| false)?;
    to.open_table(IDS)?.retain(|_, _| false)?;
    to.open_table(ROWS)?.retain(|_, _| false)?;
    to.open_table(JOBS)?.retain(|_, _| false)?;
    to.open_table(COUNTS)?.insert(BYTES, 0)?;
    Ok(())
}

fn count(to: &WriteTransaction, name: &str) -> Result<u64, StoreError> {
    Ok(to.open_table(COUNTS)?.get(name)?.map_or(0, |count| count.value()))
}

fn raise(to: &WriteTransaction, name: &str, least: u64) -> Result<(), StoreError> {
    if count(to, name)? < least {
        to.open_table(COUNTS)?.insert(name, least)?;
    }
    Ok(())
}
