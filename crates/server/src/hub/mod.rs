//! The hub: who is connected, and what is sent to whom.
//!
//! One task owns the table of sockets. Everything that goes out passes through its one queue, so each client sees its
//! messages in the order in which they were made. Knows nothing of prompts but their ids.

mod actor;
pub(crate) mod frame;
mod handle;
pub(crate) mod live;
mod past;

pub(crate) use actor::start;
pub(crate) use handle::{Hub, Keep};
