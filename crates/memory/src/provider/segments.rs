//! Big allocations that a backend owns and the arena cuts: the small trait a backend has to fill, and the host's own.
//! Knows one segment at a time.
#![allow(unsafe_code)]

use super::{
    contract::{MemInfo, Provider, ProviderError, Ticket, Write},
    host_vm::{HostRegion, HostVm},
};
use std::{ptr::NonNull, sync::Arc};

/// A backend's memory in big pieces. With it, a backend that lets nobody map memory into it can be paged all the same:
/// it allocates, [`Arena`](super::Arena) cuts.
pub trait Segments: Send + Sync + 'static {
    /// A handle to a segment. Clones share the memory, and the memory goes with the last of them.
    type Handle: Clone + Send + Sync + 'static;

    /// Allocates a segment of exactly `bytes`, usable on every stream when this returns.
    ///
    /// # Errors
    /// [`ProviderError::OutOfMemory`] when there is none.
    fn allocate(&self, bytes: usize) -> Result<Self::Handle, ProviderError>;

    /// Fills `len` bytes of a segment from `at` on with what `write` writes.
    ///
    /// # Errors
    /// When the copy fails, or `write` does.
    ///
    /// # Safety
    /// The range lies in the segment, and nobody else reads or writes it before the ticket is done.
    unsafe fn copy_in(
        &self,
        to: &Self::Handle,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError>;

    /// Where bytes of a segment lie, if the host can read them.
    fn address(&self, segment: &Self::Handle, at: usize) -> Option<NonNull<u8>>;

    /// See [`Provider::is_done`].
    fn is_done(&self, ticket: Ticket) -> bool;

    /// See [`Provider::wait`].
    ///
    /// # Errors
    /// When the work failed.
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError>;

    /// See [`Provider::fence`].
    fn fence(&self) -> Ticket;

    /// What the driver says is free.
    fn info(&self) -> MemInfo;

    /// Dropped segments shall go back to the driver now. May wait for the device.
    fn clean_up(&self) {}

    /// See [`Provider::recover`].
    ///
    /// # Errors
    /// [`ProviderError::DeviceLost`] while it is still gone.
    fn recover(&self) -> Result<(), ProviderError> {
        Ok(())
    }
}

/// The host's memory in segments: what burn's CPU backend computes on. A tensor over a range of one shares its bytes.
#[derive(Debug, Clone)]
pub struct HostSegments {
    vm: Arc<HostVm>,
}

/// A piece of the host's memory that goes with its last handle.
#[derive(Debug)]
pub struct HostSegment {
    vm: Arc<HostVm>,
    region: HostRegion,
    pages: usize,
}

impl HostSegments {
    /// Segments out of `vm`, which may be looked at from outside.
    pub fn new(vm: Arc<HostVm>) -> Self {
        Self { vm }
    }
}

impl Drop for HostSegment {
    fn drop(&mut self) {
        // SAFETY: committed as a whole when it was made; the last handle is going, and with it the last way in.
        unsafe {
            self.vm.decommit(self.region, 0..self.pages);
            self.vm.release(self.region);
        }
    }
}

impl Segments for HostSegments {
    type Handle = Arc<HostSegment>;

    fn allocate(&self, bytes: usize) -> Result<Arc<HostSegment>, ProviderError> {
        let region = self.vm.reserve(bytes)?;
        let pages = bytes.div_ceil(self.vm.page_size());
        if let Err(error) = self.vm.commit(region, 0..pages) {
            // SAFETY: nothing of it was committed, and nobody knows it.
            unsafe { self.vm.release(region) }
            return Err(error);
        }
        Ok(Arc::new(HostSegment { vm: self.vm.clone(), region, pages }))
    }

    unsafe fn copy_in(
        &self,
        to: &Arc<HostSegment>,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        // SAFETY: the segment is committed as a whole; the rest is the caller's promise.
        unsafe { self.vm.upload(to.region, at, len, write) }
    }

    fn address(&self, segment: &Arc<HostSegment>, at: usize) -> Option<NonNull<u8>> {
        self.vm.address(segment.region, at)
    }

    fn is_done(&self, ticket: Ticket) -> bool {
        self.vm.is_done(ticket)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        self.vm.wait(ticket)
    }

    fn fence(&self) -> Ticket {
        self.vm.fence()
    }

    fn info(&self) -> MemInfo {
        self.vm.info()
    }
}
