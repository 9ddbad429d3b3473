//! All node classes of this crate, for an engine. The one place where a node must be named to exist.

use kiln_exec::Registry;

use crate::{
    conditioning as c, controlnet, flow, image, latent, load, loaders, logic, mask, merge, model, patches, primitive,
    sampling as s, save, save_models, text, upscale, vae, vision,
};

/// A registry with all nodes of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    register(&mut registry);
    registry
}

/// Adds all nodes of this crate to `registry`. Classes of the same names are replaced.
pub fn register(registry: &mut Registry) {
    loading(registry);
    conditioning(registry);
    sampling(registry);
    latents(registry);
    images(registry);
    masks(registry);
    utilities(registry);
    #[cfg(feature = "testing-nodes")]
    crate::testing::register(registry);
}

macro_rules! nodes {
    ($registry:ident: $($node:path),* $(,)?) => { $( $registry.add::<$node>(); )* };
}

fn loading(registry: &mut Registry) {
    nodes!(registry:
        loaders::CheckpointLoaderSimple, loaders::UNETLoader, loaders::CLIPLoader, loaders::DualCLIPLoader,
        loaders::VAELoader, loaders::LoraLoader, loaders::LoraLoaderModelOnly,
        upscale::UpscaleModelLoader, upscale::ImageUpscaleWithModel,
        load::LoadImage, load::LoadImageMask, load::LoadImageOutput,
        save::SaveImage, save::PreviewImage, save::MaskPreview,
        save_models::CheckpointSave, save_models::ModelSave, save_models::CLIPSave, save_models::VAESave,
        save_models::LoraSave,
        vae::VAEDecode, vae::VAEEncode, vae::VAEDecodeTiled, vae::VAEEncodeTiled, vae::VAEEncodeForInpaint,
    );
}

fn conditioning(registry: &mut Registry) {
    nodes!(registry:
        c::CLIPTextEncode, c::CLIPTextEncodeControlnet, c::CLIPSetLastLayer, c::CLIPTextEncodeSDXL, c::CLIPTextEncodeSDXLRefiner,
        c::ConditioningCombine, c::ConditioningAverage, c::ConditioningConcat, c::ConditioningZeroOut,
        c::ConditioningSetArea, c::ConditioningSetAreaPercentage, c::ConditioningSetAreaStrength,
        c::ConditioningSetMask, c::ConditioningSetTimestepRange,
        c::InpaintModelConditioning, c::InstructPixToPixConditioning,
        vision::CLIPVisionLoader, vision::CLIPVisionEncode, vision::StyleModelLoader, vision::StyleModelApply,
        controlnet::ControlNetLoader, controlnet::DiffControlNetLoader, controlnet::ControlNetApply, controlnet::ControlNetApplyAdvanced,
    );
}

fn sampling(registry: &mut Registry) {
    nodes!(registry:
        s::KSampler, s::KSamplerAdvanced, s::SamplerCustom, s::SamplerCustomAdvanced,
        s::BasicGuider, s::CFGGuider, s::DualCFGGuider, s::PerpNegGuider, s::RandomNoise, s::DisableNoise, s::AddNoise,
        s::KSamplerSelect, s::SamplerEulerAncestral, s::SamplerEulerAncestralCFGPP, s::SamplerLMS,
        s::SamplerDPMPP_2S_Ancestral, s::SamplerDPMPP_SDE, s::SamplerDPMPP_2M_SDE, s::SamplerDPMPP_3M_SDE,
        s::SamplerDPMAdaptative, s::SamplerER_SDE, s::SamplerSASolver, s::SamplerEulerCFGpp, s::SamplerLCMUpscale,
        s::BasicScheduler, s::KarrasScheduler, s::ExponentialScheduler, s::PolyexponentialScheduler,
        s::LaplaceScheduler, s::VPScheduler, s::SDTurboScheduler, s::BetaSamplingScheduler,
        s::AlignYourStepsScheduler,
        s::SplitSigmas, s::SplitSigmasDenoise, s::FlipSigmas, s::SetFirstSigma, s::ExtendIntermediateSigmas,
        s::SamplingPercentToSigma,
        model::ModelSamplingDiscrete, model::ModelSamplingContinuousEDM, model::ModelSamplingContinuousV,
        model::ModelSamplingSD3, model::ModelSamplingAuraFlow, model::ModelSamplingFlux, model::RescaleCFG,
        patches::FreeU, patches::FreeU_V2, patches::PatchModelAddDownscale, patches::HyperTile, patches::TomePatchModel,
        patches::PerturbedAttentionGuidance, patches::SelfAttentionGuidance, patches::Mahiro, patches::CFGNorm,
        patches::CFGZeroStar, patches::TCFG, patches::APG, patches::FreSca, patches::EpsilonScaling,
        patches::TemporalScoreRescaling, patches::LatentApplyOperationCFG, patches::DifferentialDiffusion,
        patches::PerpNeg, patches::UNetSelfAttentionMultiply, patches::UNetCrossAttentionMultiply,
        patches::UNetTemporalAttentionMultiply, patches::CLIPAttentionMultiply,
        merge::ModelMergeSimple, merge::ModelMergeBlocks, merge::ModelMergeAdd, merge::ModelMergeSubtract,
        merge::ModelMergeSD1, merge::ModelMergeSD2, merge::ModelMergeSDXL,
        merge::CLIPMergeSimple, merge::CLIPMergeAdd, merge::CLIPMergeSubtract,
    );
}

fn latents(registry: &mut Registry) {
    use latent as l;
    nodes!(registry:
        l::EmptyLatentImage, l::EmptySD3LatentImage, l::EmptyFlux2LatentImage,
        l::LatentUpscale, l::LatentUpscaleBy, l::LatentRotate, l::LatentFlip, l::LatentCrop, l::LatentCut,
        l::LatentComposite, l::LatentCompositeMasked, l::LatentConcat, l::SetLatentNoiseMask,
        l::LatentFromBatch, l::RepeatLatentBatch, l::LatentBatch, l::LatentBatchSeedBehavior, l::RebatchLatents,
        l::LatentAdd, l::LatentSubtract, l::LatentMultiply, l::LatentInterpolate, l::LatentBlend,
        l::SaveLatent, l::LoadLatent,
        l::LatentApplyOperation, l::LatentOperationTonemapReinhard, l::LatentOperationSharpen,
    );
}

fn images(registry: &mut Registry) {
    use image as i;
    nodes!(registry:
        i::ImageScale, i::ImageScaleBy, i::ImageScaleToTotalPixels, i::ImageScaleToMaxDimension,
        i::ResizeAndPadImage, i::ImageCrop, i::ImageFlip, i::ImageRotate, i::ImageStitch, i::ImagePadForOutpaint,
        i::ImageBatch, i::ImageFromBatch, i::RepeatImageBatch, i::RebatchImages, i::GetImageSize, i::EmptyImage,
        i::ImageBlend, i::ImageCompositeMasked, i::ImageInvert, i::ImageBlur, i::ImageSharpen,
        i::ImageAddNoise, i::ImageRGBToYUV, i::ImageYUVToRGB, i::Morphology,
    );
}

fn masks(registry: &mut Registry) {
    use mask as m;
    nodes!(registry:
        m::SolidMask, m::InvertMask, m::CropMask, m::MaskComposite, m::FeatherMask, m::GrowMask, m::ThresholdMask,
        m::MaskToImage, m::ImageToMask, m::ImageColorToMask, m::JoinImageWithAlpha, m::SplitImageWithAlpha,
        m::PorterDuffImageComposite,
    );
}

fn utilities(registry: &mut Registry) {
    use primitive as p;
    nodes!(registry:
        logic::Switch, flow::KilnSeedLoop,
        p::PrimitiveInt, p::PrimitiveFloat, p::PrimitiveBoolean, p::PrimitiveString, p::PrimitiveStringMultiline,
        p::PreviewAny,
        text::StringConcatenate, text::StringSubstring, text::StringLength, text::CaseConverter, text::StringTrim,
        text::StringReplace, text::StringContains, text::StringCompare,
        text::RegexMatch, text::RegexExtract, text::RegexReplace,
    );
}
