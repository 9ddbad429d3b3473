//! A kept result: in memory, or written to where it takes none. Knows neither key nor policy.

use std::sync::Arc;

use kiln_graph::NodeId;
use smallvec::SmallVec;

use crate::codec::CodecError;
use crate::node::Ui;
use crate::spill::{Spilled, Spilling};
use crate::store::LiveBytes;
use crate::value::Values;

/// One node's result. Most have one output and show nothing: such a one takes no memory beside itself.
#[derive(Clone)]
pub(crate) struct Entry {
    pub outputs: SmallVec<[Values; 1]>,
    pub ui: Option<Box<Ui>>,
    pub bytes: u64,
}

/// Where an entry of an expansion belongs.
#[derive(Clone)]
pub(crate) struct Owner {
    pub real: NodeId,
    pub class: u32,
}

/// A result and what the policies want to know of it. At least one of `entry` and `away` is there.
pub(super) struct Kept {
    /// The whole of it, unless it was spilled since it was used last.
    entry: Option<Entry>,
    /// What was written once. It stays for the next time, as results never change.
    away: Option<Box<Away>>,
    /// The run that used it last.
    pub generation: u64,
    /// A clock of touches, for ties.
    pub touched: u64,
    /// The prompt's node it was expanded from, where expansions have caches of their own.
    pub owner: Option<Box<Owner>>,
}

/// A result of which at least one list was written.
struct Away {
    outputs: Vec<List>,
    ui: Option<Box<Ui>>,
}

enum List {
    /// Not worth it, or without a codec.
    InMemory(Values),
    Spilled(Arc<dyn Spilled>),
}

impl Kept {
    pub(super) fn new(entry: Entry, generation: u64, touched: u64, owner: Option<Owner>) -> Self {
        Self { entry: Some(entry), away: None, generation, touched, owner: owner.map(Box::new) }
    }

    /// Bytes of it that are in memory.
    pub(super) fn bytes(&self) -> u64 {
        match &self.entry {
            Some(entry) => entry.bytes,
            None => self.in_memory().map(Values::bytes).sum(),
        }
    }

    /// The lists of it that are in memory.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = &Values> {
        let whole = self.entry.iter().flat_map(|entry| &entry.outputs);
        let away = self.away.iter().filter(|_| self.entry.is_none()).flat_map(|away| &away.outputs);
        whole.chain(away.filter_map(|list| match list {
            List::InMemory(values) => Some(values),
            List::Spilled(_) => None,
        }))
    }

    /// Moves what can go to where it takes no memory. Nothing changes when nothing can.
    pub(super) fn spill(
        &mut self,
        written: impl Fn(usize) -> Option<Arc<dyn Spilled>>,
        spill: Spilling<'_>,
        live_bytes: &mut LiveBytes,
    ) {
        let Some(entry) = self.entry.take_if(|entry| entry.bytes > 0) else { return };
        if self.away.is_none() {
            self.away = Away::write(&entry, written, spill).map(Box::new);
        }
        if self.away.is_none() {
            self.entry = Some(entry);
            return;
        }
        self.in_memory().for_each(|values| live_bytes.add(values));
        entry.outputs.iter().for_each(|values| live_bytes.remove(values));
    }

    /// The whole of it in memory.
    pub(super) fn recall(&mut self, live_bytes: &mut LiveBytes) -> Result<Entry, CodecError> {
        if let (None, Some(away)) = (&self.entry, &self.away) {
            let entry = away.read()?;
            entry.outputs.iter().for_each(|values| live_bytes.add(values));
            self.in_memory().for_each(|values| live_bytes.remove(values));
            self.entry = Some(entry);
        }
        // There is an entry now; one of the two always is.
        self.entry.clone().ok_or_else(|| CodecError::damaged("nothing was kept"))
    }
}

impl Away {
    fn write(entry: &Entry, written: impl Fn(usize) -> Option<Arc<dyn Spilled>>, spill: Spilling<'_>) -> Option<Self> {
        let write = |(at, values): (usize, &Values)| match written(at).or_else(|| spill.store(values)) {
            Some(spilled) => List::Spilled(spilled),
            None => List::InMemory(values.clone()),
        };
        let outputs: Vec<List> = entry.outputs.iter().enumerate().map(write).collect();
        let any = outputs.iter().any(|list| matches!(list, List::Spilled(_)));
        any.then(|| Self { outputs, ui: entry.ui.clone() })
    }

    fn read(&self) -> Result<Entry, CodecError> {
        let read = |list: &List| match list {
            List::InMemory(values) => Ok(values.clone()),
            List::Spilled(spilled) => spilled.load(),
        };
        let outputs = self.outputs.iter().map(read).collect::<Result<SmallVec<[Values; 1]>, _>>()?;
        Ok(Entry { bytes: outputs.iter().map(Values::bytes).sum(), outputs, ui: self.ui.clone() })
    }
}
