//! The tables of the file.

use redb::TableDefinition;

/// A prompt that waits or runs, by its place: what it is, as JSON.
pub(super) const WAITING: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("waiting");
/// How many times a prompt has begun, by its place. Prompts that have not begun are missing.
pub(super) const BEGUN: TableDefinition<'_, u64, u32> = TableDefinition::new("begun");
/// Entries of the history in the order in which they ended, as clients get them.
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
/// Their ids.
pub(super) const IDS: TableDefinition<'_, &str, u64> = TableDefinition::new("history ids");
/// What lists of jobs are sorted and filtered by: state, time of creation, duration, workflow.
pub(super) const ROWS: TableDefinition<'_, u64, (u8, u64, u64, &str)> = TableDefinition::new("history rows");
/// Jobs as lists show them, with their ids.
pub(super) const JOBS: TableDefinition<'_, u64, (&str, &[u8])> = TableDefinition::new("history jobs");
/// Numbers by name.
pub(super) const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

/// The format of the file.
pub(super) const FORMAT: &str = "format";
/// The format that this program writes.
pub(super) const THIS_FORMAT: u64 = 1;
/// The number that the next prompt gets.
pub(super) const NUMBER: &str = "next number";
/// The place that the next entry of the history gets.
pub(super) const SERIAL: &str = "next entry";
/// Bytes of all entries.
pub(super) const BYTES: &str = "bytes of the history";
/// The number of the journal's last record that the database has.
pub(super) const APPLIED: &str = "applied";
/// Not zero while the queue is paused.
pub(super) const PAUSED: &str = "paused";

/// Stands for a duration that nobody knows.
pub(super) const NO_DURATION: u64 = u64::MAX;
/// The states of finished jobs, by their number in the file.
pub(crate) const STATES: [&str; 3] = ["completed", "failed", "cancelled"];
