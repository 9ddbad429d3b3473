//! A CLIP network with its family's choices, as the encoder that prompts are encoded with.

use burn::tensor::Device;

use super::model::{Encoded, TextEncoder};
use crate::error::ModelError;
use crate::nets::clip::{Hidden, TextModel, Token};

/// A text network, which of its hidden states counts, and where it runs.
#[derive(Debug, Clone)]
pub struct ClipEncoder<'a> {
    /// The network.
    pub model: &'a TextModel,
    /// Which hidden state (clip skip).
    pub hidden: Hidden,
    /// Whether the pooled output goes through the projection, where there is one.
    pub projected: bool,
    /// Where it runs.
    pub device: &'a Device,
}

impl TextEncoder for ClipEncoder<'_> {
    fn encode(&self, rows: &[Vec<Token>]) -> Result<Encoded, ModelError> {
        let output = self.model.forward(rows, self.hidden, self.device)?;
        let projected = output.projected.filter(|_| self.projected);
        Ok(Encoded { hidden: output.hidden, pooled: projected.unwrap_or(output.pooled) })
    }
}
