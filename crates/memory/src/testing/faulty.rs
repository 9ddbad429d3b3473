//! A provider that fails when it is told to. Knows calls by number and kind.
#![allow(unsafe_code)]

use super::forward::forward;
use crate::provider::{MemInfo, Provider, ProviderError, Ticket, Write};
use std::{
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
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
    /// [`Provider::wait`].
    Wait,
    /// [`Provider::recover`].
    Recover,
}

type Fails = dyn Fn(u64, Call) -> Option<ProviderError> + Send + Sync;

/// Fails the calls that a rule chooses, by number from 0 and kind.
pub struct Faulty<P> {
    inner: P,
    calls: AtomicU64,
    fails: Box<Fails>,
}

impl<P: Provider> Faulty<P> {
    /// `fails(n, call)` says whether the `n`th call fails: a copy is refused then, anything else finds no memory.
    pub fn new(inner: P, fails: impl Fn(u64, Call) -> bool + Send + Sync + 'static) -> Self {
        Self::with(inner, move |n, call| match call {
            Call::Wait | Call::Recover => None,
            _ if !fails(n, call) => None,
            Call::Upload => Some(ProviderError::Refused("the double refused the copy".into())),
            _ => Some(ProviderError::OutOfMemory),
        })
    }

    /// `fails(n, call)` says what the `n`th call fails with, if it does.
    pub fn with(inner: P, fails: impl Fn(u64, Call) -> Option<ProviderError> + Send + Sync + 'static) -> Self {
        Self { inner, calls: AtomicU64::new(0), fails: Box::new(fails) }
    }

    /// The provider below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn pass(&self, call: Call) -> Result<(), ProviderError> {
        // Waits are not numbered: how many there are depends on time.
        let n = if call == Call::Wait { 0 } else { self.calls.fetch_add(1, Relaxed) };
        (self.fails)(n, call).map_or(Ok(()), Err)
    }
}

impl<P: Provider> Provider for Faulty<P> {
    type Region = P::Region;
    forward!(page_size, release, decommit, address, is_done, fence, info, trim, scattered);
    fn reserve(&self, bytes: usize) -> Result<P::Region, ProviderError> {
        self.pass(Call::Reserve)?;
        self.inner.reserve(bytes)
    }
    fn commit(&self, region: P::Region, pages: Range<usize>) -> Result<(), ProviderError> {
        self.pass(Call::Commit)?;
        self.inner.commit(region, pages)
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
    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        self.pass(Call::Wait)?;
        self.inner.wait(ticket)
    }
    fn recover(&self) -> Result<(), ProviderError> {
        self.pass(Call::Recover)?;
        self.inner.recover()
    }
}
