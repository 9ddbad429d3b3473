//! What can go wrong in a sampling run: its inputs, the model, the callback's request to stop.

use crate::error::ModelError;
use crate::schedule::ScheduleError;

/// An error of a sampling run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// The step callback asked to stop.
    #[error("sampling was cancelled")]
    Cancelled,
    /// The step callback failed.
    #[error("the step callback failed: {0}")]
    Callback(Box<dyn std::error::Error + Send + Sync>),
    /// A change of the guidance failed.
    #[error("a change of the guidance failed: {0}")]
    Change(String),
    /// The network failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The noise levels asked for can't be had.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A sampler that doesn't exist.
    #[error("unknown sampler `{name}`; known are `{}`", .known.join("`, `"))]
    UnknownSampler {
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// A number that isn't one, or is outside of its range.
    #[error("`{what}` is {found}; it must be {expected}")]
    Number {
        /// The input's name.
        what: &'static str,
        /// Its value.
        found: f64,
        /// Where it must be.
        expected: &'static str,
    },
    /// A tensor that doesn't fit the run.
    #[error("`{what}` should be {expected}, found {found:?}")]
    Shape {
        /// The input's name.
        what: &'static str,
        /// The shape it must have.
        expected: String,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A conditioning list without entries.
    #[error("the {0} conditioning is empty; it needs at least one entry")]
    NoConditioning(&'static str),
    /// Something that the model needs beside the latent and didn't get.
    #[error("the {which} conditioning lacks `{what}`, which this model needs ({hint})")]
    Missing {
        /// Which of the two lists.
        which: &'static str,
        /// What isn't there.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The adaptive sampler's error estimate isn't a number any more.
    #[error("sampler `{sampler}` diverged at sigma {sigma}: its error estimate is {estimate}")]
    Diverged {
        /// The sampler.
        sampler: &'static str,
        /// Where.
        sigma: f32,
        /// The estimate.
        estimate: f64,
    },
    /// A tensor couldn't be read back from its device.
    #[error("a tensor can't be read from its device: {0}")]
    Read(String),
}
