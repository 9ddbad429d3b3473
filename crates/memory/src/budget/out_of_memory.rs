//! A reservation that did not fit. Knows who asked and who holds; decides nothing.

use super::{
    kind::Kind,
    report::{Report, human_bytes},
};

/// A reservation that did not fit, with everyone who holds something.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{}: {owner} asked for {} of {kind}, {} of {} are free{}{}",
    report.pool, human_bytes(*asked), human_bytes(report.free()), human_bytes(report.limit), report.top_owners(4), report.remedies(4)
)]
pub struct OutOfMemory {
    /// Who asked.
    pub owner: String,
    /// For what.
    pub kind: Kind,
    /// How many bytes.
    pub asked: u64,
    /// Who held what at that moment.
    pub report: Report,
}
