//! One block of a language model: attention and gated MLP, each added to its input.

use burn::tensor::Tensor;

use super::config::{LlmConfig, LlmKind};
use crate::{
    error::ModelError,
    nets::layers::{Linear, RmsNorm},
    ops::{self, Mask, Pairs, Rotary},
    weights::WeightBuilder,
};

/// Source: transformers, `Qwen3DecoderLayer`, `MistralDecoderLayer`, `Qwen2_5_VLDecoderLayer`, which differ in norms on heads
/// and biases alone.
#[derive(Debug)]
pub(super) struct Layer {
    norm1: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    /// Norms over each head of queries and of keys.
    head_norms: Option<(RmsNorm, RmsNorm)>,
    out: Linear,
    norm2: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    heads: usize,
    kv_heads: usize,
    pairs: Pairs,
}

impl Layer {
    pub(super) fn new(config: &LlmConfig, wb: &WeightBuilder<'_>, index: usize) -> Result<Self, ModelError> {
        let LlmConfig { kind, width, heads, kv_heads, head_width, mlp, .. } = *config;
        let path = format!("model.layers.{index}");
        let norm = |end: &str, width| RmsNorm::new(wb, &format!("{path}.{end}.weight"), width, kind.eps());
        let linear = |end: &str, sides| Linear::with_bias(wb, &format!("{path}.{end}"), sides, false);
        let bias = kind == LlmKind::Qwen25Vl;
        let inputs = |end: &str, heads: usize| {
            Linear::with_bias(wb, &format!("{path}.{end}"), [width, heads * head_width], bias)
        };
        let head_norm = |end: &str| norm(end, head_width);
        let head_norms = || Ok::<_, ModelError>((head_norm("self_attn.q_norm")?, head_norm("self_attn.k_norm")?));
        Ok(Self {
            norm1: norm("input_layernorm", width)?,
            q: inputs("self_attn.q_proj", heads)?,
            k: inputs("self_attn.k_proj", kv_heads)?,
            v: inputs("self_attn.v_proj", kv_heads)?,
            head_norms: (kind == LlmKind::Qwen3).then(head_norms).transpose()?,
            out: linear("self_attn.o_proj", [heads * head_width, width])?,
            norm2: norm("post_attention_layernorm", width)?,
            gate: linear("mlp.gate_proj", [width, mlp])?,
            up: linear("mlp.up_proj", [width, mlp])?,
            down: linear("mlp.down_proj", [mlp, width])?,
            heads,
            kv_heads,
            pairs: if config.interleaved { Pairs::Neighbours } else { Pairs::Halves },
        })
    }

    /// `bias`: what is added to scores, `[tokens, tokens]`, where more is hidden than what comes later.
    ///
    /// # Shapes
    /// `x` `[1, tokens, width]`, kept.
    pub(super) fn forward(&self, x: Tensor<3>, rotary: &Rotary, bias: Option<&[f32]>) -> Result<Tensor<3>, ModelError> {
        let h = self.norm1.forward(x.clone())?;
        let (mut q, mut k, v) = (self.q.forward(h.clone())?, self.k.forward(h.clone())?, self.v.forward(h)?);
        if let Some((q_norm, k_norm)) = &self.head_norms {
            (q, k) = (q_norm.forward(q)?, k_norm.forward(k)?);
        }
        let (q, k) = (rotary.turn(q, self.pairs)?, rotary.turn(k, self.pairs)?);
        let (k, v) = (self.for_each_query(k), self.for_each_query(v));
        let h = match bias {
            None => ops::attention(q, k, v, self.heads, Mask::Causal)?,
            Some(bias) => {
                let head_width = q.dims()[2] / self.heads;
                ops::biased_attention(q, k, v, self.heads, 1.0 / (head_width as f32).sqrt(), |_| bias.to_vec())?
            }
        };
        let x = x + self.out.forward(h)?;
        let h = self.norm2.forward(x.clone())?;
        let h = ops::silu_product(self.gate.forward(h.clone())?, self.up.forward(h)?)?;
        Ok(x + self.down.forward(h)?)
    }

    /// Each head of keys or values as often as there are heads of queries for it.
    fn for_each_query(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let (kv, each) = (self.kv_heads, self.heads / self.kv_heads);
        if each == 1 {
            return x;
        }
        let head = width / kv;
        x.reshape([batch, tokens, kv, 1, head]).expand([batch, tokens, kv, each, head]).reshape([
            batch,
            tokens,
            kv * each * head,
        ])
    }
}
