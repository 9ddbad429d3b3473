//! Noise levels: what a model calls a step, which levels a run visits, and what the network's output means.
//!
//! Knows numbers; of tensors only how they are scaled by a level. Knows nothing of networks or samplers.
//!
//! [`ModelSampling`] is a family's noise schedule with its prediction type; [`Scheduler`] picks a run's levels from
//! it by ComfyUI's names; [`steps`] is KSampler's way of cutting them; [`levels`] and [`edit`] are the sigma nodes'.
//! Arithmetic is f32 where the reference's is, because some samplers' noise depends on the last bit of a level.

mod beta;
pub mod edit;
mod error;
pub mod levels;
mod linspace;
mod model_sampling;
mod prediction;
pub mod scaling;
mod scheduler;
pub mod searched;
pub mod shifted;
pub mod steps;
mod table;

pub use error::ScheduleError;
pub use linspace::linspace;
pub use model_sampling::ModelSampling;
pub use prediction::Prediction;
pub use scheduler::Scheduler;
pub use table::Levels;
pub(crate) use table::scaled_linear_betas;
