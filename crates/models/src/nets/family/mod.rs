//! What a family of models is: a row of data. How it is recognised, which text encoders it has, how its latents look, what its
//! network predicts. Rows stand in the families' own folders; [`Families`] is the table that files are looked up in.
//!
//! Knows networks by their traits alone. Knows no file and no run.

mod families;
mod found;
mod prediction;
mod recipes;
mod row;
mod text;
mod text_network;

pub use families::Families;
pub use found::{Found, FoundNetwork, NetworkConfig, NetworkKind};
pub use prediction::Prediction;
pub use row::Family;
pub use text::{PromptWay, TextEncoderKind, TextRecipe};
pub use text_network::{TextNetwork, TextNetworkConfig};
