//! What every transformer over a latent and a prompt checks of a call, before its own inputs.

use burn::tensor::Tensor;

use crate::error::ModelError;

/// The widths that a call has to fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransformerCall {
    /// The network's name in messages.
    pub(crate) network: &'static str,
    /// Channels of the latent, those beside it included.
    pub(crate) channels: usize,
    /// Width of the encoded prompt.
    pub(crate) context: usize,
}

impl TransformerCall {
    /// Whether `x` is a latent `[batch, channels, h, w]` with something in it, with a time step and a prompt
    /// `[batch, tokens, context]` for each item.
    ///
    /// # Errors
    /// `ModelError::Input` naming the first that does not fit.
    pub(crate) fn check(self, x: &Tensor<4>, timesteps: &[f32], context: &Tensor<3>) -> Result<(), ModelError> {
        let [batch, channels, height, width] = x.dims();
        if channels != self.channels || batch == 0 || height == 0 || width == 0 {
            return Err(self.wrong("x", format!("[batch, {}, h, w]", self.channels), &x.dims()));
        }
        if timesteps.len() != batch {
            return Err(self.wrong("timesteps", format!("{batch}, one per batch item"), &[timesteps.len()]));
        }
        let [rows, tokens, found] = context.dims();
        if rows != batch || tokens == 0 || found != self.context {
            let expected = format!("[{batch}, tokens, {}], the encoded prompt of this family", self.context);
            return Err(self.wrong("context", expected, &context.dims()));
        }
        Ok(())
    }

    fn wrong(self, what: &'static str, expected: String, found: &[usize]) -> ModelError {
        ModelError::Input { network: self.network, what, expected, found: found.to_vec() }
    }
}
