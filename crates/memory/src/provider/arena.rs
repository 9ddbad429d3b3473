//! An arena: big segments that a backend owns, cut into units. Knows free ranges; knows no backend's calls.
//!
//! ```text
//!   region "unet"   pages 0..3   3..8   8..9          (addresses: numbers only)
//!                         │        │      │
//!   segment 0   [ 0..3 ][ free ][ 8..9 ][  free  ]    64-256 MiB, owned by the backend
//!   segment 1   [   3..8   ][        free        ]
//! ```
//! A unit lies in one segment, never across two. Evicting it puts its range on the segment's free list: no call to the
//! driver, and the next unit takes it over. Memory goes back a whole segment at a time, when limits sink.
#![allow(unsafe_code)]

use super::{
    contract::{MemInfo, Provider, ProviderError, Ticket, Write},
    segments::Segments,
};
use std::{
    collections::BTreeMap,
    ops::Range,
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
};

const MIB: usize = 1 << 20;
/// Ranges are cut in multiples of this.
const PAGE: usize = 4096;

/// Units in segments that a backend allocates.
pub struct Arena<S: Segments> {
    backend: S,
    segment: usize,
    capacity: usize,
    state: Mutex<State<S::Handle>>,
}

/// A range of page numbers in an [`Arena`]; where they lie is decided at each commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArenaRegion(u64);

struct State<H> {
    segments: Vec<Option<Segment<H>>>,
    /// By region and first page.
    blocks: BTreeMap<(ArenaRegion, usize), Block>,
    regions: BTreeMap<ArenaRegion, usize>,
    next: u64,
    held: usize,
}

struct Segment<H> {
    /// Two, always: a backend that computes in place when a handle has at most two owners, one of them its own pool,
    /// must never find a weight's segment in that state.
    handles: [H; 2],
    len: usize,
    /// Free ranges: length by offset. Neighbours are joined.
    free: BTreeMap<usize, usize>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    segment: usize,
    offset: usize,
    pages: usize,
}

impl<S: Segments> Arena<S> {
    /// Segments of a 64th of `capacity`, at least 64 and at most 256 MiB; at most `capacity` bytes in all.
    pub fn new(backend: S, capacity: usize) -> Self {
        Self::with_segments(backend, capacity, (capacity / 64).clamp(64 * MIB, 256 * MIB))
    }

    /// Segments of `segment` bytes; a unit that is larger gets one of its own.
    pub fn with_segments(backend: S, capacity: usize, segment: usize) -> Self {
        let state = State { segments: Vec::new(), blocks: BTreeMap::new(), regions: BTreeMap::new(), next: 0, held: 0 };
        let segment = segment.max(PAGE) / PAGE * PAGE;
        Self { backend, segment, capacity, state: Mutex::new(state) }
    }

    /// Bytes of segments that the backend has allocated.
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// Bytes that units lie in.
    pub fn committed(&self) -> usize {
        self.lock().blocks.values().map(|block| block.pages * PAGE).sum()
    }

    /// Ranges reserved now.
    pub fn regions(&self) -> usize {
        self.lock().regions.len()
    }

    /// The backend below.
    pub fn backend(&self) -> &S {
        &self.backend
    }

    /// The handle and offset of a committed page: what a backend makes a tensor of.
    pub fn handle(&self, region: ArenaRegion, page: usize) -> Option<(S::Handle, usize)> {
        let state = self.lock();
        let (block, first) = state.block(region, page)?;
        let segment = state.segments.get(block.segment)?.as_ref()?;
        Some((segment.handles[0].clone(), block.offset + (page - first) * PAGE))
    }

    fn lock(&self) -> MutexGuard<'_, State<S::Handle>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allocates a segment for at least `bytes`, giving empty ones back if it takes that.
    fn grow(&self, state: &mut State<S::Handle>, bytes: usize) -> Result<(), ProviderError> {
        if state.held + bytes > self.capacity {
            state.drop_empty();
        }
        let room = self.capacity.saturating_sub(state.held) / PAGE * PAGE;
        let len = self.segment.min(room).max(bytes);
        if len > room {
            return Err(ProviderError::OutOfMemory);
        }
        let handle = self.backend.allocate(len)?;
        let segment = Segment { handles: [handle.clone(), handle], len, free: BTreeMap::from([(0, len)]) };
        state.held += len;
        match state.segments.iter_mut().find(|s| s.is_none()) {
            Some(slot) => *slot = Some(segment),
            None => state.segments.push(Some(segment)),
        }
        Ok(())
    }
}

impl<H: Clone> State<H> {
    /// The commitment that a page belongs to, and its first page.
    fn block(&self, region: ArenaRegion, page: usize) -> Option<(Block, usize)> {
        let ((_, first), block) = self.blocks.range((region, 0)..=(region, page)).next_back()?;
        (page < first + block.pages).then_some((*block, *first))
    }

    /// The tightest free range of that size.
    fn take(&mut self, bytes: usize) -> Option<(usize, usize)> {
        let all = self.segments.iter().enumerate().filter_map(|(i, s)| s.as_ref().map(|s| (i, s)));
        let fitting = all.flat_map(|(i, s)| s.free.iter().map(move |(at, len)| (*len, i, *at)));
        let (len, segment, at) = fitting.filter(|(len, ..)| *len >= bytes).min()?;
        let free = &mut self.segments[segment].as_mut()?.free;
        free.remove(&at);
        if len > bytes {
            free.insert(at + bytes, len - bytes);
        }
        Some((segment, at))
    }

    fn give(&mut self, block: Block) {
        let Some(free) = self.segments.get_mut(block.segment).and_then(Option::as_mut).map(|s| &mut s.free) else {
            return;
        };
        let (mut at, mut len) = (block.offset, block.pages * PAGE);
        if let Some(after) = free.remove(&(at + len)) {
            len += after;
        }
        if let Some((before, n)) = free.range(..at).next_back().map(|(a, n)| (*a, *n)).filter(|(a, n)| a + n == at) {
            (at, len) = (before, n + len);
        }
        free.insert(at, len);
    }

    fn drop_empty(&mut self) -> bool {
        let mut freed = 0;
        for slot in &mut self.segments {
            if slot.as_ref().is_some_and(|s| s.free.get(&0) == Some(&s.len)) {
                freed += slot.take().map_or(0, |s| s.len);
            }
        }
        self.held -= freed;
        freed > 0
    }

    fn used(&self, segment: usize) -> Option<usize> {
        let segment = self.segments[segment].as_ref()?;
        Some(segment.len - segment.free.values().sum::<usize>())
    }
}

impl<S: Segments> Provider for Arena<S> {
    type Region = ArenaRegion;

    fn page_size(&self) -> usize {
        PAGE
    }

    fn reserve(&self, bytes: usize) -> Result<ArenaRegion, ProviderError> {
        let mut state = self.lock();
        let region = ArenaRegion(state.next);
        state.next += 1;
        state.regions.insert(region, bytes.div_ceil(PAGE));
        Ok(region)
    }

    unsafe fn release(&self, region: ArenaRegion) {
        self.lock().regions.remove(&region);
    }

    fn commit(&self, region: ArenaRegion, pages: Range<usize>) -> Result<(), ProviderError> {
        let mut state = self.lock();
        let reserved = state.regions.get(&region).copied().unwrap_or(0);
        if pages.end > reserved {
            return Err(ProviderError::Refused(format!("pages {pages:?} of a range of {reserved}")));
        }
        let bytes = pages.len() * PAGE;
        let mut found = state.take(bytes);
        if found.is_none() {
            self.grow(&mut state, bytes)?;
            found = state.take(bytes);
        }
        let (segment, offset) = found.ok_or(ProviderError::OutOfMemory)?;
        state.blocks.insert((region, pages.start), Block { segment, offset, pages: pages.len() });
        Ok(())
    }

    unsafe fn decommit(&self, region: ArenaRegion, pages: Range<usize>) {
        let mut state = self.lock();
        if let Some(block) = state.blocks.remove(&(region, pages.start)) {
            debug_assert_eq!(block.pages, pages.len(), "what is committed together leaves together");
            state.give(block);
        }
    }

    unsafe fn upload(
        &self,
        region: ArenaRegion,
        at: usize,
        len: usize,
        write: Write<'_>,
    ) -> Result<Ticket, ProviderError> {
        let outside = || ProviderError::Refused(format!("{len} bytes at {at} are not committed"));
        let (handle, offset) = self.handle(region, at / PAGE).ok_or_else(outside)?;
        // SAFETY: the range was cut from this segment for this unit alone; the rest is the caller's promise.
        unsafe { self.backend.copy_in(&handle, offset + at % PAGE, len, write) }
    }

    fn address(&self, region: ArenaRegion, at: usize) -> Option<NonNull<u8>> {
        let (handle, offset) = self.handle(region, at / PAGE)?;
        self.backend.address(&handle, offset + at % PAGE)
    }

    fn is_done(&self, ticket: Ticket) -> bool {
        self.backend.is_done(ticket)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), ProviderError> {
        self.backend.wait(ticket)
    }

    fn fence(&self) -> Ticket {
        self.backend.fence()
    }

    fn info(&self) -> MemInfo {
        let below = self.backend.info();
        let left = self.capacity.saturating_sub(self.held()) as u64;
        MemInfo { free: below.free.min(left), total: below.total.min(self.capacity as u64) }
    }

    fn trim(&self) {
        if self.lock().drop_empty() {
            self.backend.clean_up();
        }
    }

    fn scattered(&self, keep: u64) -> Vec<(ArenaRegion, usize)> {
        let state = self.lock();
        let mut over = (state.held as u64).saturating_sub(keep.next_multiple_of(self.segment as u64));
        let mut emptiest: Vec<_> = (0..state.segments.len()).filter_map(|i| Some((state.used(i)?, i))).collect();
        emptiest.sort_unstable();
        let mut leaving = Vec::new();
        for (_, segment) in emptiest {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(state.segments[segment].as_ref().map_or(0, |s| s.len as u64));
            let in_it = state.blocks.iter().filter(|(_, block)| block.segment == segment);
            leaving.extend(in_it.map(|((region, first), _)| (*region, *first)));
        }
        leaving
    }

    fn recover(&self) -> Result<(), ProviderError> {
        self.backend.recover()
    }
}

impl<S: Segments> std::fmt::Debug for Arena<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        write!(
            f,
            "Arena({} units in {} of segments)",
            state.blocks.len(),
            crate::budget::human_bytes(state.held as u64)
        )
    }
}
