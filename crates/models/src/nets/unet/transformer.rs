//! The spatial transformer of the UNet: pixels attend to each other and to the context.

use burn::tensor::Tensor;

use super::{attention::Attention, pass::Pass, temporal::TimeStack};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        layers::{Conv2d, GroupNorm, LayerNorm, Linear},
    },
    ops,
    weights::WeightBuilder,
};

/// What the transformers of one UNet have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Its number among the transformers of its UNet.
    pub(super) number: usize,
    /// Width of the context.
    pub(super) context: usize,
    /// Whether the projections are linear layers rather than 1x1 convolutions.
    pub(super) linear: bool,
    /// Whether the first attention, too, is to the context.
    pub(super) context_only: bool,
    /// Whether there are layers over frames, and those attend to the context, too.
    pub(super) time: Option<bool>,
}

/// Norm, projection, a stack of blocks over the pixels as tokens, projection, plus the input.
///
/// Source: CompVis latent-diffusion, `attention.py`, `SpatialTransformer`.
#[derive(Debug)]
pub(crate) struct SpatialTransformer {
    path: String,
    number: usize,
    norm: GroupNorm,
    proj_in: Projection,
    blocks: Vec<Block>,
    proj_out: Projection,
    time: Option<TimeStack>,
}

#[derive(Debug)]
enum Projection {
    Conv(Conv2d),
    Linear(Linear),
}

impl SpatialTransformer {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        path: String,
        channels: usize,
        heads: usize,
        depth: usize,
        kind: Kind,
    ) -> Result<Self, ModelError> {
        let projection = |end: &str| {
            let name = format!("{path}.{end}");
            Ok::<_, ModelError>(if kind.linear {
                Projection::Linear(Linear::new(wb, &name, channels, channels)?)
            } else {
                Projection::Conv(Conv2d::new(wb, &name, channels, channels, 1)?)
            })
        };
        let block = |d| Block::new(wb, &format!("{path}.transformer_blocks.{d}"), channels, heads, kind);
        let context = |attends: bool| attends.then_some(kind.context);
        let time = kind.time.map(|attends| TimeStack::new(wb, &path, channels, heads, depth, context(attends)));
        Ok(Self {
            norm: GroupNorm::new(wb, &format!("{path}.norm"), 32, channels, 1e-6)?,
            proj_in: projection("proj_in")?,
            blocks: (0..depth).map(block).collect::<Result<_, _>>()?,
            proj_out: projection("proj_out")?,
            number: kind.number,
            time: time.transpose()?,
            path,
        })
    }

    /// # Shapes
    /// `x` `[batch, channels, h, w]`, kept.
    pub(super) fn forward(&self, x: Tensor<4>, pass: &Pass<'_>) -> Result<Tensor<4>, ModelError> {
        let ([_, _, height, width], tap) = (x.dims(), pass.tap);
        let h = self.norm.forward(x.clone())?;
        tap.record_part(&self.path, "norm", &h);
        let mut tokens = self.enter(h, tap)?;
        for (n, block) in self.blocks.iter().enumerate() {
            let place = Place { transformer: self.number, sides: (n == 0).then_some([height, width]) };
            tokens = block.forward(tokens, pass, place)?;
            if let Some(time) = &self.time {
                tokens = time.forward(n, tokens, pass)?;
            }
        }
        let y = self.leave(tokens, height, width, tap)? + x;
        tap.record(&self.path, &y);
        Ok(y)
    }

    fn enter(&self, h: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<3>, ModelError> {
        match &self.proj_in {
            Projection::Conv(conv) => {
                let h = conv.forward(h)?;
                tap.record_part(&self.path, "proj_in", &h);
                Ok(to_tokens(h))
            }
            Projection::Linear(linear) => {
                let tokens = linear.forward(to_tokens(h))?;
                tap.record_part(&self.path, "proj_in", &tokens);
                Ok(tokens)
            }
        }
    }

    fn leave(
        &self,
        tokens: Tensor<3>,
        height: usize,
        width: usize,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        match &self.proj_out {
            Projection::Conv(conv) => {
                let h = conv.forward(to_pixels(tokens, height, width))?;
                tap.record_part(&self.path, "proj_out", &h);
                Ok(h)
            }
            Projection::Linear(linear) => {
                let tokens = linear.forward(tokens)?;
                tap.record_part(&self.path, "proj_out", &tokens);
                Ok(to_pixels(tokens, height, width))
            }
        }
    }
}

/// `[batch, channels, h, w]` to `[batch, h · w, channels]`.
fn to_tokens(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).swap_dims(1, 2)
}

fn to_pixels(tokens: Tensor<3>, height: usize, width: usize) -> Tensor<4> {
    let [batch, _, channels] = tokens.dims();
    tokens.swap_dims(1, 2).reshape([batch, channels, height, width])
}

/// Where a block stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The number of its transformer.
    transformer: usize,
    /// Rows and columns of the map, for the first block of a stack.
    sides: Option<[usize; 2]>,
}

/// Self-attention, attention to the context, gated feed-forward; each added to its input.
#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    itself: Attention,
    /// Whether `itself` is to the context in fact.
    context_only: bool,
    norm2: LayerNorm,
    context: Attention,
    norm3: LayerNorm,
    gate: Linear,
    out: Linear,
}

impl Block {
    fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize, heads: usize, kind: Kind) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        let context = kind.context;
        let first = if kind.context_only { context } else { channels };
        Ok(Self {
            context_only: kind.context_only,
            norm1: LayerNorm::new(wb, &name("norm1"), channels)?,
            itself: Attention::new(wb, &name("attn1"), channels, first, heads)?,
            norm2: LayerNorm::new(wb, &name("norm2"), channels)?,
            context: Attention::new(wb, &name("attn2"), channels, context, heads)?,
            norm3: LayerNorm::new(wb, &name("norm3"), channels)?,
            gate: Linear::new(wb, &name("ff.net.0.proj"), channels, channels * 8)?,
            out: Linear::new(wb, &name("ff.net.2"), channels * 4, channels)?,
        })
    }

    fn forward(&self, x: Tensor<3>, pass: &Pass<'_>, place: Place) -> Result<Tensor<3>, ModelError> {
        let hooks = &pass.hooks;
        let normal = self.norm1.forward(x.clone())?;
        let x = x + if self.context_only {
            self.itself.forward(normal, pass.context.clone(), hooks)?
        } else {
            self.itself.to_itself(normal, hooks, place.sides)?
        };
        let x = hooks.between(place.transformer, x)?;
        let x = self.context.forward(self.norm2.forward(x.clone())?, pass.context.clone(), hooks)? + x;
        let gated = ops::geglu(self.gate.forward(self.norm3.forward(x.clone())?)?)?;
        Ok(self.out.forward(gated)? + x)
    }
}
