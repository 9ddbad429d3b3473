//! What a condition gives a network beside the encoded prompt. A network takes what it knows and leaves the rest.

use burn::tensor::Tensor;

/// What a condition gives beside the encoded prompt. Batch items come one after the other, as those of the latents.
#[derive(Debug, Clone, Default)]
pub struct ConditionInputs {
    /// Which tokens of the context count, `[B, T]`: 1 for those that do, 0 for padding. All of them without.
    pub mask: Option<Tensor<2>>,
    /// What a distilled network is told to be guided by, one number per batch item; nothing where guidance is off.
    pub guidance: Option<Vec<f32>>,
    /// Latents to look at.
    pub references: References,
}

/// Latents that a network looks at beside the one it denoises (Kontext, Flux.2, Qwen-Image-Edit).
#[derive(Debug, Clone, Default)]
pub struct References {
    /// Each `[B, C, h, w]` of a size of its own, in model space.
    pub latents: Vec<Tensor<4>>,
    /// Where they are said to lie; the family's own way without.
    pub method: Option<ReferenceMethod>,
}

/// Where references lie, as positions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceMethod {
    /// Beside each other, one step behind the image.
    Offset,
    /// At the image's place, each a step farther behind.
    Index,
    /// On the diagonal below the image.
    Uxo,
    /// As `Index`, and clean whatever the time step is (Qwen-Image-Edit 2511).
    IndexTimestepZero,
}

impl ConditionInputs {
    /// Those of several batches in one, one after the other. All have the same shapes, as [`joins`](Self::joins) says.
    #[must_use]
    pub fn stacked(parts: &[Self]) -> Self {
        let masks: Option<Vec<_>> = parts.iter().map(|part| part.mask.clone()).collect();
        let guidance: Option<Vec<_>> = parts.iter().map(|part| part.guidance.clone()).collect();
        let first = parts.first().map(|part| &part.references);
        let reference = |n: usize| {
            let latents = parts.iter().filter_map(|part| part.references.latents.get(n).cloned());
            Tensor::cat(latents.collect(), 0)
        };
        Self {
            mask: masks.filter(|masks| !masks.is_empty()).map(|masks| Tensor::cat(masks, 0)),
            guidance: guidance.map(|guidance| guidance.concat()),
            references: References {
                latents: (0..first.map_or(0, |first| first.latents.len())).map(reference).collect(),
                method: first.and_then(|first| first.method),
            },
        }
    }

    /// Whether both can go through a network in one batch.
    pub fn joins(&self, other: &Self) -> bool {
        let sizes = |given: &Self| given.references.latents.iter().map(Tensor::dims).collect::<Vec<_>>();
        self.mask.as_ref().map(Tensor::dims) == other.mask.as_ref().map(Tensor::dims)
            && self.guidance.is_some() == other.guidance.is_some()
            && self.references.method == other.references.method
            && sizes(self) == sizes(other)
    }
}

impl ReferenceMethod {
    /// By the names of the FluxKontextMultiReferenceLatentMethod node: `offset`, `index`, `uxo` (or `uxo/uno`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "offset" => Some(Self::Offset),
            "index" => Some(Self::Index),
            "index_timestep_zero" => Some(Self::IndexTimestepZero),
            name if name.starts_with("uxo") || name == "uno" => Some(Self::Uxo),
            _ => None,
        }
    }
}
