//! Nodes on conditioning: encode prompts, combine conditions, say where and when they hold.

mod combine;
mod encode;
mod inpaint;
mod region;

pub use combine::{ConditioningAverage, ConditioningCombine, ConditioningConcat, ConditioningZeroOut};
pub use encode::{
    CLIPSetLastLayer, CLIPTextEncode, CLIPTextEncodeControlnet, CLIPTextEncodeSDXL, CLIPTextEncodeSDXLRefiner,
};
pub use inpaint::{InpaintModelConditioning, InstructPixToPixConditioning};
pub use region::{
    ConditioningSetArea, ConditioningSetAreaPercentage, ConditioningSetAreaStrength, ConditioningSetMask,
    ConditioningSetTimestepRange,
};
