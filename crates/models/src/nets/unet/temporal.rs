//! The part of a video UNet's transformer in which each place looks at itself in the other frames.

use burn::tensor::Tensor;

use super::{attention::Attention, embed::sinusoidal, pass::Pass};
use crate::{
    error::ModelError,
    nets::{
        frames::Blend,
        hooks::ActiveHooks,
        layers::{LayerNorm, Linear},
    },
    ops,
    weights::WeightBuilder,
};

/// A block over frames behind each block over places, with the frames' numbers and the share of what goes around it.
///
/// Source: Stability AI, generative-models, `SpatialVideoTransformer`.
#[derive(Debug)]
pub(super) struct TimeStack {
    channels: usize,
    positions: [Linear; 2],
    blocks: Vec<TimeBlock>,
    blend: Blend,
}

impl TimeStack {
    /// `context`: its width, where frames attend to it.
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        heads: usize,
        depth: usize,
        context: Option<usize>,
    ) -> Result<Self, ModelError> {
        let block = |d| TimeBlock::new(wb, &format!("{path}.time_stack.{d}"), channels, heads, context);
        Ok(Self {
            channels,
            positions: [
                Linear::new(wb, &format!("{path}.time_pos_embed.0"), channels, channels * 4)?,
                Linear::new(wb, &format!("{path}.time_pos_embed.2"), channels * 4, channels)?,
            ],
            blocks: (0..depth).map(block).collect::<Result<_, _>>()?,
            blend: Blend::new(wb, &format!("{path}.time_mixer.mix_factor"))?,
        })
    }

    /// Runs block `n` on what block `n` over places left.
    ///
    /// # Shapes
    /// `x` `[clips · frames, places, channels]`, kept.
    pub(super) fn forward(&self, n: usize, x: Tensor<3>, pass: &Pass<'_>) -> Result<Tensor<3>, ModelError> {
        let Some(block) = self.blocks.get(n) else { return Ok(x) };
        let [batch, places, channels] = x.dims();
        let (frames, clips) = (pass.frames, batch / pass.frames);
        let numbered = x.clone().reshape([clips, frames, places, channels])
            + self.numbers(frames, &x)?.reshape([1, frames, 1, channels]);
        let rows = numbered.swap_dims(1, 2).reshape([clips * places, frames, channels]);
        // What a clip attends to is the context of its first frame.
        let [_, tokens, width] = pass.context.dims();
        let firsts = (0..clips).map(|clip| pass.context.clone().narrow(0, clip * frames, 1)).collect();
        let context = Tensor::cat(firsts, 0).reshape([clips, tokens, width]);
        let rows = block.forward(rows, context)?;
        let later = rows.reshape([clips, places, frames, channels]).swap_dims(1, 2).reshape([batch, places, channels]);
        self.blend.mix(x, later)
    }

    /// What tells frames apart, `[frames, channels]`.
    fn numbers(&self, frames: usize, like: &Tensor<3>) -> Result<Tensor<2>, ModelError> {
        let numbers: Vec<f32> = (0..frames).map(|frame| frame as f32).collect();
        let waves = sinusoidal(&numbers, self.channels, &like.device()).cast(like.dtype());
        let [enter, leave] = &self.positions;
        leave.forward2(ops::silu(enter.forward2(waves)?)?)
    }
}

/// Feed-forward, attention among frames, attention to the context, feed-forward; each added to its input.
#[derive(Debug)]
struct TimeBlock {
    norm_in: LayerNorm,
    enter: FeedForward,
    norm1: LayerNorm,
    itself: Attention,
    context: Option<(LayerNorm, Attention)>,
    norm3: LayerNorm,
    leave: FeedForward,
}

impl TimeBlock {
    fn new(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        heads: usize,
        context: Option<usize>,
    ) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        let norm = |end: &str| LayerNorm::new(wb, &name(end), channels);
        let attends =
            |width| Ok::<_, ModelError>((norm("norm2")?, Attention::new(wb, &name("attn2"), channels, width, heads)?));
        Ok(Self {
            norm_in: norm("norm_in")?,
            enter: FeedForward::new(wb, &name("ff_in"), channels)?,
            norm1: norm("norm1")?,
            itself: Attention::new(wb, &name("attn1"), channels, channels, heads)?,
            context: context.map(attends).transpose()?,
            norm3: norm("norm3")?,
            leave: FeedForward::new(wb, &name("ff"), channels)?,
        })
    }

    /// # Shapes
    /// `x` `[clips · places, frames, channels]`, kept; `context` `[clips, tokens, width]`.
    fn forward(&self, x: Tensor<3>, context: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let x = self.enter.forward(self.norm_in.forward(x.clone())?)? + x;
        let mut x = self.itself.to_itself(self.norm1.forward(x.clone())?, &ActiveHooks::default(), None)? + x;
        if let Some((norm, attention)) = &self.context {
            // All places of a clip attend to the same words: its rows are the queries of one attention.
            let ([rows, frames, channels], [clips, ..]) = (x.dims(), context.dims());
            let queries = norm.forward(x.clone())?.reshape([clips, rows / clips * frames, channels]);
            x = x + attention.forward(queries, context, &ActiveHooks::default())?.reshape([rows, frames, channels]);
        }
        Ok(self.leave.forward(self.norm3.forward(x.clone())?)? + x)
    }
}

/// A gated layer to four times the width, and back.
#[derive(Debug)]
struct FeedForward {
    gate: Linear,
    out: Linear,
}

impl FeedForward {
    fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize) -> Result<Self, ModelError> {
        Ok(Self {
            gate: Linear::new(wb, &format!("{path}.net.0.proj"), channels, channels * 8)?,
            out: Linear::new(wb, &format!("{path}.net.2"), channels * 4, channels)?,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        self.out.forward(ops::geglu(self.gate.forward(x)?)?)
    }
}
