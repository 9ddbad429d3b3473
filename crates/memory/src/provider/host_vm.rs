//! Host memory as a true address range: reserved without access, committed on demand, given back on eviction.
#![allow(unsafe_code)]

use super::contract::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The host's virtual memory. `reserve` takes addresses only, `commit` makes pages accessible (they become resident when
/// written), `decommit` gives the memory back to the system, so that the resident size really falls.
///
/// Costs on Linux: reserving 1 TiB 5 µs, committing 3 µs, the first fill at the speed of page faults.
#[derive(Debug)]
pub struct HostVm {
    page: usize,
    capacity: usize,
    committed: AtomicUsize,
    regions: AtomicUsize,
}

/// Addresses that a [`HostVm`] has reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRegion {
    base: usize,
    len: usize,
}

impl HostVm {
    /// Pages of the system's size, as many as there are.
    pub fn new() -> Self {
        Self::with_capacity(usize::MAX)
    }

    /// At most `capacity` bytes committed at once; beyond that it returns "out of memory", as a device would.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { page: system_page(), capacity, committed: AtomicUsize::new(0), regions: AtomicUsize::new(0) }
    }

    /// Bytes committed now.
    pub fn committed(&self) -> usize {
        self.committed.load(Relaxed)
    }

    /// Ranges reserved now.
    pub fn regions(&self) -> usize {
        self.regions.load(Relaxed)
    }

    fn span(&self, region: HostRegion, pages: &Range<usize>) -> Result<(NonNull<u8>, usize), ProviderError> {
        let (at, len) = (pages.start * self.page, pages.len() * self.page);
        if at + len > region.len {
            return Err(ProviderError::Refused(format!("pages {pages:?} of a range of {} bytes", region.len)));
        }
        NonNull::new((region.base + at) as *mut u8).map(|p| (p, len)).ok_or(ProviderError::OutOfMemory)
    }
}

impl Default for HostVm {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for HostVm {
    type Region = HostRegion;

    fn page_size(&self) -> usize {
        self.page
    }

    fn reserve(&self, bytes: usize) -> Result<HostRegion, ProviderError> {
        let len = bytes.max(1).next_multiple_of(self.page);
        let base = system::reserve(len)?;
        self.regions.fetch_add(1, Relaxed);
        Ok(HostRegion { base, len })
    }

    unsafe fn release(&self, region: HostRegion) {
        system::release(region.base, region.len, self.page);
        self.regions.fetch_sub(1, Relaxed);
    }

    fn commit(&self, region: HostRegion, pages: Range<usize>) -> Result<(), ProviderError> {
        let (at, len) = self.span(region, &pages)?;
        let fits = |now: usize| now.checked_add(len).filter(|sum| *sum <= self.capacity);
        self.committed.fetch_update(Relaxed, Relaxed, fits).map_err(|_| ProviderError::OutOfMemory)?;
        system::commit(at, len).inspect_err(|_| _ = self.committed.fetch_sub(len, Relaxed))
    }

    unsafe fn decommit(&self, region: HostRegion, pages: Range<usize>) {
        if let Ok((at, len)) = self.span(region, &pages) {
            system::decommit(at, len);
            self.committed.fetch_sub(len, Relaxed);
        }
    }

    unsafe fn upload(
        &self,
        region: HostRegion,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        let pages = at / self.page..(at + len).div_ceil(self.page);
        let (start, _) = self.span(region, &pages)?;
        // SAFETY: the range lies inside the region (`span` checked it), the pager has committed it and lets nobody
        // read or write it during the upload.
        let target = unsafe { std::slice::from_raw_parts_mut(start.as_ptr().add(at % self.page), len) };
        write(target)?;
        Ok(Ticket::DONE)
    }

    fn address(&self, region: HostRegion, at: usize) -> Option<NonNull<u8>> {
        (at < region.len).then(|| NonNull::new((region.base + at) as *mut u8)).flatten()
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
        let machine = crate::budget::available_memory().unwrap_or(u64::MAX);
        let free = self.capacity.saturating_sub(self.committed()) as u64;
        MemInfo { free: free.min(machine), total: self.capacity as u64 }
    }

    fn trim(&self) {}

    fn scattered(&self, _: u64) -> Vec<(HostRegion, usize)> {
        Vec::new()
    }

    fn recover(&self) -> Result<(), ProviderError> {
        Ok(())
    }
}

#[cfg(unix)]
fn system_page() -> usize {
    rustix::param::page_size()
}

#[cfg(not(unix))]
fn system_page() -> usize {
    4096
}

#[cfg(unix)]
mod system {
    use super::ProviderError;
    use rustix::{
        io::Errno,
        mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap},
    };
    use std::ptr::{NonNull, null_mut};

    fn refused(error: Errno) -> ProviderError {
        match error {
            Errno::NOMEM | Errno::AGAIN => ProviderError::OutOfMemory,
            other => ProviderError::Refused(other.to_string()),
        }
    }

    pub(super) fn reserve(len: usize) -> Result<usize, ProviderError> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the system's choice aliases nothing.
        let base = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::empty(), flags) }.map_err(refused)?;
        Ok(base as usize)
    }

    pub(super) fn release(base: usize, len: usize, _page: usize) {
        // SAFETY: the range is one that `reserve` returned; the pager has no reader left in it.
        let released = unsafe { munmap(base as *mut _, len) };
        debug_assert!(released.is_ok());
    }

    pub(super) fn commit(at: NonNull<u8>, len: usize) -> Result<(), ProviderError> {
        // SAFETY: the range lies in a region of ours; making it accessible invalidates nothing.
        unsafe { mprotect(at.as_ptr().cast(), len, MprotectFlags::READ | MprotectFlags::WRITE) }.map_err(refused)
    }

    pub(super) fn decommit(at: NonNull<u8>, len: usize) {
        // SAFETY: the range lies in a region of ours and the pager has no reader left in it.
        let gone = unsafe {
            madvise(at.as_ptr().cast(), len, Advice::LinuxDontNeed)
                .and_then(|()| mprotect(at.as_ptr().cast(), len, MprotectFlags::empty()))
        };
        debug_assert!(gone.is_ok());
    }
}

/// Without `mmap`: the allocator's zeroed memory, which the system backs when it is written. Nothing is given back
/// before the region is.
#[cfg(not(unix))]
mod system {
    use super::ProviderError;
    use std::{alloc, ptr::NonNull};

    fn layout(len: usize) -> Result<alloc::Layout, ProviderError> {
        alloc::Layout::from_size_align(len, 4096).map_err(|_| ProviderError::OutOfMemory)
    }

    pub(super) fn reserve(len: usize) -> Result<usize, ProviderError> {
        // SAFETY: `len` is at least one page.
        let base = unsafe { alloc::alloc_zeroed(layout(len)?) };
        if base.is_null() { Err(ProviderError::OutOfMemory) } else { Ok(base as usize) }
    }

    pub(super) fn release(base: usize, len: usize, _page: usize) {
        if let Ok(layout) = layout(len) {
            // SAFETY: allocated by `reserve` with the same layout; the pager has no reader left in it.
            unsafe { alloc::dealloc(base as *mut u8, layout) }
        }
    }

    pub(super) fn commit(_: NonNull<u8>, _: usize) -> Result<(), ProviderError> {
        Ok(())
    }

    pub(super) fn decommit(_: NonNull<u8>, _: usize) {}
}
