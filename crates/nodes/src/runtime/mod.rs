//! What surrounds an engine: the environment that nodes work in, and what memory is told around a run. Knows no node.

pub(crate) mod environment;
mod memory_observer;
mod model_schedule;
mod output_accounting;

pub use environment::{CxExt, Environment, weights_limit};
pub use memory_observer::MemoryObserver;
pub use model_schedule::ModelSchedule;
pub use output_accounting::OutputAccounting;
