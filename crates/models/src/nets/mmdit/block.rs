//! A joint block: the prompt's tokens and the image's, each with weights of their own, in one attention.

use burn::tensor::Tensor;

use super::config::{HEAD, MmditConfig};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        layers::{FeedForward, Linear, RmsNorm},
    },
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// Epsilon of all norms.
pub(super) const EPS: f64 = 1e-6;

/// Queries, keys and values of tokens.
type Projected = [Tensor<3>; 3];

/// Projection to queries, keys and values, which is normalised head by head where the configuration has it.
#[derive(Debug)]
struct Projection {
    path: String,
    qkv: Linear,
    norms: Option<[RmsNorm; 2]>,
}

impl Projection {
    fn new(wb: &WeightBuilder<'_>, path: &str, config: &MmditConfig) -> Result<Self, ModelError> {
        let norm = |end: &str| RmsNorm::new(wb, &format!("{path}.{end}.weight"), HEAD, EPS);
        let norms = config.qk_norm.then(|| Ok::<_, ModelError>([norm("ln_q")?, norm("ln_k")?]));
        let qkv = Linear::new(wb, &format!("{path}.qkv"), config.width, 3 * config.width)?;
        Ok(Self { path: path.to_owned(), qkv, norms: norms.transpose()? })
    }

    fn forward(&self, x: Tensor<3>, tap: ActivationTap<'_>) -> Result<Projected, ModelError> {
        let qkv = self.qkv.forward(x)?;
        tap.record_part(&self.path, "qkv", &qkv);
        let width = qkv.dims()[2] / 3;
        let part = |i: usize| qkv.clone().narrow(2, i * width, width);
        let (q, k, v) = (part(0), part(1), part(2));
        let (q, k) = match &self.norms {
            Some([norm_q, norm_k]) => (norm_q.forward(q)?, norm_k.forward(k)?),
            None => (q, k),
        };
        tap.record_part(&self.path, "ln_q", &q);
        Ok([q, k, v])
    }
}

/// What the conditioning vector makes of a stream, one after the other: shift, scale, gate of the attention, the same of
/// the layers behind it, the same of a second attention.
struct Modulation(Vec<Tensor<2>>);

impl Modulation {
    fn of(layer: &Linear, vector: &Tensor<2>, width: usize) -> Result<Self, ModelError> {
        let all = layer.forward2(vector.clone())?;
        Ok(Self(all.split(width, 1)))
    }

    /// The normalised stream before part `i`.
    fn norm(&self, x: Tensor<3>, i: usize) -> Result<Tensor<3>, ModelError> {
        Ok(ops::modulated_norm(x, self.0[3 * i].clone(), self.0[3 * i + 1].clone(), EPS)?)
    }

    /// The stream with what part `i` made of it.
    fn add(&self, x: Tensor<3>, y: Tensor<3>, i: usize) -> Result<Tensor<3>, ModelError> {
        Ok(ops::add_gated(x, y, self.0[3 * i + 2].clone())?)
    }
}

/// One stream's part of a block.
#[derive(Debug)]
struct Stream {
    path: String,
    modulation: Linear,
    attention: Projection,
    /// A second attention over this stream alone.
    second: Option<(Projection, Linear)>,
    width: usize,
}

/// What follows a stream's attention.
#[derive(Debug)]
struct Rest {
    proj: Linear,
    mlp: FeedForward,
}

impl Rest {
    fn new(wb: &WeightBuilder<'_>, path: &str, config: &MmditConfig) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        Ok(Self {
            proj: Linear::new(wb, &name("attn.proj"), config.width, config.width)?,
            mlp: FeedForward::new(wb, [&name("mlp.fc1"), &name("mlp.fc2")], config.width, config.hidden)?,
        })
    }
}

impl Stream {
    fn new(
        wb: &WeightBuilder<'_>,
        path: String,
        config: &MmditConfig,
        [rest, second]: [bool; 2],
    ) -> Result<Self, ModelError> {
        let (width, name) = (config.width, |end: &str| format!("{path}.{end}"));
        let parts = if second {
            9
        } else if rest {
            6
        } else {
            2
        };
        let second = second.then(|| {
            let projection = Projection::new(wb, &name("attn2"), config)?;
            Ok::<_, ModelError>((projection, Linear::new(wb, &name("attn2.proj"), width, width)?))
        });
        Ok(Self {
            modulation: Linear::new(wb, &name("adaLN_modulation.1"), width, parts * width)?,
            attention: Projection::new(wb, &name("attn"), config)?,
            second: second.transpose()?,
            width,
            path,
        })
    }

    fn modulation(&self, vector: &Tensor<2>, tap: ActivationTap<'_>) -> Result<Modulation, ModelError> {
        let modulation = Modulation::of(&self.modulation, vector, self.width)?;
        if tap.is_on() {
            tap.record_part(&self.path, "adaLN_modulation", &Tensor::cat(modulation.0.clone(), 1));
        }
        Ok(modulation)
    }

    /// What the second attention adds, before anything else is added.
    fn second(
        &self,
        x: &Tensor<3>,
        modulation: &Modulation,
        tap: ActivationTap<'_>,
    ) -> Result<Option<Tensor<3>>, ModelError> {
        let Some((projection, proj)) = &self.second else { return Ok(None) };
        let [q, k, v] = projection.forward(modulation.norm(x.clone(), 2)?, tap)?;
        let y = proj.forward(ops::attention(q, k, v, self.width / HEAD, Mask::None)?)?;
        tap.record_part(&self.path, "attn2.proj", &y);
        Ok(Some(y))
    }

    /// The stream after its part `attended` of the joint attention.
    fn finish(
        &self,
        rest: &Rest,
        x: Tensor<3>,
        attended: Tensor<3>,
        modulation: &Modulation,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        let second = self.second(&x, modulation, tap)?;
        let y = rest.proj.forward(attended)?;
        tap.record_part(&self.path, "attn.proj", &y);
        let mut x = modulation.add(x, y, 0)?;
        if let Some(y) = second {
            x = modulation.add(x, y, 2)?;
        }
        let y = rest.mlp.forward(modulation.norm(x.clone(), 1)?)?;
        tap.record_part(&self.path, "mlp", &y);
        modulation.add(x, y, 1)
    }
}

/// Both streams of a block.
///
/// Source: Esser et al. 2024, figure 2; Stability AI, sd3.5, `mmditx.py`, `JointBlock`.
#[derive(Debug)]
pub(super) struct Block {
    path: String,
    context: Stream,
    /// Nothing in the last block, whose prompt ends with the attention.
    context_rest: Option<Rest>,
    image: Stream,
    image_rest: Rest,
}

impl Block {
    /// Block `i`; the last one's prompt ends with the attention when `last` is set.
    pub(super) fn new(wb: &WeightBuilder<'_>, config: &MmditConfig, i: usize, last: bool) -> Result<Self, ModelError> {
        let path = format!("joint_blocks.{i}");
        let second = config.second_attention.get(i).copied().unwrap_or(false);
        let context = Stream::new(wb, format!("{path}.context_block"), config, [!last, false])?;
        let image = Stream::new(wb, format!("{path}.x_block"), config, [true, second])?;
        let context_rest = (!last).then(|| Rest::new(wb, &context.path, config)).transpose()?;
        Ok(Self { path, context_rest, image_rest: Rest::new(wb, &image.path, config)?, context, image })
    }

    /// Prompt and image after the block; the prompt is `None` where nothing follows it.
    ///
    /// # Shapes
    /// `context` `[batch, tokens, width]`, `image` `[batch, patches, width]`, `vector` `[batch, width]` after its SiLU.
    pub(super) fn forward(
        &self,
        context: Tensor<3>,
        image: Tensor<3>,
        vector: &Tensor<2>,
        tap: ActivationTap<'_>,
    ) -> Result<(Option<Tensor<3>>, Tensor<3>), ModelError> {
        let (tokens, patches) = (context.dims()[1], image.dims()[1]);
        let of_context = self.context.modulation(vector, tap)?;
        let [context_q, context_k, context_v] =
            self.context.attention.forward(of_context.norm(context.clone(), 0)?, tap)?;
        let of_image = self.image.modulation(vector, tap)?;
        let [image_q, image_k, image_v] = self.image.attention.forward(of_image.norm(image.clone(), 0)?, tap)?;
        let join = |context, image| Tensor::cat(vec![context, image], 1);
        let (q, k, v) = (join(context_q, image_q), join(context_k, image_k), join(context_v, image_v));
        let attended = ops::attention(q, k, v, self.image.width / HEAD, Mask::None)?;
        let to_image = attended.clone().narrow(1, tokens, patches);
        let image = self.image.finish(&self.image_rest, image, to_image, &of_image, tap)?;
        let to_context = attended.narrow(1, 0, tokens);
        let finish = |rest: &Rest| self.context.finish(rest, context, to_context, &of_context, tap);
        let context = self.context_rest.as_ref().map(finish).transpose()?;
        if let Some(context) = &context {
            tap.record_part(&self.path, "txt", context);
        }
        tap.record_part(&self.path, "img", &image);
        Ok((context, image))
    }
}
