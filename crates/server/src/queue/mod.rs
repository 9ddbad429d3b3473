//! The queue: prompts that wait and those that run. What it takes is in the store before anybody hears of it.
//!
//! One task owns all of it (`worker`); others ask through a handle. Knows the engine, and the hub that it reports to.
//! Knows no request.

pub(crate) mod handle;
pub(crate) mod job;
mod lane;
pub(crate) mod pending;
mod record;
mod restore;
mod running;
pub(crate) mod summary;
mod teller;
mod worker;

pub(crate) use handle::Queue;
pub(crate) use record::now;
pub(crate) use worker::Setup;
