//! Doubles of a provider for tests and dry runs: one that fails, one that is late, one that is slow, one without memory.
#![allow(unsafe_code)]

use super::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    ops::Range,
    ptr::NonNull,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A call that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Provider::reserve`].
    Reserve,
    /// [`Provider::commit`].
    Commit,
    /// [`Provider::upload`].
    Upload,
}

type Fails = dyn Fn(u64, Call) -> bool + Send + Sync;

/// Fails the calls that a rule chooses, by number from 0 and kind.
pub struct Faulty<P> {
    inner: P,
    calls: AtomicU64,
    fails: Box<Fails>,
}

impl<P: Provider> Faulty<P> {
    /// `fails(n, call)` says whether the `n`th call fails.
    pub fn new(inner: P, fails: impl Fn(u64, Call) -> bool + Send + Sync + 'static) -> Self {
        Self { inner, calls: AtomicU64::new(0), fails: Box::new(fails) }
    }

    /// The provider below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn pass(&self, call: Call) -> Result<(), ProviderError> {
        match (self.fails)(self.calls.fetch_add(1, Relaxed), call) {
            true if call == Call::Upload => Err(ProviderError::Refused("the double refused the copy".into())),
            true => Err(ProviderError::OutOfMemory),
            false => Ok(()),
        }
    }
}

impl<P: Provider> Provider for Faulty<P> {
    type Region = P::Region;
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }
    fn reserve(&self, bytes: usize) -> Result<P::Region, ProviderError> {
        self.pass(Call::Reserve)?;
        self.inner.reserve(bytes)
    }
    unsafe fn release(&self, region: P::Region) {
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.release(region) }
    }
    fn commit(&self, region: P::Region, pages: Range<usize>) -> Result<(), ProviderError> {
        self.pass(Call::Commit)?;
        self.inner.commit(region, pages)
    }
    unsafe fn decommit(&self, region: P::Region, pages: Range<usize>) {
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.decommit(region, pages) }
    }
    unsafe fn upload(
        &self,
        region: P::Region,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        self.pass(Call::Upload)?;
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.upload(region, at, len, write) }
    }
    fn address(&self, region: P::Region, at: usize) -> Option<NonNull<u8>> {
        self.inner.address(region, at)
    }
    fn is_done(&self, ticket: Ticket) -> bool {
        self.inner.is_done(ticket)
    }
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        self.inner.wait(ticket)
    }
    fn fence(&self) -> Ticket {
        self.inner.fence()
    }
    fn info(&self) -> MemInfo {
        self.inner.info()
    }
}

/// Copies and fences that are done only when someone waits for them: what a device does, made deterministic.
///
/// The bytes of an upload arrive when its ticket is waited for; until then the range holds 0xFF. Taking pages back
/// while a copy into them or a fence is outstanding is counted as a violation.
pub struct Delayed<P: Provider> {
    inner: P,
    next: AtomicU64,
    late: Mutex<Vec<Late<P::Region>>>,
    violations: AtomicU64,
}

struct Late<R> {
    ticket: Ticket,
    copy: Option<(R, usize, Vec<u8>)>,
}

impl<P: Provider> Delayed<P> {
    /// Delays what `inner` does.
    pub fn new(inner: P) -> Self {
        Self { inner, next: AtomicU64::new(1), late: Mutex::default(), violations: AtomicU64::new(0) }
    }

    /// The provider below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// How often pages went while work on them was outstanding.
    pub fn violations(&self) -> u64 {
        self.violations.load(Relaxed)
    }

    /// Tickets that nobody has waited for yet.
    pub fn outstanding(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Late<P::Region>>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticket(&self, copy: Option<(P::Region, usize, Vec<u8>)>) -> Ticket {
        let ticket = Ticket(self.next.fetch_add(1, Relaxed));
        self.lock().push(Late { ticket, copy });
        ticket
    }
}

impl<P: Provider> Provider for Delayed<P> {
    type Region = P::Region;
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }
    fn reserve(&self, bytes: usize) -> Result<P::Region, ProviderError> {
        self.inner.reserve(bytes)
    }
    unsafe fn release(&self, region: P::Region) {
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.release(region) }
    }
    fn commit(&self, region: P::Region, pages: Range<usize>) -> Result<(), ProviderError> {
        self.inner.commit(region, pages)
    }
    unsafe fn decommit(&self, region: P::Region, pages: Range<usize>) {
        let (start, end) = (pages.start * self.page_size(), pages.end * self.page_size());
        let base = |r: P::Region| self.inner.address(r, 0);
        let hit = |late: &Late<P::Region>| {
            late.copy.as_ref().is_some_and(|(r, at, d)| base(*r) == base(region) && *at < end && at + d.len() > start)
        };
        if self.lock().iter().any(hit) {
            self.violations.fetch_add(1, Relaxed);
        }
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.decommit(region, pages) }
    }
    unsafe fn upload(
        &self,
        region: P::Region,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        let mut data = vec![0; len.next_multiple_of(8)];
        write(&mut data[..len])?;
        data.truncate(len);
        let mut poison = |to: &mut [u8]| {
            to.fill(0xff);
            Ok(())
        };
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.upload(region, at, len, &mut poison) }?;
        Ok(self.ticket(Some((region, at, data))))
    }
    fn address(&self, region: P::Region, at: usize) -> Option<NonNull<u8>> {
        self.inner.address(region, at)
    }
    fn is_done(&self, ticket: Ticket) -> bool {
        !self.lock().iter().any(|late| late.ticket == ticket)
    }
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        let late = {
            let mut all = self.lock();
            all.iter().position(|late| late.ticket == ticket).map(|i| all.swap_remove(i))
        };
        if let Some((region, at, data)) = late.and_then(|late| late.copy) {
            let mut copy = |to: &mut [u8]| {
                to.copy_from_slice(&data);
                Ok(())
            };
            // SAFETY: the ticket is not done before this returns, so the upload's promises still hold.
            unsafe { self.inner.upload(region, at, data.len(), &mut copy) }?;
        }
        Ok(())
    }
    fn fence(&self) -> Ticket {
        self.ticket(None)
    }
    fn info(&self) -> MemInfo {
        self.inner.info()
    }
}

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
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }
    fn reserve(&self, bytes: usize) -> Result<P::Region, ProviderError> {
        self.inner.reserve(bytes)
    }
    unsafe fn release(&self, region: P::Region) {
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.release(region) }
    }
    fn commit(&self, region: P::Region, pages: Range<usize>) -> Result<(), ProviderError> {
        self.inner.commit(region, pages)
    }
    unsafe fn decommit(&self, region: P::Region, pages: Range<usize>) {
        // SAFETY: the caller's promises are those of the provider below.
        unsafe { self.inner.decommit(region, pages) }
    }
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
    fn address(&self, region: P::Region, at: usize) -> Option<NonNull<u8>> {
        self.inner.address(region, at)
    }
    fn is_done(&self, ticket: Ticket) -> bool {
        self.inner.is_done(ticket)
    }
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        self.inner.wait(ticket)
    }
    fn fence(&self) -> Ticket {
        self.inner.fence()
    }
    fn info(&self) -> MemInfo {
        self.inner.info()
    }
}

/// Counts and holds nothing: for planning models of any size without their bytes. One page is one byte.
#[derive(Debug, Default)]
pub struct Tally {
    committed: AtomicUsize,
}

impl Tally {
    /// Bytes that would be committed now.
    pub fn committed(&self) -> usize {
        self.committed.load(Relaxed)
    }
}

impl Provider for Tally {
    type Region = ();
    fn page_size(&self) -> usize {
        1
    }
    fn reserve(&self, _: usize) -> Result<(), ProviderError> {
        Ok(())
    }
    unsafe fn release(&self, (): ()) {}
    fn commit(&self, (): (), pages: Range<usize>) -> Result<(), ProviderError> {
        self.committed.fetch_add(pages.len(), Relaxed);
        Ok(())
    }
    unsafe fn decommit(&self, (): (), pages: Range<usize>) {
        self.committed.fetch_sub(pages.len(), Relaxed);
    }
    unsafe fn upload(&self, (): (), _: usize, _: usize, _: Write<'_>) -> Result<Ticket, ProviderError> {
        Ok(Ticket::DONE)
    }
    fn address(&self, (): (), _: usize) -> Option<NonNull<u8>> {
        None
    }
    fn is_done(&self, _: Ticket) -> bool {
        true
    }
    fn wait(&self, _: Ticket) -> Result<(), ProviderError> {
        Ok(())
    }
    fn fence(&self) -> Ticket {
        Ticket::DONE
    }
    fn info(&self) -> MemInfo {
        MemInfo { free: u64::MAX, total: u64::MAX }
    }
}
