//! Locks and threads of the concurrent parts, in one place so that tests can try out interleavings.
//!
//! With the feature `shuttle` they are shuttle's; otherwise they are std's.

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread,
};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread,
};
