//! What surrounds an engine: the environment that nodes work in, what memory learns of a run, and the session that has
//! all of it. Knows no node.

pub(crate) mod environment;
mod kept_results;
mod memory_observer;
mod model_schedule;
mod output_accounting;
pub(crate) mod session;

pub use environment::{CxExt, Environment, weights_limit};
pub use memory_observer::MemoryObserver;
pub use model_schedule::ModelSchedule;
pub use session::{Session, SessionBuilder};
