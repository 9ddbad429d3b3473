//! Nodes that hang changes on a model: inside of its network, around its guidance, on its attention weights.
//!
//! They touch no weight file and compute nothing; sampling does.

mod attention;
mod guidance;
mod unet;

pub use attention::{
    CLIPAttentionMultiply, UNetCrossAttentionMultiply, UNetSelfAttentionMultiply, UNetTemporalAttentionMultiply,
};
pub use guidance::{
    APG, CFGNorm, CFGZeroStar, DifferentialDiffusion, EpsilonScaling, FreSca, LatentApplyOperationCFG, Mahiro, PerpNeg,
    PerturbedAttentionGuidance, SelfAttentionGuidance, TCFG, TemporalScoreRescaling,
};
pub use unet::{FreeU, FreeU_V2, HyperTile, PatchModelAddDownscale, TomePatchModel};
