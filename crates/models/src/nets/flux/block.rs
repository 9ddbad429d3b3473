//! Flux's two kinds of blocks.

use burn::tensor::Tensor;

use super::config::{FluxConfig, FluxVersion};
use crate::{
    error::ModelError,
    nets::layers::{Linear, RmsNorm},
    ops::{self, Mask, Pairs, Rotary},
    weights::WeightBuilder,
};

/// Of every normalisation.
pub(super) const EPS: f64 = 1e-6;

/// Shift, scale and gate of one branch, `[batch, hidden]` each.
#[derive(Debug, Clone)]
pub(super) struct Modulation {
    shift: Tensor<2>,
    scale: Tensor<2>,
    gate: Tensor<2>,
}

impl Modulation {
    /// A linear layer's output on the embedding, cut into branches: shift, scale and gate of one after the other.
    pub(super) fn branches<const N: usize>(linear: &Linear, vec: &Tensor<2>) -> Result<[Self; N], ModelError> {
        let all = linear.forward2(vec.clone())?;
        let hidden = all.dims()[1] / (3 * N);
        let part = |i: usize| all.clone().narrow(1, i * hidden, hidden);
        Ok(std::array::from_fn(|n| Self { shift: part(3 * n), scale: part(3 * n + 1), gate: part(3 * n + 2) }))
    }

    fn norm(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        Ok(ops::modulated_norm(x, self.shift.clone(), self.scale.clone(), EPS)?)
    }

    fn add(&self, x: Tensor<3>, change: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        Ok(ops::add_gated(x, change, self.gate.clone())?)
    }
}

/// What an MLP has between its two layers.
fn activate(version: FluxVersion, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
    Ok(match version {
        FluxVersion::One => ops::gelu_tanh(x)?,
        FluxVersion::Two => ops::swiglu(x)?,
    })
}

/// Normalisation of queries and keys.
#[derive(Debug)]
struct QkNorm {
    query: RmsNorm,
    key: RmsNorm,
}

impl QkNorm {
    fn new(config: &FluxConfig, wb: &WeightBuilder<'_>, name: &str) -> Result<Self, ModelError> {
        let norm = |which: &str| RmsNorm::new(wb, &format!("{name}.{which}_norm.scale"), config.head, EPS);
        Ok(Self { query: norm("query")?, key: norm("key")? })
    }

    /// Query, key and value out of the first three widths of `x`.
    fn split(&self, x: &Tensor<3>, hidden: usize) -> Result<[Tensor<3>; 3], ModelError> {
        let part = |i: usize| x.clone().narrow(2, i * hidden, hidden);
        Ok([self.query.forward(part(0))?, self.key.forward(part(1))?, part(2)])
    }
}

fn attend([q, k, v]: [Tensor<3>; 3], rotary: &Rotary, heads: usize) -> Result<Tensor<3>, ModelError> {
    let (q, k) = (rotary.turn(q, Pairs::Neighbours)?, rotary.turn(k, Pairs::Neighbours)?);
    Ok(ops::attention(q, k, v, heads, Mask::None)?)
}

/// One stream of a double block.
#[derive(Debug)]
struct Stream {
    /// Flux.1's; Flux.2 has one for all blocks.
    modulation: Option<Linear>,
    norm: QkNorm,
    qkv: Linear,
    proj: Linear,
    mlp: [Linear; 2],
}

impl Stream {
    fn new(config: &FluxConfig, wb: &WeightBuilder<'_>, block: &str, stream: &str) -> Result<Self, ModelError> {
        let (hidden, bias) = (config.hidden, config.bias());
        let linear = |name: &str, inputs, outputs| {
            Linear::with_bias(wb, &format!("{block}.{stream}_{name}"), [inputs, outputs], bias)
        };
        let own = config.version == FluxVersion::One;
        Ok(Self {
            modulation: own.then(|| linear("mod.lin", hidden, 6 * hidden)).transpose()?,
            qkv: linear("attn.qkv", hidden, 3 * hidden)?,
            norm: QkNorm::new(config, wb, &format!("{block}.{stream}_attn.norm"))?,
            proj: linear("attn.proj", hidden, hidden)?,
            mlp: [linear("mlp.0", hidden, config.mlp_inner())?, linear("mlp.2", config.mlp, hidden)?],
        })
    }

    fn modulation(
        &self,
        vec: &Tensor<2>,
        shared: Option<&[Modulation; 2]>,
    ) -> Result<Option<[Modulation; 2]>, ModelError> {
        match &self.modulation {
            Some(linear) => Ok(Some(Modulation::branches(linear, vec)?)),
            None => Ok(shared.cloned()),
        }
    }

    fn qkv(&self, x: Tensor<3>, modulation: &Modulation) -> Result<[Tensor<3>; 3], ModelError> {
        let hidden = x.dims()[2];
        self.norm.split(&self.qkv.forward(modulation.norm(x)?)?, hidden)
    }

    fn finish(
        &self,
        x: Tensor<3>,
        attended: Tensor<3>,
        [first, second]: &[Modulation; 2],
        version: FluxVersion,
    ) -> Result<Tensor<3>, ModelError> {
        let x = first.add(x, self.proj.forward(attended)?)?;
        let h = activate(version, self.mlp[0].forward(second.norm(x.clone())?)?)?;
        second.add(x, self.mlp[1].forward(h)?)
    }
}

/// A block with a stream for the image and one for the text, which attend together.
#[derive(Debug)]
pub(super) struct DoubleBlock {
    version: FluxVersion,
    heads: usize,
    img: Stream,
    txt: Stream,
}

/// The streams of a double block.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) img: Tensor<3>,
    pub(super) txt: Tensor<3>,
}

/// Flux.2's modulations of the double blocks.
#[derive(Debug)]
pub(super) struct SharedModulation {
    pub(super) img: [Modulation; 2],
    pub(super) txt: [Modulation; 2],
}

impl DoubleBlock {
    pub(super) fn new(config: &FluxConfig, wb: &WeightBuilder<'_>, name: &str) -> Result<Self, ModelError> {
        Ok(Self {
            version: config.version,
            heads: config.heads(),
            img: Stream::new(config, wb, name, "img")?,
            txt: Stream::new(config, wb, name, "txt")?,
        })
    }

    /// # Shapes
    /// Both streams `[batch, tokens, hidden]`, kept.
    pub(super) fn forward(
        &self,
        Streams { img, txt }: Streams,
        vec: &Tensor<2>,
        shared: Option<&SharedModulation>,
        rotary: &Rotary,
    ) -> Result<Streams, ModelError> {
        let img_mod = self.img.modulation(vec, shared.map(|shared| &shared.img))?;
        let txt_mod = self.txt.modulation(vec, shared.map(|shared| &shared.txt))?;
        let (Some(img_mod), Some(txt_mod)) = (img_mod, txt_mod) else { return Ok(Streams { img, txt }) };
        let [q, k, v] = self.img.qkv(img.clone(), &img_mod[0])?;
        let [txt_q, txt_k, txt_v] = self.txt.qkv(txt.clone(), &txt_mod[0])?;
        let both = |txt, img| Tensor::cat(vec![txt, img], 1);
        let attended = attend([both(txt_q, q), both(txt_k, k), both(txt_v, v)], rotary, self.heads)?;
        let (words, tokens) = (txt.dims()[1], img.dims()[1]);
        Ok(Streams {
            img: self.img.finish(img, attended.clone().narrow(1, words, tokens), &img_mod, self.version)?,
            txt: self.txt.finish(txt, attended.narrow(1, 0, words), &txt_mod, self.version)?,
        })
    }
}

/// A block over text and image in one row, attention and MLP side by side.
#[derive(Debug)]
pub(super) struct SingleBlock {
    version: FluxVersion,
    heads: usize,
    modulation: Option<Linear>,
    norm: QkNorm,
    linear1: Linear,
    linear2: Linear,
}

impl SingleBlock {
    pub(super) fn new(config: &FluxConfig, wb: &WeightBuilder<'_>, name: &str) -> Result<Self, ModelError> {
        let (hidden, bias) = (config.hidden, config.bias());
        let linear =
            |part: &str, inputs, outputs| Linear::with_bias(wb, &format!("{name}.{part}"), [inputs, outputs], bias);
        let own = config.version == FluxVersion::One;
        Ok(Self {
            version: config.version,
            heads: config.heads(),
            modulation: own.then(|| linear("modulation.lin", hidden, 3 * hidden)).transpose()?,
            linear1: linear("linear1", hidden, 3 * hidden + config.mlp_inner())?,
            norm: QkNorm::new(config, wb, &format!("{name}.norm"))?,
            linear2: linear("linear2", hidden + config.mlp, hidden)?,
        })
    }

    /// # Shapes
    /// `[batch, tokens, hidden]`, kept.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        vec: &Tensor<2>,
        shared: Option<&Modulation>,
        rotary: &Rotary,
    ) -> Result<Tensor<3>, ModelError> {
        let own = self.modulation.as_ref().map(|linear| Modulation::branches::<1>(linear, vec)).transpose()?;
        let own = own.map(|[modulation]| modulation);
        let Some(modulation) = own.as_ref().or(shared) else { return Ok(x) };
        let hidden = x.dims()[2];
        let h = self.linear1.forward(modulation.norm(x.clone())?)?;
        let rest = h.dims()[2] - 3 * hidden;
        let qkv = self.norm.split(&h, hidden)?;
        let mlp = activate(self.version, h.narrow(2, 3 * hidden, rest))?;
        let both = Tensor::cat(vec![attend(qkv, rotary, self.heads)?, mlp], 2);
        modulation.add(x, self.linear2.forward(both)?)
    }
}
