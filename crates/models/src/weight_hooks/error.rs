//! Why a hook can't be made or doesn't suit a network.

use crate::{error::ModelError, lora::Misfit};

/// An error of hooks and their keyframes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// A number that isn't one.
    #[error("`{what}` is {found}; it must be a finite number")]
    Number {
        /// What it was to be.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// A list of strengths without any.
    #[error("`{what}` holds no number; keyframes need at least one")]
    Empty {
        /// The input's name.
        what: &'static str,
    },
    /// A LoRA of another family.
    #[error("hook {file}: {misfit}")]
    Lora {
        /// The file.
        file: String,
        /// What doesn't fit.
        misfit: Box<Misfit>,
    },
    /// A model of another family.
    #[error(
        "hook {file}: as a LoRA it fits only a model of its own shape: `{weight}` is {found:?} there and {expected:?} here"
    )]
    Shape {
        /// The other model's file.
        file: String,
        /// The weight, by its model key.
        weight: String,
        /// Its shape there.
        found: Vec<usize>,
        /// Its shape here.
        expected: Vec<usize>,
    },
    /// A model without the part that is to be changed.
    #[error("hook {file}: it holds no {part}, so it can't change one; set its strength to 0 or take another file")]
    NoPart {
        /// The other model's file.
        file: String,
        /// What it lacks.
        part: String,
    },
    /// Keyframes that leave nothing to encode.
    #[error(
        "the keyframes of these hooks all start at the end of the run, so no text is encoded; let one start before 1"
    )]
    NoSegment,
}

impl From<HookError> for ModelError {
    fn from(error: HookError) -> Self {
        Self::Hook(Box::new(error))
    }
}
