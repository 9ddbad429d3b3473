//! Changes to a UNet's pass that a model carries: what is done to skips, sizes and self-attention on the way.
//!
//! Knows activations and their places. Knows nothing of guidance: what is mixed after the pass belongs to
//! [`sampling`](crate::sampling).

mod downscale;
mod free_u;
mod merging;
mod patch;
mod read;
mod record;
mod skipped;
mod tiles;

use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;

pub use downscale::Downscale;
pub use free_u::FreeU;
pub use patch::{BetweenAttentions, KeyValueChange, KeyValueSources};
pub(crate) use record::AttentionRecord;
pub use record::AttentionRecorder;
pub use skipped::SkippedBlocks;
pub use tiles::HyperTile;

use crate::{error::ModelError, random::TorchGenerator};
use merging::Matching;
use patch::KeyValueChanges;
use tiles::Grid;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hook {
    /// Backbone and skips weighed anew on the way up.
    FreeU(FreeU),
    /// A block's result made smaller (Kohya's Deep Shrink).
    Downscale(Downscale),
    /// Self-attention within tiles.
    HyperTile(HyperTile),
    /// Like tokens merged before self-attention, this share of them (token merging, Bolya and Hoffman 2023).
    Merge(f64),
}

/// Changes in the order in which the nodes were run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hooks {
    list: Vec<Hook>,
    /// What changes keys and values of every attention.
    key_values: KeyValueChanges,
}

impl Hooks {
    /// These hooks and one more.
    #[must_use]
    pub fn with(mut self, hook: Hook) -> Self {
        self.list.push(hook);
        self
    }

    /// These hooks and one more change of keys and values.
    #[must_use]
    pub fn with_key_values(mut self, change: Arc<dyn KeyValueChange>) -> Self {
        self.key_values.0.push(change);
        self
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.key_values.0.is_empty()
    }

    /// Whether one of them draws random numbers.
    pub fn needs_rng(&self) -> bool {
        self.list.iter().any(|hook| match hook {
            Hook::Merge(ratio) => *ratio > 0.0,
            Hook::HyperTile(tiles) => tiles.needs_rng(),
            Hook::FreeU(_) | Hook::Downscale(_) => false,
        })
    }
}

/// What the middle block's self-attention does.
#[derive(Debug, Clone, Copy, Default)]
pub enum MiddleAttention<'a> {
    /// What it always does.
    #[default]
    Plain,
    /// Each place attends to itself alone (Ahn et al. 2024, perturbed-attention guidance).
    Itself,
    /// As always, and how much each place is attended to is recorded (Hong et al. 2023, self-attention guidance).
    Recorded(&'a AttentionRecorder),
}

/// The changes at work in one pass.
#[derive(Clone, Copy, Default)]
pub(crate) struct ActiveHooks<'a> {
    pub(crate) hooks: &'a [Hook],
    pub(crate) key_values: &'a [Arc<dyn KeyValueChange>],
    /// What a condition puts between the attentions.
    pub(crate) between: Option<&'a dyn BetweenAttentions>,
    /// The noise level.
    pub(crate) sigma: f32,
    /// Rows and columns of the latent.
    pub(crate) latent: [usize; 2],
    pub(crate) middle: MiddleAttention<'a>,
    pub(crate) rng: Option<&'a Mutex<TorchGenerator>>,
}

/// How to undo what was done to the queries of a self-attention.
#[derive(Debug)]
pub(crate) enum Undo {
    Grid(Grid),
    Matching(Matching),
}

impl<'a> Hooks {
    pub(crate) fn as_slice(&'a self) -> &'a [Hook] {
        &self.list
    }

    pub(crate) fn key_values(&'a self) -> &'a [Arc<dyn KeyValueChange>] {
        &self.key_values.0
    }
}

impl ActiveHooks<'_> {
    /// An input block's result: what becomes its skip, and what goes on.
    pub(crate) fn after_input(&self, block: usize, h: Tensor<4>) -> Result<(Tensor<4>, Tensor<4>), ModelError> {
        let mut h = h;
        for hook in self.downscales(block).filter(|hook| !hook.after_skip) {
            h = hook.smaller(h)?;
        }
        let skip = h.clone();
        for hook in self.downscales(block).filter(|hook| hook.after_skip) {
            h = hook.smaller(h)?;
        }
        Ok((skip, h))
    }

    fn downscales(&self, block: usize) -> impl Iterator<Item = &Downscale> {
        self.hooks.iter().filter_map(move |hook| match hook {
            Hook::Downscale(hook) if hook.holds(block, self.sigma) => Some(hook),
            _ => None,
        })
    }

    /// The activations and the skip that an output block joins.
    pub(crate) fn before_output(&self, h: Tensor<4>, skip: Tensor<4>) -> Result<(Tensor<4>, Tensor<4>), ModelError> {
        let mut pair = (h, skip);
        for hook in self.hooks {
            pair = match hook {
                Hook::FreeU(hook) => hook.weighed(pair.0, pair.1),
                Hook::Downscale(hook) => (hook.fitted(pair.0, &pair.1)?, pair.1),
                Hook::HyperTile(_) | Hook::Merge(_) => pair,
            };
        }
        Ok(pair)
    }

    /// What an attention to `context` makes its keys and values of.
    pub(crate) fn sources(&self, context: Tensor<3>) -> Result<KeyValueSources, ModelError> {
        let plain = KeyValueSources { values: context.clone(), keys: context };
        self.key_values.iter().try_fold(plain, |pair, change| change.changed(pair))
    }

    /// The tokens between the attentions of a transformer.
    pub(crate) fn between(&self, transformer: usize, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        match self.between {
            Some(change) => change.changed(transformer, x),
            None => Ok(x),
        }
    }

    /// The tokens that a self-attention is asked for, and how to put the results back.
    pub(crate) fn queries(&self, x: Tensor<3>) -> Result<(Tensor<3>, Vec<Undo>), ModelError> {
        let (mut x, mut undo) = (x, Vec::new());
        for hook in self.hooks {
            match hook {
                Hook::HyperTile(tiles) => {
                    if let Some(grid) = tiles.grid(x.dims()[1], self.latent, |range| self.draw(range, 1)[0]) {
                        x = grid.cut(x);
                        undo.push(Undo::Grid(grid));
                    }
                }
                Hook::Merge(ratio) => {
                    if let Some(matching) = Matching::find(&x, self.latent, *ratio, |n, range| self.draw(range, n))? {
                        x = matching.merge(x)?;
                        undo.push(Undo::Matching(matching));
                    }
                }
                Hook::FreeU(_) | Hook::Downscale(_) => {}
            }
        }
        Ok((x, undo))
    }

    /// So many numbers below `range` from the run's generator; zeros without one.
    fn draw(&self, range: u64, n: usize) -> Vec<u64> {
        match self.rng {
            Some(rng) => rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).randint(range, n),
            None => vec![0; n],
        }
    }
}

impl Undo {
    /// The results as one per token of the whole map.
    pub(crate) fn put_back(self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        match self {
            Self::Grid(grid) => Ok(grid.joined(x)),
            Self::Matching(matching) => matching.unmerge(x),
        }
    }
}

impl std::fmt::Debug for ActiveHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActiveHooks").field("hooks", &self.hooks).field("sigma", &self.sigma).finish_non_exhaustive()
    }
}
