//! The store: prompts that wait and those that are finished, in a file that outlives the process.
//!
//! One thread writes, in one go what has come together meanwhile: to a journal, which a kill leaves, and to a database, which
//! reaches the disk a little later. Readers see the last commit and wait for nobody. Knows ids, numbers and texts. Knows
//! no engine and no request.

mod bounds;
mod change;
mod error;
mod file;
mod handle;
mod journal;
mod order;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use bounds::Bounds;
pub(crate) use change::{Change, Ended, Waiting};
pub(crate) use error::StoreError;
pub(crate) use handle::Store;
pub(crate) use order::Written;
pub(crate) use snapshot::{Page, Row, Snapshot};
pub(crate) use tables::STATES;
