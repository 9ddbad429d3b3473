//! Chunks of weighted tokens to one conditioning tensor.

use burn::tensor::{Tensor, TensorData};

use super::model::{Encoded, TextEncoder};
use crate::error::ModelError;
use crate::nets::clip::Token;
use crate::tokenizer::{Chunk, END, START};

/// An encoded prompt.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// All tokens one behind the other, `[1, T, width]`.
    pub context: Tensor<3>,
    /// One vector for the whole prompt, `[1, P]`, where the family has one: the first chunk's pooled output.
    pub pooled: Option<Tensor<2>>,
    /// Which tokens count, `[1, T]`, where some don't: 1 for those that do.
    pub attention_mask: Option<Tensor<2>>,
}

impl Prompt {
    /// A prompt of which all tokens count.
    pub fn new(context: Tensor<3>, pooled: Option<Tensor<2>>) -> Self {
        Self { context, pooled, attention_mask: None }
    }
}

/// Encodes chunks as one batch and applies the weights.
///
/// A token of weight `w` moves away from what the encoder gives at its place for an empty text: `(z - e) * w + e`. The
/// pooled output knows no weights. No chunks count as one empty chunk.
///
/// # Errors
/// Of the encoder.
pub fn encode(encoder: &dyn TextEncoder, chunks: &[Chunk], pad: u32) -> Result<Prompt, ModelError> {
    let mut rows: Vec<Vec<Token>> =
        chunks.iter().map(|chunk| chunk.iter().map(|token| token.token.clone()).collect()).collect();
    let count = rows.len().max(1);
    let length = rows.iter().map(Vec::len).max().unwrap_or(crate::tokenizer::CHUNK);
    let weighted = chunks.iter().flatten().any(|token| token.weight != 1.0);
    if weighted || rows.is_empty() {
        rows.push(empty(length, pad));
    }
    let Encoded { hidden, pooled } = encoder.encode(&rows)?;
    let pooled = pooled.narrow(0, 0, 1);
    let [_, tokens, width] = hidden.dims();
    let texts = hidden.clone().narrow(0, 0, count);
    let texts = if weighted { weigh(texts, hidden.narrow(0, count, 1), chunks) } else { texts };
    let context = texts.reshape([1, tokens * count, width]);
    Ok(Prompt::new(context, Some(pooled)))
}

/// SDXL's way with two encoders: features side by side, cut to the shorter one's tokens; pooled is the second's.
pub fn join(first: Prompt, second: Prompt) -> Prompt {
    let tokens = first.context.dims()[1].min(second.context.dims()[1]);
    let cut = |context: Tensor<3>| context.narrow(1, 0, tokens);
    Prompt::new(Tensor::cat(vec![cut(first.context), cut(second.context)], 2), second.pooled)
}

fn empty(length: usize, pad: u32) -> Vec<Token> {
    let mut row = vec![Token::Id(START), Token::Id(END)];
    row.resize(length.max(2), Token::Id(pad));
    row
}

/// Moves the rows of weighted tokens away from (or towards) the empty text's; the others stay as they are.
pub(super) fn weigh(texts: Tensor<3>, empty: Tensor<3>, chunks: &[Chunk]) -> Tensor<3> {
    let [count, tokens, _] = texts.dims();
    let weights: Vec<f32> = chunks.iter().flatten().map(|token| token.weight as f32).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [count, tokens, 1]), &texts.device());
    let moved = (texts.clone() - empty.clone()) * weights.clone() + empty;
    let changed = weights.not_equal_elem(1.0).expand(texts.dims());
    texts.mask_where(changed, moved)
}
