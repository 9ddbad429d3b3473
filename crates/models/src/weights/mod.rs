//! The weights of a network: opened from a file, handed out by key, changed on their way.
//!
//! Knows sources, key maps and patches, no network.

mod builder;
mod mix;
mod model_weights;
mod open;
mod patches;
mod stochastic;

pub use builder::WeightBuilder;
pub use mix::Mix;
pub use model_weights::ModelWeights;
pub use open::component_label;
pub(crate) use open::{open, owner};
pub use patches::Patches;
