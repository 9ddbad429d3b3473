//! The store: prompts that wait and those that are finished, in a file that outlives the process.
//!
//! A change goes to the end of a journal before anybody hears of it, which the end of the process can't undo; one thread
//! brings it to the database on the disk a little later, with all that has come meanwhile. Whoever reads brings what is
//! missing to the database first. Knows ids, numbers and texts. Knows no engine and no request.

mod bounds;
mod change;
mod error;
mod file;
mod handle;
mod journal;
mod pending;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use bounds::Bounds;
pub(crate) use change::{Change, Ended, Waiting};
pub(crate) use error::StoreError;
pub(crate) use handle::Store;
pub(crate) use snapshot::{Page, Row, Snapshot};
pub(crate) use tables::STATES;
