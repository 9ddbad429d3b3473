//! One run of one prompt: the loop that starts nodes, and everything that happens to them on the way.
//!
//! Single-threaded: all decisions are made here, in one place after the other. Other threads only call nodes. What a run
//! consists of is in `execution`; every other file adds one verb to it.

mod audience;
mod begun;
mod call;
mod dispatch;
mod drive;
mod events;
mod execution;
mod expansion;
mod failure;
mod finish;
mod future;
mod in_flight;
mod link;
mod nodes;
mod plan;
mod prepare;
mod priority;
mod requests;
mod result;
mod selection;
mod start;
mod stream;

pub use self::future::RunFuture;
pub use self::start::Run;
pub use self::stream::EventStream;
