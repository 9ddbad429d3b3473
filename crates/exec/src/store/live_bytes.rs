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

/// Some storages.
pub(crate) struct Storages(HashMap<u64, u32, foldhash::fast::RandomState>);

impl Storages {
    /// Whether one of these values lies in one of them.
    pub(crate) fn hold(&self, values: &Values) -> bool {
        values.into_iter().filter_map(storage).any(|id| self.0.contains_key(&id))
    }
}

fn storage(value: &Value) -> Option<u64> {
    let Value::Object(object) = value else { return None };
    Some(storage_of(object))
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

    /// The storages that nobody outside of `all` has a handle to, all of which must be in the books.
    pub(crate) fn only_in<'v>(&self, all: impl Iterator<Item = &'v Values>) -> Storages {
        let mut handles = HashMap::<u64, u32, foldhash::fast::RandomState>::default();
        for object in all.flatten().filter_map(storage) {
            *handles.entry(object).or_insert(0) += 1;
        }
        handles.retain(|id, count| self.storages.get(id).is_some_and(|storage| storage.handles == *count));
        Storages(handles)
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
