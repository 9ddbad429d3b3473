//! A case: one random graph, how it is run and what goes wrong meanwhile; and the file that it is kept in.
//!
//! Knows what is generated, nothing of what has to hold.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_exec::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::recipe::{Recipe, Spec, recipes, specs};

pub const RETENTIONS: [Retention; 5] =
    [Retention::Keep, Retention::Unreferenced, Retention::Unreadable, Retention::Eager, Retention::StaticOnly];

pub const CACHES: u8 = 5;

/// How one run is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "independent choices")]
pub struct Mode {
    pub retention: usize,
    pub cache: u8,
    pub restrict: bool,
    pub tail_depth: u32,
    pub keep_ephemeral: usize,
    pub deterministic: bool,
    pub evict: Option<u64>,
    pub peak_order: bool,
    pub listened_to: bool,
    pub traced: bool,
    /// Where pinned values go: nowhere, to a place that takes them, or to one that often does not.
    pub spill: u8,
    /// Which of the output nodes are run, as bits.
    pub targets: u8,
}

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Fail,
    Panic,
    Cancel,
}

/// Something goes wrong at the given step: a call that begins, a node that has waited, or an event that is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub step: u8,
    pub what: What,
}

/// One prompt after another on the same engine: an edit, then a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// A node of the prompt becomes another one.
    pub edit: Option<(u16, Spec)>,
    pub mode: Mode,
    pub faults: Vec<Fault>,
}

/// Everything that one case consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    pub recipe: Recipe,
    pub mode: Mode,
    /// What goes wrong in the first run.
    pub faults: Vec<Fault>,
    /// What comes after it.
    pub then: Vec<Step>,
}

pub fn modes() -> impl Strategy<Value = Mode> {
    let numbers = (0..5_usize, 0..CACHES, 0..3_u32, prop_oneof![Just(4096_usize), 0..4_usize]);
    let flags = any::<[bool; 5]>();
    (numbers, flags, prop::option::of(any::<u64>()), 0..5_u8, prop_oneof![2 => Just(255_u8), 1 => any::<u8>()])
        .prop_map(|((retention, cache, tail_depth, keep_ephemeral), flags, evict, spill, targets)| {
            let [restrict, deterministic, peak_order, listened_to, traced] = flags;
            Mode {
                retention,
                cache,
                restrict,
                tail_depth,
                keep_ephemeral,
                deterministic,
                evict,
                peak_order,
                listened_to,
                traced,
                spill,
                targets,
            }
        })
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let what = prop::sample::select(&[What::Fail, What::Panic, What::Cancel][..]);
    prop::collection::vec(
        (prop_oneof![2 => 0..10_u8, 1 => 10..60_u8], what).prop_map(|(step, what)| Fault { step, what }),
        0..3,
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let faults = prop_oneof![1 => Just(Vec::new()), 1 => faults()];
    (prop::option::of((any::<u16>(), specs())), modes(), faults).prop_map(|(edit, mode, faults)| Step {
        edit,
        mode,
        faults,
    })
}

pub fn cases() -> impl Strategy<Value = Case> {
    (recipes(), modes(), faults(), prop::collection::vec(steps(), 0..3)).prop_map(|(recipe, mode, faults, then)| Case {
        recipe,
        mode,
        faults,
        then,
    })
}

impl Mode {
    pub fn policy(&self) -> CachePolicy {
        match self.cache % CACHES {
            0 => CachePolicy::None,
            1 => CachePolicy::Classic,
            2 => CachePolicy::Lru(3),
            3 => CachePolicy::Bytes(4000),
            _ => CachePolicy::RamPressure { headroom: 100, available: Arc::new(|| 50) },
        }
    }

    pub fn options(&self, prompt: &Prompt) -> RunOptions {
        let evict = self.evict.map(|seed| -> Adversary {
            let round = AtomicU64::new(seed);
            Arc::new(move |key| (key ^ round.fetch_add(0x9e37_79b9, Ordering::Relaxed)).count_ones().is_multiple_of(2))
        });
        RunOptions {
            retention: RETENTIONS[self.retention % RETENTIONS.len()],
            tail_depth: self.tail_depth,
            keep_ephemeral: self.keep_ephemeral,
            deterministic: self.deterministic,
            adversary: evict,
            order: if self.peak_order { Order::Peak } else { Order::Comfy },
            trace: self.traced,
            targets: self.targets(prompt),
            ..RunOptions::default()
        }
    }

    /// The chosen output nodes; all when the bits choose none.
    pub fn targets(&self, prompt: &Prompt) -> Option<Vec<NodeId>> {
        let shown = prompt.nodes.iter().filter(|(_, node)| crate::oracle::is_shown(&node.class_type));
        let chosen = shown.enumerate().filter(|(at, _)| self.targets >> (at % 8) & 1 == 1);
        let chosen: Vec<NodeId> = chosen.map(|(_, (id, _))| id.clone()).collect();
        (self.targets != 255 && !chosen.is_empty()).then_some(chosen)
    }
}

/// A case that failed, as it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    /// Which property it breaks.
    pub property: String,
    /// What was seen.
    pub failure: String,
    pub case: Case,
    /// The prompt that the case makes, for people.
    pub prompt: serde_json::Value,
}

/// Where failing cases are kept.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/random/saved")
}

impl Saved {
    pub fn new(property: &str, failure: &str, case: Case) -> Self {
        let prompt = serde_json::to_value(case.recipe.prompt()).unwrap_or_default();
        Self { property: property.to_owned(), failure: failure.to_owned(), case, prompt }
    }

    /// Writes the case into the folder, under a name of its own.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let text = serde_json::to_string_pretty(self)?;
        let mut hash = std::hash::DefaultHasher::new();
        serde_json::to_string(&self.case)?.hash(&mut hash);
        let path = folder.join(format!("{}-{:08x}.json", self.property, hash.finish() as u32));
        std::fs::write(&path, text + "\n")?;
        Ok(path)
    }

    pub fn read(path: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    }
}
