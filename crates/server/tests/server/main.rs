//! A server in this process, driven over real sockets by an HTTP client and a websocket client.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod files;
mod folders;
mod harness;
mod hostile;
mod load;
mod own_page;
mod page;
mod queueing;
mod running;
mod sent;
