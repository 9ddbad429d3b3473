//! The output store: values that finished nodes left behind, and who may still read them.
//!
//! Knows sockets and reader counts. Belongs to one run and to no other thread. Knows nothing of scheduling: the run
//! tells it when an edge appears or goes, and it returns what was dropped.

mod contents;
mod live_bytes;
mod released;
mod retention;

pub(crate) use self::live_bytes::LiveBytes;
pub(crate) use self::released::Released;
pub use self::retention::Retention;

use std::sync::Arc;

use self::contents::{Content, Contents, Place};
use crate::codec::CodecError;
use crate::spill::{Spilled, Spilling};
use crate::value::Values;

/// One output socket of a node of the run.
#[derive(Clone)]
struct Socket {
    content: Place,
    /// Edges whose reader may still run, strong and lazy.
    readers: u32,
    /// Strong edges of scheduled readers.
    strong: u32,
    /// Stays until its node is gone.
    pinned: bool,
}

/// A socket that nobody reads and that holds nothing.
const UNUSED: Socket = Socket { content: Place::NONE, readers: 0, strong: 0, pinned: false };

/// The sockets of one node: a range in the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sockets {
    pub first: u32,
    pub count: u32,
}

impl Sockets {
    pub(crate) fn at(self, socket: u32) -> Option<usize> {
        (socket < self.count).then_some((self.first + socket) as usize)
    }
}

/// Values of finished nodes.
pub(crate) struct Store {
    sockets: Vec<Socket>,
    contents: Contents,
    /// Freed ranges by their length.
    free: Vec<Vec<u32>>,
    retention: Retention,
}

impl Store {
    pub(crate) fn new(retention: Retention, expected: usize) -> Self {
        Self { sockets: Vec::with_capacity(expected), contents: Contents::default(), free: Vec::new(), retention }
    }

    /// From now on nothing is dropped any more.
    pub(crate) fn keep_everything(&mut self) {
        self.retention = Retention::Keep;
    }

    pub(crate) fn allocate(&mut self, count: u32) -> Sockets {
        if let Some(first) = self.free.get_mut(count as usize).and_then(Vec::pop) {
            return Sockets { first, count };
        }
        let first = self.sockets.len() as u32;
        self.sockets.resize(first as usize + count as usize, UNUSED);
        Sockets { first, count }
    }

    /// Gives a node's range back. Returns the bytes that came free.
    pub(crate) fn free(&mut self, sockets: Sockets, live_bytes: &mut LiveBytes) {
        if sockets.count == 0 {
            return;
        }
        for at in sockets.first..sockets.first + sockets.count {
            self.take(at as usize, live_bytes);
            self.sockets[at as usize] = UNUSED;
        }
        let length = sockets.count as usize;
        if self.free.len() <= length {
            self.free.resize_with(length + 1, Vec::new);
        }
        self.free[length].push(sockets.first);
    }

    pub(crate) fn pin(&mut self, sockets: Sockets) {
        for at in sockets.first..sockets.first + sockets.count {
            self.sockets[at as usize].pinned = true;
        }
    }

    /// An edge onto the socket appeared.
    pub(crate) fn add_reader(&mut self, at: usize) {
        self.sockets[at].readers += 1;
    }

    /// An edge onto the socket became one that its reader waits for.
    pub(crate) fn add_strong(&mut self, at: usize) {
        self.sockets[at].strong += 1;
    }

    /// An edge onto the socket went. The value may go with it.
    pub(crate) fn release(
        &mut self,
        at: usize,
        strong: bool,
        live_bytes: &mut LiveBytes,
        spill: Option<Spilling<'_>>,
    ) -> Released {
        let socket = &mut self.sockets[at];
        socket.readers -= 1;
        socket.strong -= u32::from(strong);
        self.drop_unread(at, live_bytes, spill)
    }

    fn is_readable(&self, socket: &Socket) -> bool {
        match self.retention {
            Retention::Keep | Retention::Unreferenced => true,
            Retention::Unreadable | Retention::StaticOnly => socket.readers > 0,
            Retention::Eager => socket.strong > 0,
        }
    }

    fn drop_unread(&mut self, at: usize, live_bytes: &mut LiveBytes, spill: Option<Spilling<'_>>) -> Released {
        let socket = &self.sockets[at];
        if socket.content == Place::NONE || self.is_readable(socket) {
            return Released::Kept;
        }
        if socket.pinned {
            return spill.map_or(Released::Kept, |spill| self.spill(at, live_bytes, spill));
        }
        self.take(at, live_bytes).map_or(Released::Kept, |values| Released::Dropped(values.bytes()))
    }

    /// Puts a value on a socket that has none. When nobody can read it, it goes at once.
    pub(crate) fn put(
        &mut self,
        at: usize,
        values: Values,
        live_bytes: &mut LiveBytes,
        spill: Option<Spilling<'_>>,
    ) -> Released {
        let socket = &mut self.sockets[at];
        if socket.content != Place::NONE {
            return Released::Kept;
        }
        live_bytes.add(&values);
        socket.content = self.contents.put(Content::Values(values));
        if self.retention == Retention::Unreferenced && socket.readers == 0 && !socket.pinned {
            return self.take(at, live_bytes).map_or(Released::Kept, |values| Released::Dropped(values.bytes()));
        }
        self.drop_unread(at, live_bytes, spill)
    }

    /// Takes the value off the socket.
    pub(crate) fn take(&mut self, at: usize, live_bytes: &mut LiveBytes) -> Option<Values> {
        match self.contents.take(&mut self.sockets[at].content) {
            Content::Values(values) => {
                live_bytes.remove(&values);
                Some(values)
            }
            _ => None,
        }
    }

    /// Moves a list to where it does not take memory, if that works.
    fn spill(&mut self, at: usize, live_bytes: &mut LiveBytes, spill: Spilling<'_>) -> Released {
        let stored = self.get(at).and_then(|values| Some((values.bytes(), spill.store(values)?)));
        let Some((bytes, spilled)) = stored else { return Released::Kept };
        let place = self.sockets[at].content;
        if let Content::Values(values) = self.contents.replace(place, Content::Spilled(spilled)) {
            live_bytes.remove(&values);
        }
        Released::Spilled(bytes)
    }

    /// Brings a spilled value back, if it was spilled. Returns its bytes then.
    pub(crate) fn recall(&mut self, at: usize, live_bytes: &mut LiveBytes) -> Result<Option<u64>, CodecError> {
        let place = self.sockets[at].content;
        let Content::Spilled(spilled) = self.contents.get(place) else { return Ok(None) };
        let values = spilled.load()?;
        let bytes = values.bytes();
        live_bytes.add(&values);
        self.contents.replace(place, Content::Values(values));
        Ok(Some(bytes))
    }

    /// What stands for a spilled value.
    pub(crate) fn spilled(&self, at: usize) -> Option<&Arc<dyn Spilled>> {
        if let Content::Spilled(spilled) = self.contents.get(self.sockets[at].content) { Some(spilled) } else { None }
    }

    /// The value on a socket, unless it was never computed, dropped, or is spilled.
    pub(crate) fn get(&self, at: usize) -> Option<&Values> {
        if let Content::Values(values) = self.contents.get(self.sockets[at].content) { Some(values) } else { None }
    }

    /// Whether the value is here, or can be brought back without running its node.
    pub(crate) fn is_present(&self, at: usize) -> bool {
        self.sockets[at].content != Place::NONE
    }

    /// How many edges may still read the socket.
    pub(crate) fn readers(&self, at: usize) -> u32 {
        self.sockets[at].readers
    }

    /// Moves the readers of one socket to another. Edges are the caller's matter.
    pub(crate) fn move_reader(&mut self, from: usize, to: usize, strong: bool) {
        self.sockets[from].readers -= 1;
        self.sockets[to].readers += 1;
        self.sockets[from].strong -= u32::from(strong);
        self.sockets[to].strong += u32::from(strong);
    }

    /// Takes everything out at the end of a run.
    pub(crate) fn clear(&mut self, live_bytes: &mut LiveBytes) {
        for at in 0..self.sockets.len() {
            self.take(at, live_bytes);
        }
        self.sockets.clear();
        self.free.clear();
    }
}
