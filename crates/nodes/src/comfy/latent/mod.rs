//! Nodes on latents: make, cut, join, mix. None of them knows a model.

mod arithmetic;
mod batch;
mod cascade;
mod cell;
mod compose;
mod empty;
mod files;
pub(in crate::comfy) mod operation;
mod shape;
mod video;

pub use arithmetic::{LatentAdd, LatentBlend, LatentInterpolate, LatentMultiply, LatentSubtract};
pub use batch::{LatentBatch, LatentBatchSeedBehavior, LatentFromBatch, RebatchLatents, RepeatLatentBatch};
pub use cascade::{StableCascadeEmptyLatentImage, StableCascadeStageCVaeEncode};
pub use compose::{LatentComposite, LatentCompositeMasked, LatentConcat, SetLatentNoiseMask};
pub use empty::{
    EmptyChromaRadianceLatentImage, EmptyFlux2LatentImage, EmptyHunyuanImageLatent, EmptyLatentImage,
    EmptySD3LatentImage,
};
pub use files::{LoadLatent, SaveLatent};
pub use operation::{LatentApplyOperation, LatentOperation, LatentOperationSharpen, LatentOperationTonemapReinhard};
pub use shape::{LatentCrop, LatentCut, LatentFlip, LatentRotate, LatentUpscale, LatentUpscaleBy};
pub use video::{
    EmptyCosmosLatentVideo, EmptyHunyuanLatentVideo, EmptyHunyuanVideo15Latent, EmptyLTXVLatentVideo,
    EmptyMochiLatentVideo, TrimVideoLatent,
};

crate::comfy::classes::classes! {
    EmptyLatentImage, EmptySD3LatentImage, EmptyFlux2LatentImage, LatentUpscale, LatentUpscaleBy, LatentRotate,
    LatentFlip, LatentCrop, LatentCut, LatentComposite, LatentCompositeMasked, LatentConcat, SetLatentNoiseMask,
    LatentFromBatch, RepeatLatentBatch, LatentBatch, LatentBatchSeedBehavior, RebatchLatents, LatentAdd,
    LatentSubtract, LatentMultiply, LatentInterpolate, LatentBlend, SaveLatent, LoadLatent, LatentApplyOperation,
    LatentOperationTonemapReinhard, LatentOperationSharpen, EmptyHunyuanImageLatent, EmptyChromaRadianceLatentImage,
    StableCascadeEmptyLatentImage, StableCascadeStageCVaeEncode, EmptyHunyuanLatentVideo, EmptyMochiLatentVideo,
    EmptyLTXVLatentVideo, EmptyCosmosLatentVideo, EmptyHunyuanVideo15Latent, TrimVideoLatent,
}
