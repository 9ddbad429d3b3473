//! A family of models as a row of data.

use kiln_memory::TensorSource;

use super::{
    found::{FoundNetwork, NetworkConfig, NetworkKind},
    prediction::Prediction,
    text::{TextEncoderKind, TextRecipe},
};
use crate::{
    error::ModelError,
    latent::LatentFormat,
    nets::{clip::Hidden, denoiser::Network, side_inputs::SideInputs},
};

/// A family of models that share network, text encoders, conditioning and latent format.
///
/// A new family writes one, in the folder of its network, and is put into the table ([`Families`](super::Families)): nothing
/// else asks for a family by name.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name in messages, by which it is told from others.
    pub name: &'static str,
    /// Its network.
    pub network: &'static NetworkKind,
    /// Whether a network of that kind is this family's, among such text encoders as lie beside it. The first row of the
    /// table that says so has it.
    pub suits: fn(&dyn NetworkConfig, &[TextEncoderKind]) -> bool,
    /// What its network's output means. May read a small tensor.
    pub prediction: fn(&FoundNetwork, &dyn TensorSource) -> Result<Prediction, ModelError>,
    /// What its network is told, where its prediction says something else than its shape.
    pub told: fn(Prediction) -> Option<SideInputs>,
    /// How its latents are scaled.
    pub latent: fn(Prediction) -> LatentFormat,
    /// Its text encoders and how their outputs become one prompt.
    pub text: &'static TextRecipe,
    /// Where its checkpoints keep their autoencoder, the first place that is looked at.
    pub vae_prefix: &'static str,
    /// Where its checkpoints keep an image encoder, if they have one.
    pub vision_prefix: Option<&'static str>,
    /// What metadata of its checkpoints calls it, as Stability AI's model specification does.
    pub architecture: fn(&dyn Network) -> Option<&'static str>,
}

impl Family {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Text encoders of the family, in the order in which their outputs are joined.
    pub fn roles(self) -> &'static [TextEncoderKind] {
        self.text.roles
    }

    /// The hidden state that the family is trained on.
    pub fn hidden(self) -> Hidden {
        self.text.hidden
    }
}

/// By name: two rows of one name are the same family.
impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Family {}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
