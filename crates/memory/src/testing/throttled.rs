//! A provider behind a slow bus. Knows speed.
#![allow(unsafe_code)]

use super::forward::forward;
use crate::provider::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    collections::BTreeMap,
    ops::Range,
    ptr::NonNull,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Uploads at a given speed: a bus, as slow as one likes. Copies queue up on it, one behind the other, as on a device's
/// copy stream: an upload returns at once, and its ticket is done when the bus would have carried it.
pub struct Throttled<P> {
    inner: P,
    bytes_per_second: f64,
    bus: Mutex<Bus>,
    uploaded: AtomicU64,
}

struct Bus {
    free_at: Instant,
    next: u64,
    /// When the copies in flight are done, and what the provider below said of them.
    due: BTreeMap<u64, (Instant, Ticket)>,
}

impl<P: Provider> Throttled<P> {
    /// Lets `bytes_per_second` through, one upload after the other.
    pub fn new(inner: P, bytes_per_second: f64) -> Self {
        let bus = Bus { free_at: Instant::now(), next: 1, due: BTreeMap::new() };
        Self { inner, bytes_per_second, bus: Mutex::new(bus), uploaded: AtomicU64::new(0) }
    }

    /// Bytes uploaded so far.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Relaxed)
    }

    /// Puts a copy of `bytes` on the bus that ends in no region. Returns its ticket, and when it will be done.
    pub fn send(&self, bytes: usize) -> (Ticket, Instant) {
        self.queue(bytes, Ticket::DONE)
    }

    fn queue(&self, bytes: usize, below: Ticket) -> (Ticket, Instant) {
        self.uploaded.fetch_add(bytes as u64, Relaxed);
        let mut bus = self.bus();
        let done = bus.free_at.max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let ticket = bus.next;
        (bus.free_at, bus.next) = (done, ticket + 1);
        bus.due.insert(ticket, (done, below));
        (Ticket(ticket), done)
    }

    fn bus(&self) -> MutexGuard<'_, Bus> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Provider> Provider for Throttled<P> {
    type Region = P::Region;
    forward!(page_size, reserve, release, commit, decommit, address, info, trim, scattered, recover);

    unsafe fn upload(
        &self,
        region: P::Region,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        // SAFETY: the caller's promises are those of the provider below.
        let below = unsafe { self.inner.upload(region, at, len, write) }?;
        Ok(self.queue(len, below).0)
    }
    fn is_done(&self, ticket: Ticket) -> bool {
        let due = self.bus().due.get(&ticket.0).copied();
        due.is_none_or(|(done, below)| done <= Instant::now() && self.inner.is_done(below))
    }
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        let due = self.bus().due.get(&ticket.0).copied();
        let Some((done, below)) = due else { return Ok(()) };
        std::thread::sleep(done.saturating_duration_since(Instant::now()));
        self.bus().due.remove(&ticket.0);
        self.inner.wait(below)
    }
    fn fence(&self) -> Ticket {
        match self.inner.fence() {
            Ticket::DONE => Ticket::DONE,
            below => self.queue(0, below).0,
        }
    }
}
