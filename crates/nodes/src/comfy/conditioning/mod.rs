//! Nodes on conditioning: encode prompts, combine conditions, say where and when they hold.

mod combine;
mod encode;
mod flux;
mod inpaint;
mod lotus;
mod qwen;
mod region;
mod rows;
mod seen;
mod small;

pub use combine::{ConditioningAverage, ConditioningCombine, ConditioningConcat, ConditioningZeroOut};
pub(in crate::comfy) use encode::unprojected;
pub use encode::{
    CLIPSetLastLayer, CLIPTextEncode, CLIPTextEncodeControlnet, CLIPTextEncodeSDXL, CLIPTextEncodeSDXLRefiner,
};
pub use flux::{
    CLIPTextEncodeFlux, FluxDisableGuidance, FluxGuidance, FluxKontextImageScale,
    FluxKontextMultiReferenceLatentMethod, ReferenceLatent,
};
pub use inpaint::{InpaintModelConditioning, InstructPixToPixConditioning};
pub use lotus::LotusConditioning;
pub use qwen::{TextEncodeQwenImageEdit, TextEncodeQwenImageEditPlus};
pub use region::{
    ConditioningSetArea, ConditioningSetAreaPercentage, ConditioningSetAreaStrength, ConditioningSetMask,
    ConditioningSetTimestepRange,
};
pub use rows::{CLIPTextEncodeLumina2, CLIPTextEncodeSD3, T5TokenizerOptions};
pub use seen::UnClipConditioning;
pub use small::Sd4xUpscaleConditioning;

crate::comfy::classes::classes! {
    CLIPTextEncode, CLIPTextEncodeControlnet, CLIPSetLastLayer, CLIPTextEncodeSDXL, CLIPTextEncodeSDXLRefiner,
    ConditioningCombine, ConditioningAverage, ConditioningConcat, ConditioningZeroOut, ConditioningSetArea,
    ConditioningSetAreaPercentage, ConditioningSetAreaStrength, ConditioningSetMask, ConditioningSetTimestepRange,
    InpaintModelConditioning, InstructPixToPixConditioning, UnClipConditioning, Sd4xUpscaleConditioning,
    LotusConditioning, CLIPTextEncodeFlux, FluxGuidance, FluxDisableGuidance, FluxKontextImageScale, FluxKontextMultiReferenceLatentMethod,
    ReferenceLatent, CLIPTextEncodeSD3, CLIPTextEncodeLumina2, T5TokenizerOptions, TextEncodeQwenImageEdit,
    TextEncodeQwenImageEditPlus,
}
