//! The network of a ControlNet. Knows nothing of strength, ranges or other ControlNets.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{config::ControlNetConfig, union::Union};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        hooks::ActiveHooks,
        layers::Conv2d,
        residuals::Residuals,
        unet::{Builder, Call, Embedding, Pass, Unit},
    },
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// A ControlNet over weight handles.
#[derive(Debug)]
pub struct ControlNet {
    config: ControlNetConfig,
    embedding: Embedding,
    hint: Vec<Conv2d>,
    input: Vec<Vec<Unit>>,
    zero: Vec<Conv2d>,
    middle: Vec<Unit>,
    middle_out: Conv2d,
    union: Option<Union>,
}

/// What a ControlNet sees beside what its UNet sees.
#[derive(Debug, Clone)]
pub struct Hint {
    /// `[batch, 3, 8h, 8w]` in 0..1.
    pub image: Tensor<4>,
    /// What kind of image that is, for union ControlNets; others don't ask.
    pub kind: Option<usize>,
}

impl From<Tensor<4>> for Hint {
    fn from(image: Tensor<4>) -> Self {
        Self { image, kind: None }
    }
}

impl ControlNetConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<ControlNet, ModelError> {
        WeightBuilder::build("ControlNet", weights, |wb| ControlNet::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| ControlNet::new(self, wb))
    }
}

impl ControlNet {
    fn new(config: &ControlNetConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let mut builder = Builder::new(&config.unet, wb);
        let embedding = Embedding::new(&config.unet, wb)?;
        let input = builder.input()?;
        let middle = builder.middle()?;
        let top = builder.channels();
        let zero =
            |(n, channels): (usize, &usize)| Conv2d::new(wb, &format!("zero_convs.{n}.0"), *channels, *channels, 1);
        let outputs = config.hint.last().copied().unwrap_or(config.hint_channels);
        let union = |union| Union::new(union, wb, outputs, config.unet.embed_dim());
        Ok(Self {
            embedding,
            union: config.union.as_ref().map(union).transpose()?,
            hint: hint(config, wb)?,
            zero: builder.skips().iter().enumerate().map(zero).collect::<Result<_, _>>()?,
            input,
            middle,
            middle_out: Conv2d::new(wb, "middle_block_out.0", top, top, 1)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &ControlNetConfig {
        &self.config
    }

    /// What it adds to the UNet's skips and middle.
    ///
    /// # Shapes
    /// As [`UNet::forward`](crate::nets::unet::UNet::forward), one image of `hint` for each latent.
    /// # Errors
    /// `ModelError::Input` when a shape doesn't fit or the kind is unknown, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        hint: impl Into<Hint>,
        timesteps: &[f32],
        context: &Tensor<3>,
        y: Option<&Tensor<2>>,
    ) -> Result<Residuals, ModelError> {
        // A model without `y` may be used by a family that has one.
        let y = y.filter(|_| self.config.unet.adm_channels.is_some());
        Call { network: "ControlNet", x: &x, timesteps, context, y, frames: 1 }.check(&self.config.unet)?;
        let hint = hint.into();
        let kind = self.union.as_ref().map(|union| union.embedding(hint.kind, &x.device())).transpose()?;
        let guide = self.guide(hint, &x)?;
        let embed = self.embedding.forward(timesteps, y, kind, &x, ActivationTap::default())?;
        let pass = Pass { embed, context, frames: 1, tap: ActivationTap::default(), hooks: ActiveHooks::default() };
        let (mut h, mut output) = (x, Vec::with_capacity(self.input.len()));
        for (n, (block, zero)) in self.input.iter().zip(&self.zero).enumerate() {
            h = pass.through(block, h, None)?;
            if n == 0 {
                h = h + guide.clone();
            }
            output.push(Some(zero.forward(h.clone())?));
        }
        let middle = self.middle_out.forward(pass.through(&self.middle, h, None)?)?;
        Ok(Residuals { input: Vec::new(), middle: Some(middle), output })
    }

    fn guide(&self, Hint { image: hint, kind }: Hint, x: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let ([batch, _, height, width], channels) = (x.dims(), self.config.hint_channels);
        // Three halvings: a pixel of the latent is eight of the image.
        let wanted = [batch, channels, height * 8, width * 8];
        if hint.dims() != wanted {
            let (expected, found) = (format!("{wanted:?}"), hint.dims().to_vec());
            return Err(ModelError::Input { network: "ControlNet", what: "hint", expected, found });
        }
        let Some((last, convs)) = self.hint.split_last() else { return Ok(hint) };
        let h = convs.iter().try_fold(hint, |h, conv| Ok::<_, ModelError>(ops::silu(conv.forward(h)?)?))?;
        let h = last.forward(h)?;
        match (&self.union, kind) {
            (Some(union), Some(kind)) => union.merged(h, kind),
            _ => Ok(h),
        }
    }
}

/// The convolutions of the image; the third, fifth and seventh halve it.
fn hint(config: &ControlNetConfig, wb: &WeightBuilder<'_>) -> Result<Vec<Conv2d>, ModelError> {
    let conv = |(n, outputs): (usize, &usize)| {
        let inputs = n.checked_sub(1).and_then(|before| config.hint.get(before)).copied();
        let name = format!("input_hint_block.{}", n * 2);
        let conv = Conv2d::new(wb, &name, inputs.unwrap_or(config.hint_channels), *outputs, 3)?;
        Ok(if [2, 4, 6].contains(&n) { conv.with_stride(2) } else { conv })
    };
    config.hint.iter().enumerate().map(conv).collect()
}
