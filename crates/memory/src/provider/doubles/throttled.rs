//! A provider behind a slow bus. Knows speed.
#![allow(unsafe_code)]

use super::forward;
use crate::provider::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    ops::Range,
    ptr::NonNull,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Uploads at a given speed: a bus, as slow as one likes.
pub struct Throttled<P> {
    inner: P,
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
    uploaded: AtomicU64,
}

impl<P: Provider> Throttled<P> {
    /// Lets `bytes_per_second` through, one upload after the other.
    pub fn new(inner: P, bytes_per_second: f64) -> Self {
        Self { inner, bytes_per_second, free_at: Mutex::new(Instant::now()), uploaded: AtomicU64::new(0) }
    }

    /// Bytes uploaded so far.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Relaxed)
    }

    /// Lets `bytes` pass: sleeps until the bus would have carried them.
    pub fn carry(&self, bytes: usize) {
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
            *free_at
        };
        self.uploaded.fetch_add(bytes as u64, Relaxed);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

impl<P: Provider> Provider for Throttled<P> {
    type Region = P::Region;
    forward!(
        page_size, reserve, release, commit, decommit, address, is_done, wait, fence, info, trim, scattered, recover
    );
    unsafe fn upload(
        &self,
        region: P::Region,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        self.carry(len);
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.upload(region, at, len, write) }
    }
}
