//! What can be seen of a run: its events while it goes on, its trace afterwards, and what is made of that.
//!
//! Knows nothing of the engine: the run writes, these are the forms in which it does.

mod event;
mod explain;
mod timeline;
mod trace;

pub(crate) use self::event::now;
pub use self::event::{ErrorEvent, Event, Listener, NodeProgress, NodeState, Preview};
pub(crate) use self::explain::Memory;
pub use self::explain::{Explanation, Reason};
pub use self::trace::{Step, Trace, What};
