//! Nodes that hang changes on a model: inside of its network, around its guidance, on its attention weights.
//!
//! They touch no weight file and compute nothing; sampling does.

mod attention;
mod guidance;
mod reuse;
mod skip_layers;
mod unet;

pub use attention::{
    CLIPAttentionMultiply, UNetCrossAttentionMultiply, UNetSelfAttentionMultiply, UNetTemporalAttentionMultiply,
};
pub use guidance::{
    APG, CFGNorm, CFGZeroStar, DifferentialDiffusion, EpsilonScaling, FreSca, LatentApplyOperationCFG, Mahiro, PerpNeg,
    PerturbedAttentionGuidance, RenormCFG, SelfAttentionGuidance, TCFG, TemporalScoreRescaling,
};
pub use reuse::{EasyCache, LazyCache, TorchCompileModel, WanBlockSwap};
pub use skip_layers::{SkipLayerGuidanceDiT, SkipLayerGuidanceDiTSimple, SkipLayerGuidanceSD3};
pub use unet::{FreeU, FreeU_V2, HyperTile, PatchModelAddDownscale, TomePatchModel};

crate::comfy::classes::classes! {
    FreeU, FreeU_V2, PatchModelAddDownscale, HyperTile, TomePatchModel, PerturbedAttentionGuidance,
    SelfAttentionGuidance, Mahiro, CFGNorm, CFGZeroStar, TCFG, APG, FreSca, EpsilonScaling, TemporalScoreRescaling,
    LatentApplyOperationCFG, DifferentialDiffusion, PerpNeg, UNetSelfAttentionMultiply, UNetCrossAttentionMultiply,
    UNetTemporalAttentionMultiply, CLIPAttentionMultiply, RenormCFG, EasyCache, LazyCache, TorchCompileModel, WanBlockSwap,
    SkipLayerGuidanceSD3, SkipLayerGuidanceDiT, SkipLayerGuidanceDiTSimple,
}
