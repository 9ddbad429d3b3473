//! The output cache across prompts: results by key, and what to let go of when.
//!
//! Knows keys and bytes. Whether a node has a key, and what to do with a hit, is the run's business. Entries are whole
//! results; a node that failed leaves none.

mod kept;
pub(crate) mod key;
mod policy;
mod provider;

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use indexmap::IndexMap;

pub(crate) use self::kept::{Entry, Owner};
pub use self::key::Key;
pub use self::policy::{AvailableMemory, CachePolicy};
pub use self::provider::{CacheItem, CacheProvider, CachedResult};

use self::kept::Kept;
use crate::spill::{Spilled, Spilling};
use crate::store::LiveBytes;

/// What an entry costs besides its payload.
const OVERHEAD: u64 = 256;

/// Digests are evenly spread already: their first bytes are hash enough.
#[derive(Default)]
struct DigestHasher(u64);
impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}
/// Entries lie side by side: looking for one that is not there, the usual case, touches a small table only.
type ByDigest<T> = IndexMap<Key, T, BuildHasherDefault<DigestHasher>>;

/// Results by key.
#[derive(Default)]
pub(crate) struct Cache {
    pub policy: CachePolicy,
    kept: ByDigest<Kept>,
    generation: u64,
    clock: u64,
    bytes: u64,
}

impl Cache {
    pub(crate) fn new(policy: CachePolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Whether keys are worth computing.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.policy, CachePolicy::None)
    }

    /// Whether expansions have caches of their own, as ComfyUI's classic cache has.
    pub(crate) fn is_scoped(&self) -> bool {
        matches!(self.policy, CachePolicy::Classic)
    }

    /// A new prompt of so many nodes begins; [`touch`](Self::touch) its keys, then [`clean`](Self::clean).
    pub(crate) fn start(&mut self, nodes: usize) {
        self.generation += 1;
        if self.is_active() {
            self.kept.reserve(nodes.saturating_sub(self.kept.len()));
        }
    }

    /// The running prompt has a node of this key. Returns whether its result is here.
    pub(crate) fn touch(&mut self, key: &Key) -> bool {
        let Some(kept) = self.kept.get_mut(key) else { return false };
        kept.generation = self.generation;
        true
    }

    /// Lets go of what the policy keeps only for the prompt before. `is_live` says whether an expander is still part
    /// of the prompt.
    pub(crate) fn clean(&mut self, is_live: impl Fn(&Owner) -> bool, live_bytes: &mut LiveBytes) {
        match self.policy {
            CachePolicy::Classic => {
                let now = self.generation;
                self.retain(live_bytes, |kept| match kept.owner.as_deref() {
                    Some(owner) => is_live(owner),
                    None => kept.generation == now,
                });
            }
            CachePolicy::Lru(limit) => self.evict_generations(limit, live_bytes),
            _ => {}
        }
    }

    /// Whole prompts go, the oldest first, until there are at most `limit` entries; those of this prompt stay.
    fn evict_generations(&mut self, limit: usize, live_bytes: &mut LiveBytes) {
        if self.kept.len() <= limit {
            return;
        }
        let mut generations: Vec<u64> = self.kept.values().map(|kept| kept.generation).collect();
        generations.sort_unstable();
        let excess = generations.len() - limit;
        // The last generation that must go for the number to fit, but never the running one.
        let Some(last) = generations.get(excess - 1).copied() else { return };
        let last = last.min(self.generation - 1);
        self.retain(live_bytes, |kept| kept.generation > last);
    }

    fn retain(&mut self, live_bytes: &mut LiveBytes, keep: impl Fn(&Kept) -> bool) {
        let mut freed = 0;
        self.kept.retain(|_, kept| {
            let keep = keep(kept);
            if !keep {
                freed += kept.bytes() + OVERHEAD;
                kept.in_memory().for_each(|values| live_bytes.remove(values));
            }
            keep
        });
        self.bytes -= freed;
    }

    /// The result of that key. One that was spilled is read back; if that fails it was never kept.
    pub(crate) fn get(&mut self, key: &Key, live_bytes: &mut LiveBytes) -> Option<Entry> {
        self.clock += 1;
        let kept = self.kept.get_mut(key)?;
        kept.generation = self.generation;
        kept.touched = self.clock;
        let before = kept.bytes();
        match kept.recall(live_bytes) {
            Ok(entry) => {
                self.bytes += kept.bytes() - before;
                Some(entry)
            }
            Err(error) => {
                tracing::warn!(%error, "a spilled result could not be read back; its node runs again");
                self.remove(key, live_bytes);
                None
            }
        }
    }

    /// Moves a result to where it does not take memory, as far as that works. `written` says what of it is there already.
    pub(crate) fn spill(
        &mut self,
        key: &Key,
        written: impl Fn(usize) -> Option<Arc<dyn Spilled>>,
        spill: Spilling<'_>,
        live_bytes: &mut LiveBytes,
    ) {
        let Some(kept) = self.kept.get_mut(key) else { return };
        let before = kept.bytes();
        kept.spill(written, spill, live_bytes);
        self.bytes -= before - kept.bytes();
    }

    pub(crate) fn insert(&mut self, key: Key, entry: Entry, owner: Option<Owner>, live_bytes: &mut LiveBytes) {
        if !self.is_active() {
            return;
        }
        let vacant = match self.kept.entry(key) {
            indexmap::map::Entry::Occupied(_) => return,
            indexmap::map::Entry::Vacant(vacant) => vacant,
        };
        self.clock += 1;
        self.bytes += entry.bytes + OVERHEAD;
        entry.outputs.iter().for_each(|values| live_bytes.add(values));
        vacant.insert(Kept::new(entry, self.generation, self.clock, owner));
    }

    /// A node has finished: the policies that watch memory let go of what is too much.
    pub(crate) fn settle(&mut self, live_bytes: &mut LiveBytes) {
        match &self.policy {
            CachePolicy::Bytes(budget) if self.bytes > *budget => {
                let goal = *budget - budget / 16;
                self.evict_until(live_bytes, |freed, cache| cache - freed <= goal, |kept, _| -(kept.touched as f64));
            }
            CachePolicy::RamPressure { headroom, available } => {
                let (headroom, available) = (*headroom, available());
                if available < headroom {
                    let wanted = headroom + headroom / 10 - available;
                    self.evict_until(live_bytes, |freed, _| freed >= wanted, burden);
                }
            }
            _ => {}
        }
    }

    /// Memory is short by so many bytes: what only the cache holds goes, the least valuable first.
    pub(crate) fn give_back(&mut self, bytes: u64, live_bytes: &mut LiveBytes) {
        let now = self.generation;
        let only_here = live_bytes.only_in(self.kept.values().flat_map(Kept::in_memory));
        let mut order: Vec<(f64, u64, Key)> = Vec::new();
        for (key, kept) in &self.kept {
            if kept.in_memory().any(|values| only_here.hold(values)) {
                order.push((burden(kept, now), kept.touched, *key));
            }
        }
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let goal = live_bytes.live().saturating_sub(bytes);
        for (_, _, key) in order {
            if live_bytes.live() <= goal {
                break;
            }
            self.remove(&key, live_bytes);
        }
    }

    /// Evicts by falling score until `enough(freed, bytes before)`.
    fn evict_until(
        &mut self,
        live_bytes: &mut LiveBytes,
        enough: impl Fn(u64, u64) -> bool,
        score: impl Fn(&Kept, u64) -> f64,
    ) {
        let now = self.generation;
        let mut order: Vec<(f64, u64, Key)> =
            self.kept.iter().map(|(key, kept)| (score(kept, now), kept.touched, *key)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (mut freed, before) = (0, self.bytes);
        for (_, _, key) in order {
            if enough(freed, before) {
                break;
            }
            freed += self.remove(&key, live_bytes);
        }
    }

    fn remove(&mut self, key: &Key, live_bytes: &mut LiveBytes) -> u64 {
        let Some(kept) = self.kept.swap_remove(key) else { return 0 };
        kept.in_memory().for_each(|values| live_bytes.remove(values));
        let freed = kept.bytes() + OVERHEAD;
        self.bytes -= freed;
        freed
    }

    /// Evicts what `goes` says, by the first bytes of the key.
    #[cfg(feature = "testing")]
    pub(crate) fn evict(&mut self, goes: &dyn Fn(u64) -> bool, live_bytes: &mut LiveBytes) {
        let keys: Vec<Key> = self.kept.keys().filter(|key| goes(first_bytes(key))).copied().collect();
        for key in keys {
            self.remove(&key, live_bytes);
        }
    }

    pub(crate) fn clear(&mut self, live_bytes: &mut LiveBytes) {
        self.retain(live_bytes, |_| false);
        self.kept.shrink_to_fit();
    }

    /// Counts what is kept anew, and nothing else.
    pub(crate) fn recount(&self, live_bytes: &mut LiveBytes) {
        *live_bytes = LiveBytes::default();
        self.kept.values().flat_map(Kept::in_memory).for_each(|values| live_bytes.add(values));
        live_bytes.start();
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The nov25 score: old prompts weigh more, and so do big results.
fn burden(kept: &Kept, now: u64) -> f64 {
    1.3_f64.powi((now - kept.generation).min(1000) as i32) * (0.1 + kept.bytes() as f64)
}

#[cfg(feature = "testing")]
fn first_bytes(key: &Key) -> u64 {
    key.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}
