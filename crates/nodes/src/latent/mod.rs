//! Nodes on latents: make, cut, join, mix. None of them knows a model.

mod arithmetic;
mod batch;
mod compose;
mod empty;
mod files;
mod operation;
mod shape;

pub use arithmetic::{LatentAdd, LatentBlend, LatentInterpolate, LatentMultiply, LatentSubtract};
pub use batch::{LatentBatch, LatentBatchSeedBehavior, LatentFromBatch, RebatchLatents, RepeatLatentBatch};
pub use compose::{LatentComposite, LatentCompositeMasked, LatentConcat, SetLatentNoiseMask};
pub use empty::{EmptyFlux2LatentImage, EmptyLatentImage, EmptySD3LatentImage};
pub use files::{LoadLatent, SaveLatent};
pub use operation::{LatentApplyOperation, LatentOperation, LatentOperationSharpen, LatentOperationTonemapReinhard};
pub use shape::{LatentCrop, LatentCut, LatentFlip, LatentRotate, LatentUpscale, LatentUpscaleBy};
pub(crate) use shape::{flipped, quarter_turns, turns};

/// Pixels per latent cell.
pub(crate) const CELL: usize = 8;
