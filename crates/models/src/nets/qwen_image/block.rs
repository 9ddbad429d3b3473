//! A block: the prompt's tokens and the image's, each with weights of their own, in one attention with positions.

use burn::tensor::Tensor;

use super::config::QwenImageConfig;
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        layers::{FeedForward, Linear, RmsNorm},
    },
    ops::{self, Mask, Pairs, Rotary},
    weights::WeightBuilder,
};

/// Epsilon of all norms.
pub(super) const EPS: f64 = 1e-6;

/// Shift, scale and gate of the attention, then of the layers behind it; and others for the tokens from a place on.
#[derive(Debug)]
pub(super) struct Modulation {
    parts: Vec<Tensor<2>>,
    tail: Option<(usize, Vec<Tensor<2>>)>,
}

impl Modulation {
    fn of(layer: &Linear, embedding: &Embeddings<'_>, width: usize) -> Result<Self, ModelError> {
        let parts = |vector: &Tensor<2>| Ok::<_, ModelError>(layer.forward2(vector.clone())?.split(width, 1));
        let tail = embedding.clean.map(|(first, vector)| Ok::<_, ModelError>((first, parts(vector)?)));
        Ok(Self { parts: parts(embedding.time)?, tail: tail.transpose()? })
    }

    /// The normalised stream before part `i`.
    fn norm(&self, x: Tensor<3>, i: usize) -> Result<Tensor<3>, ModelError> {
        self.each(x, |x, parts| Ok(ops::modulated_norm(x, parts[3 * i].clone(), parts[3 * i + 1].clone(), EPS)?))
    }

    /// The stream with what part `i` made of it.
    fn add(&self, x: Tensor<3>, y: Tensor<3>, i: usize) -> Result<Tensor<3>, ModelError> {
        let Some((first, tail)) = &self.tail else {
            return Ok(ops::add_gated(x, y, self.parts[3 * i + 2].clone())?);
        };
        let (x, y) = (split(&x, *first), split(&y, *first));
        let [head_x, tail_x] = x;
        let [head_y, tail_y] = y;
        let head = ops::add_gated(head_x, head_y, self.parts[3 * i + 2].clone())?;
        Ok(Tensor::cat(vec![head, ops::add_gated(tail_x, tail_y, tail[3 * i + 2].clone())?], 1))
    }

    fn each(
        &self,
        x: Tensor<3>,
        change: impl Fn(Tensor<3>, &[Tensor<2>]) -> Result<Tensor<3>, ModelError>,
    ) -> Result<Tensor<3>, ModelError> {
        let Some((first, tail)) = &self.tail else { return change(x, &self.parts) };
        let [head, rest] = split(&x, *first);
        Ok(Tensor::cat(vec![change(head, &self.parts)?, change(rest, tail)?], 1))
    }
}

/// Tokens before `first`, and the others.
fn split(x: &Tensor<3>, first: usize) -> [Tensor<3>; 2] {
    let tokens = x.dims()[1];
    [x.clone().narrow(1, 0, first), x.clone().narrow(1, first, tokens - first)]
}

/// The time step as a vector, `[batch, width]` after its SiLU.
#[derive(Debug, Clone, Copy)]
pub(super) struct Embeddings<'a> {
    /// Of the call's time step.
    pub(super) time: &'a Tensor<2>,
    /// Of time step 0, for the image's tokens from this one on.
    pub(super) clean: Option<(usize, &'a Tensor<2>)>,
}

/// One stream's part of a block.
#[derive(Debug)]
struct Stream {
    /// The block's name and what the stream's own layers start with.
    path: String,
    modulation: Linear,
    qkv: [Linear; 3],
    norms: [RmsNorm; 2],
    out: Linear,
    mlp: FeedForward,
}

/// How the two streams' layers are called.
struct StreamNames {
    stream: &'static str,
    qkv: [&'static str; 3],
    norms: [&'static str; 2],
    out: &'static str,
}

const IMAGE: StreamNames =
    StreamNames { stream: "img", qkv: ["to_q", "to_k", "to_v"], norms: ["norm_q", "norm_k"], out: "to_out.0" };
const PROMPT: StreamNames = StreamNames {
    stream: "txt",
    qkv: ["add_q_proj", "add_k_proj", "add_v_proj"],
    norms: ["norm_added_q", "norm_added_k"],
    out: "to_add_out",
};

impl Stream {
    fn new(
        wb: &WeightBuilder<'_>,
        block: &str,
        names: &StreamNames,
        config: &QwenImageConfig,
    ) -> Result<Self, ModelError> {
        let (width, path) = (config.width, format!("{block}.{}", names.stream));
        let linear = |name: &str| Linear::new(wb, &format!("{block}.attn.{name}"), width, width);
        let norm = |name: &str| RmsNorm::new(wb, &format!("{block}.attn.{name}.weight"), config.head, EPS);
        let [q, k, v] = names.qkv;
        let mlp = [&*format!("{path}_mlp.net.0.proj"), &*format!("{path}_mlp.net.2")];
        Ok(Self {
            modulation: Linear::new(wb, &format!("{path}_mod.1"), width, 6 * width)?,
            qkv: [linear(q)?, linear(k)?, linear(v)?],
            norms: [norm(names.norms[0])?, norm(names.norms[1])?],
            out: linear(names.out)?,
            mlp: FeedForward::new(wb, mlp, width, config.hidden)?,
            path,
        })
    }

    fn modulation(
        &self,
        embeddings: &Embeddings<'_>,
        width: usize,
        tap: ActivationTap<'_>,
    ) -> Result<Modulation, ModelError> {
        let modulation = Modulation::of(&self.modulation, embeddings, width)?;
        if tap.is_on() {
            tap.record(&format!("{}_mod", self.path), &Tensor::cat(modulation.parts.clone(), 1));
        }
        Ok(modulation)
    }

    /// Queries and keys, normalised head by head, and values.
    fn project(&self, x: Tensor<3>) -> Result<[Tensor<3>; 3], ModelError> {
        let [q, k, v] = &self.qkv;
        let [norm_q, norm_k] = &self.norms;
        Ok([norm_q.forward(q.forward(x.clone())?)?, norm_k.forward(k.forward(x.clone())?)?, v.forward(x)?])
    }

    /// The stream after its part `attended` of the attention.
    fn finish(
        &self,
        x: Tensor<3>,
        attended: Tensor<3>,
        modulation: &Modulation,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        let y = self.out.forward(attended)?;
        if let Some((block, stream)) = self.path.rsplit_once('.') {
            tap.record_part(block, &format!("attn.{stream}"), &y);
        }
        let x = modulation.add(x, y, 0)?;
        let inner = format!("{}_mlp.net.0.proj", self.path);
        let y = self.mlp.forward_tapped(modulation.norm(x.clone(), 1)?, tap, &inner)?;
        tap.record(&format!("{}_mlp", self.path), &y);
        let x = modulation.add(x, y, 1)?;
        tap.record(&self.path, &x);
        Ok(x)
    }
}

/// Both streams of a block.
///
/// Source: Wu et al. 2025 (Qwen-Image), section 2; diffusers, `transformer_qwenimage.py`, `QwenImageTransformerBlock`.
#[derive(Debug)]
pub(super) struct Block {
    path: String,
    width: usize,
    head: usize,
    image: Stream,
    prompt: Stream,
}

impl Block {
    pub(super) fn new(wb: &WeightBuilder<'_>, config: &QwenImageConfig, i: usize) -> Result<Self, ModelError> {
        let path = format!("transformer_blocks.{i}");
        Ok(Self {
            image: Stream::new(wb, &path, &IMAGE, config)?,
            prompt: Stream::new(wb, &path, &PROMPT, config)?,
            width: config.width,
            head: config.head,
            path,
        })
    }

    /// Prompt and image after the block.
    ///
    /// # Shapes
    /// `prompt` `[batch, tokens, width]`, `image` `[batch, patches, width]`, both kept; `rotary` has the angles of the
    /// prompt's tokens and then of the image's.
    pub(super) fn forward(
        &self,
        prompt: Tensor<3>,
        image: Tensor<3>,
        embeddings: &Embeddings<'_>,
        rotary: &Rotary,
        tap: ActivationTap<'_>,
    ) -> Result<(Tensor<3>, Tensor<3>), ModelError> {
        let (tokens, patches) = (prompt.dims()[1], image.dims()[1]);
        let of_image = self.image.modulation(embeddings, self.width, tap)?;
        let of_prompt = self.prompt.modulation(&Embeddings { clean: None, ..*embeddings }, self.width, tap)?;
        let [image_q, image_k, image_v] = self.image.project(of_image.norm(image.clone(), 0)?)?;
        if tap.is_on() {
            let [batch, patches, width] = image_q.dims();
            let heads = image_q.clone().reshape([batch, patches, width / self.head, self.head]).swap_dims(1, 2);
            tap.record_part(&self.path, "attn.norm_q", &heads);
        }
        let [prompt_q, prompt_k, prompt_v] = self.prompt.project(of_prompt.norm(prompt.clone(), 0)?)?;
        let join = |prompt, image| Tensor::cat(vec![prompt, image], 1);
        let q = rotary.turn(join(prompt_q, image_q), Pairs::Neighbours)?;
        let k = rotary.turn(join(prompt_k, image_k), Pairs::Neighbours)?;
        let attended = ops::attention(q, k, join(prompt_v, image_v), self.width / self.head, Mask::None)?;
        let image = self.image.finish(image, attended.clone().narrow(1, tokens, patches), &of_image, tap)?;
        let prompt = self.prompt.finish(prompt, attended.narrow(1, 0, tokens), &of_prompt, tap)?;
        Ok((prompt, image))
    }
}
