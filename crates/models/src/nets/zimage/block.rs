//! Z-Image's block, with modulation and without.

use burn::tensor::{Tensor, activation};

use super::config::ZImageConfig;
use crate::{
    error::ModelError,
    nets::layers::{Linear, RmsNorm},
    ops::{self, Mask, Pairs, Rotary},
    weights::WeightBuilder,
};

/// Of the normalisations around attention and MLP.
const EPS: f64 = 1e-5;
/// Of queries and keys: f32's own, which torch takes when none is given.
const HEAD_EPS: f64 = f32::EPSILON as f64;

/// Attention and gated MLP, each between two normalisations.
#[derive(Debug)]
pub(super) struct Block {
    heads: usize,
    modulation: Option<Linear>,
    qkv: Linear,
    out: Linear,
    query: RmsNorm,
    key: RmsNorm,
    /// Gate, result, value.
    mlp: [Linear; 3],
    attention_norms: [RmsNorm; 2],
    mlp_norms: [RmsNorm; 2],
}

impl Block {
    pub(super) fn new(
        config: &ZImageConfig,
        wb: &WeightBuilder<'_>,
        name: &str,
        modulated: bool,
    ) -> Result<Self, ModelError> {
        let (dim, mlp) = (config.dim, config.mlp);
        let linear = |part: &str, inputs, outputs| Linear::without_bias(wb, &format!("{name}.{part}"), inputs, outputs);
        let norm = |part: &str, width, eps| RmsNorm::new(wb, &format!("{name}.{part}.weight"), width, eps);
        let modulation = || Linear::new(wb, &format!("{name}.adaLN_modulation.0"), config.time[1], 4 * dim);
        Ok(Self {
            heads: config.heads(),
            modulation: modulated.then(modulation).transpose()?,
            attention_norms: [norm("attention_norm1", dim, EPS)?, norm("attention_norm2", dim, EPS)?],
            qkv: linear("attention.qkv", dim, 3 * dim)?,
            query: norm("attention.q_norm", config.head, HEAD_EPS)?,
            key: norm("attention.k_norm", config.head, HEAD_EPS)?,
            out: linear("attention.out", dim, dim)?,
            mlp_norms: [norm("ffn_norm1", dim, EPS)?, norm("ffn_norm2", dim, EPS)?],
            mlp: [
                linear("feed_forward.w1", dim, mlp)?,
                linear("feed_forward.w2", mlp, dim)?,
                linear("feed_forward.w3", dim, mlp)?,
            ],
        })
    }

    /// # Shapes
    /// `x` `[batch, tokens, dim]`, kept; `time` `[batch, width]`, which blocks without modulation don't look at.
    pub(super) fn forward(&self, x: Tensor<3>, time: &Tensor<2>, rotary: &Rotary) -> Result<Tensor<3>, ModelError> {
        let [s1, g1, s2, g2] = self.modulation(time)?;
        let h = scaled(self.attention_norms[0].forward(x.clone())?, s1);
        let x = added(x, self.attention_norms[1].forward(self.attend(h, rotary)?)?, g1)?;
        let h = scaled(self.mlp_norms[0].forward(x.clone())?, s2);
        let gated = ops::silu_product(self.mlp[0].forward(h.clone())?, self.mlp[2].forward(h)?)?;
        added(x, self.mlp_norms[1].forward(self.mlp[1].forward(gated)?)?, g2)
    }

    /// Scale and gate of the attention, then of the MLP; nothing without modulation.
    fn modulation(&self, time: &Tensor<2>) -> Result<[Option<Tensor<2>>; 4], ModelError> {
        let Some(linear) = &self.modulation else { return Ok([None, None, None, None]) };
        let all = linear.forward2(time.clone())?;
        let width = all.dims()[1] / 4;
        Ok(std::array::from_fn(|i| Some(all.clone().narrow(1, i * width, width))))
    }

    fn attend(&self, x: Tensor<3>, rotary: &Rotary) -> Result<Tensor<3>, ModelError> {
        let width = x.dims()[2];
        let qkv = self.qkv.forward(x)?;
        let third = |i: usize| qkv.clone().narrow(2, i * width, width);
        let q = rotary.turn(self.query.forward(third(0))?, Pairs::Neighbours)?;
        let k = rotary.turn(self.key.forward(third(1))?, Pairs::Neighbours)?;
        self.out.forward(ops::attention(q, k, third(2), self.heads, Mask::None)?)
    }
}

fn scaled(x: Tensor<3>, scale: Option<Tensor<2>>) -> Tensor<3> {
    match scale {
        Some(scale) => x * (scale + 1.0).unsqueeze_dim(1),
        None => x,
    }
}

fn added(x: Tensor<3>, change: Tensor<3>, gate: Option<Tensor<2>>) -> Result<Tensor<3>, ModelError> {
    match gate {
        Some(gate) => Ok(ops::add_gated(x, change, activation::tanh(gate))?),
        None => Ok(x + change),
    }
}
