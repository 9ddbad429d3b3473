//! A provider whose copies and fences are done only when someone waits for them. Knows tickets.
#![allow(unsafe_code)]

use super::forward::forward;
use crate::provider::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    ops::Range,
    ptr::NonNull,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

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
    forward!(page_size, reserve, release, commit, address, info, trim, scattered, recover);
    unsafe fn decommit(&self, region: P::Region, pages: Range<usize>) {
        let (start, end) = (pages.start * self.page_size(), pages.end * self.page_size());
        let hit = |late: &Late<P::Region>| {
            late.copy.as_ref().is_some_and(|(r, at, d)| *r == region && *at < end && at + d.len() > start)
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
}
