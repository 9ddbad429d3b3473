//! Rows of weighted tokens through the encoders that aren't CLIP's: T5, Mistral, Qwen3.
//!
//! Sources: ComfyUI `comfy/sd1_clip.py` (`encode_token_weights`), `comfy/text_encoders/{flux,z_image}.py`.

use burn::tensor::{Device, Tensor};

use super::encode::{Prompt, weigh};
use crate::error::ModelError;
use crate::nets::layers::Token;
use crate::nets::llm::{LlmModel, Positions, States};
use crate::nets::t5::T5Model;
use crate::tokenizer::{T5_END, WeightedToken};

/// After which of Mistral's blocks FLUX.2 looks at its states.
pub const FLUX2_STATES: [usize; 3] = [10, 20, 30];

/// T5's states for a row, `[1, T, width]`. A token of weight `w` moves away from what the encoder gives at its place for an
/// empty row: `(z - e) * w + e`. A row without tokens counts as one of an end alone. `layer` as
/// [`T5Model::forward`] has it.
///
/// # Errors
/// Of the network.
pub fn encode_t5(model: &T5Model, row: &[WeightedToken], layer: i32, device: &Device) -> Result<Tensor<3>, ModelError> {
    let mut empty = vec![Token::Id(T5_END)];
    empty.resize(row.len().max(1), Token::Id(0));
    if row.is_empty() {
        return model.forward(&[empty], layer, None, device);
    }
    let tokens = row.iter().map(|token| token.token.clone()).collect();
    if row.iter().all(|token| token.weight == 1.0) {
        return model.forward(&[tokens], layer, None, device);
    }
    let both = model.forward(&[tokens, empty], layer, None, device)?;
    Ok(weigh(both.clone().narrow(0, 0, 1), both.narrow(0, 1, 1), &[row.to_vec()]))
}

/// FLUX.2's way with Mistral: the states after 10, 20 and 30 blocks side by side, `[1, T, 3 · width]`.
///
/// # Errors
/// Of the network, also when it has fewer blocks.
pub fn encode_flux2(model: &LlmModel, row: &[Token], device: &Device) -> Result<Prompt, ModelError> {
    let states = states(model, row, &FLUX2_STATES, device)?;
    Ok(Prompt::new(Tensor::cat(states, 2), None))
}

/// Z-Image's way with Qwen3, which is cut before its last block: the state after the blocks that are left, `[1, T, width]`.
///
/// # Errors
/// Of the network.
pub fn encode_z_image(model: &LlmModel, row: &[Token], device: &Device) -> Result<Prompt, ModelError> {
    let states = states(model, row, &[model.config().layers], device)?;
    Ok(Prompt::new(Tensor::cat(states, 2), None))
}

fn states(model: &LlmModel, row: &[Token], after: &[usize], device: &Device) -> Result<Vec<Tensor<3>>, ModelError> {
    let row = model.fitting(row);
    let hidden = hidden(model, &row);
    let positions = Positions::new(row.len(), &[]);
    model.forward(model.embed(&row, device)?, &positions, Some(&hidden), States::After(after))
}

/// Which tokens of a row no other may look at: from the first that fills rows on. Vectors always count.
pub(super) fn hidden(model: &LlmModel, row: &[Token]) -> Vec<bool> {
    let filler = Token::Id(model.config().kind.masked_from());
    let first = row.iter().position(|token| *token == filler).unwrap_or(row.len());
    let hides = |(at, token): (usize, &Token)| at >= first && matches!(token, Token::Id(_));
    row.iter().enumerate().map(hides).collect()
}
