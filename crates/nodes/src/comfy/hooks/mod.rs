//! Nodes of hooks: changes of weights that belong to conditions, their schedules, and how conditions get them.

mod attach;
mod combine;
mod create;
mod encoders;
mod keyframes;

pub use attach::{
    ConditioningSetDefaultCombine, ConditioningSetProperties, ConditioningSetPropertiesAndCombine,
    ConditioningTimestepsRange, PairConditioningCombine, PairConditioningSetDefaultCombine,
    PairConditioningSetProperties, PairConditioningSetPropertiesAndCombine,
};
pub use combine::{CombineHooks2, CombineHooks4, CombineHooks8};
pub use create::{CreateHookLora, CreateHookLoraModelOnly, CreateHookModelAsLora, CreateHookModelAsLoraModelOnly};
pub use encoders::SetClipHooks;
pub use keyframes::{
    CreateHookKeyframe, CreateHookKeyframesFromFloats, CreateHookKeyframesInterpolated, SetHookKeyframes,
};

crate::comfy::classes::classes! {
    CreateHookLora, CreateHookLoraModelOnly, CreateHookModelAsLora, CreateHookModelAsLoraModelOnly, SetHookKeyframes,
    CreateHookKeyframe, CreateHookKeyframesInterpolated, CreateHookKeyframesFromFloats, CombineHooks2, CombineHooks4,
    CombineHooks8, ConditioningSetProperties, ConditioningSetPropertiesAndCombine, PairConditioningSetProperties,
    PairConditioningSetPropertiesAndCombine, ConditioningSetDefaultCombine, PairConditioningSetDefaultCombine,
    PairConditioningCombine, SetClipHooks, ConditioningTimestepsRange,
}
