//! What memory must do so that weights can be paged in it, and what the pager promises in turn. Knows bytes, pages and
//! tickets; knows no weights and no policy.
#![allow(unsafe_code)]

use crate::format::SourceError;
use std::{fmt, ops::Range, ptr::NonNull};

/// Why a provider could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// There is no memory or no address space left.
    #[error("out of memory")]
    OutOfMemory,
    /// The device isn't ready for that now (a mapping that the driver refuses with "not ready" or "unknown").
    #[error("the device is not ready")]
    NotReady,
    /// The device is gone, with everything on it.
    #[error("the device was lost, and everything on it; what was running has to be run again")]
    DeviceLost,
    /// The system refused for another reason.
    #[error("refused: {0}")]
    Refused(String),
    /// The bytes to be uploaded could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Stands for work that was handed to a device. [`Ticket::DONE`] is work that is finished already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Nothing to wait for.
    pub const DONE: Self = Self(0);
}

/// Memory as the driver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemInfo {
    /// Bytes that could be committed now.
    pub free: u64,
    /// Bytes there are.
    pub total: u64,
}

/// Writes the bytes of a weight to where they shall lie.
pub type Write<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), SourceError>;

/// Address ranges backed page by page: the host's memory, a device's, or a double for tests.
///
/// The pager is the only caller, and calls it without holding its own lock. What it promises is said under *Safety*;
/// implementations need not check it.
pub trait Provider: Send + Sync + 'static {
    /// A reserved range of addresses.
    type Region: Copy + PartialEq + Send + Sync + fmt::Debug;

    /// The unit of commitment, in bytes.
    fn page_size(&self) -> usize;

    /// Reserves addresses for `bytes`, backed by nothing.
    ///
    /// # Errors
    /// When there are no addresses left.
    fn reserve(&self, bytes: usize) -> Result<Self::Region, ProviderError>;

    /// Gives addresses back.
    ///
    /// # Safety
    /// The region is one of this provider's, none of its pages is committed, and it is not used again.
    unsafe fn release(&self, region: Self::Region);

    /// Backs pages with memory.
    ///
    /// # Errors
    /// [`ProviderError::OutOfMemory`] is an answer, not an accident: the pager streams then.
    fn commit(&self, region: Self::Region, pages: Range<usize>) -> Result<(), ProviderError>;

    /// Takes the memory of pages back.
    ///
    /// # Safety
    /// The pages are committed ones of this provider's, all those of one `commit`; no reader and no copy is left on them.
    unsafe fn decommit(&self, region: Self::Region, pages: Range<usize>);

    /// Fills `len` bytes from `at` on with what `write` writes. They are readable when the ticket is done.
    ///
    /// # Errors
    /// When the copy fails, or `write` does; the bytes are any bytes then.
    ///
    /// # Safety
    /// The range is committed, and nobody else reads or writes it before the ticket is done.
    unsafe fn upload(
        &self,
        region: Self::Region,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError>;

    /// Where committed bytes lie, if the host can read them.
    fn address(&self, region: Self::Region, at: usize) -> Option<NonNull<u8>>;

    /// Whether that work is finished.
    fn is_done(&self, ticket: Ticket) -> bool;

    /// Waits until that work is finished.
    ///
    /// # Errors
    /// When it failed.
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError>;

    /// A ticket that is done when everything submitted so far is done.
    fn fence(&self) -> Ticket;

    /// What the driver says is free.
    fn info(&self) -> MemInfo;

    /// Gives memory back that no page lies in any more. Asked for when limits sink; may wait for the device.
    fn trim(&self);

    /// What lies in the way of holding no more than `keep` bytes of the system's memory, as (region, first page) of whole
    /// commitments: where memory goes back in pieces larger than a page, these have to leave before a piece is empty.
    fn scattered(&self, keep: u64) -> Vec<(Self::Region, usize)>;

    /// Has a lost device back, with nothing on it: every region is void and will be reserved anew.
    ///
    /// # Errors
    /// [`ProviderError::DeviceLost`] while it is still gone.
    fn recover(&self) -> Result<(), ProviderError>;
}

/// A provider that others look at, too.
impl<P: Provider> Provider for std::sync::Arc<P> {
    type Region = P::Region;
    fn page_size(&self) -> usize {
        (**self).page_size()
    }
    fn reserve(&self, bytes: usize) -> Result<P::Region, ProviderError> {
        (**self).reserve(bytes)
    }
    unsafe fn release(&self, region: P::Region) {
        // SAFETY: the caller's promises are those of the provider inside.
        unsafe { (**self).release(region) }
    }
    fn commit(&self, region: P::Region, pages: Range<usize>) -> Result<(), ProviderError> {
        (**self).commit(region, pages)
    }
    unsafe fn decommit(&self, region: P::Region, pages: Range<usize>) {
        // SAFETY: the caller's promises are those of the provider inside.
        unsafe { (**self).decommit(region, pages) }
    }
    unsafe fn upload(
        &self,
        region: P::Region,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        // SAFETY: the caller's promises are those of the provider inside.
        unsafe { (**self).upload(region, at, len, write) }
    }
    fn address(&self, region: P::Region, at: usize) -> Option<NonNull<u8>> {
        (**self).address(region, at)
    }
    fn is_done(&self, ticket: Ticket) -> bool {
        (**self).is_done(ticket)
    }
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        (**self).wait(ticket)
    }
    fn fence(&self) -> Ticket {
        (**self).fence()
    }
    fn info(&self) -> MemInfo {
        (**self).info()
    }
    fn trim(&self) {
        (**self).trim();
    }
    fn scattered(&self, keep: u64) -> Vec<(P::Region, usize)> {
        (**self).scattered(keep)
    }
    fn recover(&self) -> Result<(), ProviderError> {
        (**self).recover()
    }
}
