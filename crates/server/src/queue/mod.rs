//! The queue: prompts that wait, the one that runs, those that are finished.
//!
//! One task owns all of it (`worker`); others ask through a handle. Knows the engine, and the hub that it reports to.
//! Knows no request.

pub(crate) mod handle;
pub(crate) mod history;
pub(crate) mod job;
mod pending;
mod record;
mod running;
pub(crate) mod summary;
mod teller;
mod worker;

pub(crate) use handle::Queue;
pub(crate) use record::now;
pub(crate) use worker::Setup;
