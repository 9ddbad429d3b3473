//! Providers for tests: one that fails, one that is late, one that is slow; a disk that lets one wait; and parts of this
//! crate that nobody else has a use for. Knows the contract of providers, no pager.
#![allow(unsafe_code)]

mod delayed;
mod faulty;
mod forward;
mod throttled;

pub use delayed::Delayed;
pub use faulty::{Call, Faulty};
pub use throttled::Throttled;

pub use crate::{format::SlowDisk, weights::ReadAhead};
