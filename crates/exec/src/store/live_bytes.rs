//! Live bytes: how many bytes are alive, each storage counted once however many handles lead to it.

use std::collections::HashMap;

use crate::value::{Value, Values, storage_of};

/// Bytes alive in a run's outputs and in the cache together.
#[derive(Default)]
pub(crate) struct LiveBytes {
    storages: HashMap<u64, Storage, foldhash::fast::RandomState>,
    live: u64,
    peak: u64,
}

struct Storage {
    handles: u32,
    bytes: u64,
}

impl LiveBytes {
    pub(crate) fn add(&mut self, values: &Values) {
        for value in values {
            let Value::Object(object) = value else { continue };
            let bytes = object.bytes();
            if bytes == 0 {
                continue;
            }
            let storage = self.storages.entry(storage_of(object)).or_insert(Storage { handles: 0, bytes: 0 });
            storage.handles += 1;
            if storage.handles == 1 {
                storage.bytes = bytes;
                self.live += bytes;
                self.peak = self.peak.max(self.live);
            }
        }
    }

    pub(crate) fn remove(&mut self, values: &Values) {
        for value in values {
            let Value::Object(object) = value else { continue };
            let id = storage_of(object);
            // A storage that grew from nothing since it was added is not in the books.
            let Some(storage) = self.storages.get_mut(&id) else { continue };
            storage.handles -= 1;
            if storage.handles == 0 {
                self.live -= storage.bytes;
                self.storages.remove(&id);
            }
        }
    }

    /// Bytes alive now.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// The most bytes alive since [`start`](Self::start).
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// A new run begins.
    pub(crate) fn start(&mut self) {
        self.peak = self.live;
    }
}
