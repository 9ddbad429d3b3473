//! The shape of a language model as plain data, and how it is read off tensor names and shapes.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// Which language model one is: what its shapes don't say follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LlmKind {
    /// Qwen3-4B: norms on the heads of queries and keys.
    Qwen3,
    /// Mistral Small 3, whole or cut to 30 layers: neither norms on heads nor biases.
    Mistral3,
    /// Qwen2.5-VL-7B: biases on queries, keys and values.
    Qwen25Vl,
}

impl LlmKind {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qwen3 => "Qwen3",
            Self::Mistral3 => "Mistral Small 3",
            Self::Qwen25Vl => "Qwen2.5-VL",
        }
    }

    /// Added under the root of every norm.
    pub(super) fn eps(self) -> f64 {
        if self == Self::Mistral3 { 1e-5 } else { 1e-6 }
    }

    /// The base of the angles of positions.
    pub(super) fn theta(self) -> f64 {
        if self == Self::Mistral3 { 1e9 } else { 1e6 }
    }

    /// The id from whose first place on no token may be looked at: what rows are filled up with, except for Mistral, whose
    /// reference looks for another.
    pub fn masked_from(self) -> u32 {
        match self {
            Self::Mistral3 => 0,
            Self::Qwen3 | Self::Qwen25Vl => 151_643,
        }
    }

    /// The id that fills places left by vectors of another width.
    pub(super) fn pad(self) -> u32 {
        match self {
            Self::Mistral3 => 11,
            Self::Qwen3 | Self::Qwen25Vl => 151_643,
        }
    }
}

/// The sizes of a language model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmConfig {
    /// Which one it is.
    pub kind: LlmKind,
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Channels per token.
    pub width: usize,
    /// Blocks that are in the file.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values, each of which serves several of queries.
    pub kv_heads: usize,
    /// Channels of a head.
    pub head_width: usize,
    /// Channels inside the MLP.
    pub mlp: usize,
    /// Whether there is a norm behind the last block; files cut to some blocks have none.
    pub final_norm: bool,
    /// Whether the pairs of a head that turn together lie side by side, as llama.cpp stores Mistral's; else half a head
    /// apart. Queries and keys are stored alike, so their products are the same.
    pub interleaved: bool,
}

impl LlmConfig {
    /// Reads the configuration off names and shapes in Hugging Face's names, from `model.` on.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd, and models of this layout that aren't run.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        if names.has("model.layers.0.post_feedforward_layernorm.weight") {
            return Err(unrecognised("it is a Gemma, which no family that is run here reads prompts with".to_owned()));
        }
        let [vocabulary, width] = matrix(names, "model.embed_tokens.weight")?;
        let attention = |end: &str| format!("model.layers.0.self_attn.{end}");
        let ([q, _], [k, _]) =
            (matrix(names, &attention("q_proj.weight"))?, matrix(names, &attention("k_proj.weight"))?);
        let [mlp, _] = matrix(names, "model.layers.0.mlp.gate_proj.weight")?;
        let (kind, head_width) = match names.side(&attention("q_norm.weight"), 0) {
            Some(head_width) => (LlmKind::Qwen3, head_width),
            None if names.has(&attention("k_proj.bias")) => (LlmKind::Qwen25Vl, 128),
            None => (LlmKind::Mistral3, 128),
        };
        if kind == LlmKind::Qwen25Vl && (k, width) == (256, 2048) {
            return Err(unrecognised(
                "it is Qwen2.5-VL-3B (OmniGen2's); Qwen-Image reads prompts with the 7B".to_owned(),
            ));
        }
        let (heads, kv_heads) = (q / head_width.max(1), k / head_width.max(1));
        if kv_heads == 0 || heads % kv_heads != 0 || q % head_width != 0 || k % head_width != 0 {
            return Err(unrecognised(format!(
                "{q} rows of queries and {k} of keys aren't whole heads of {head_width}"
            )));
        }
        let layers = names.count("model.layers.");
        let final_norm = names.has("model.norm.weight");
        Ok(Self { kind, vocabulary, width, layers, heads, kv_heads, head_width, mlp, final_norm, interleaved: false })
    }

    /// This model with the pairs of a head side by side.
    #[must_use]
    pub fn with_interleaved(mut self, interleaved: bool) -> Self {
        self.interleaved = interleaved;
        self
    }

    /// This model without the blocks behind the first `layers`, nor the norm behind them: what a family doesn't look at is
    /// neither loaded nor counted.
    #[must_use]
    pub fn cut_to(mut self, layers: usize) -> Self {
        if layers < self.layers {
            (self.layers, self.final_norm) = (layers, false);
        }
        self
    }
}

fn matrix(names: &TensorShapes, name: &str) -> Result<[usize; 2], ModelError> {
    let shape = names.shape(name).ok_or_else(|| unrecognised(format!("`{name}` is missing")))?;
    shape.try_into().map_err(|_| unrecognised(format!("`{name}` is {shape:?}, expected two sides")))
}

fn unrecognised(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a language model for text".into(), detail }
}
