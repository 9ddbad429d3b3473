//! A provider without memory, for planning. Knows sums.
#![allow(unsafe_code)]

use super::contract::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Counts and holds nothing: for planning models of any size without their bytes. One page is one byte.
#[derive(Debug, Default)]
pub struct NullProvider {
    committed: AtomicUsize,
}

impl NullProvider {
    /// Bytes that would be committed now.
    pub fn committed(&self) -> usize {
        self.committed.load(Relaxed)
    }
}

impl Provider for NullProvider {
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
    fn trim(&self) {}
    fn scattered(&self, _: u64) -> Vec<((), usize)> {
        Vec::new()
    }
    fn recover(&self) -> Result<(), ProviderError> {
        Ok(())
    }
}
