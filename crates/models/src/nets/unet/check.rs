//! Shapes of what a UNet or ControlNet is called with, checked before any tensor is touched.

use burn::tensor::Tensor;

use super::config::UNetConfig;
use crate::error::ModelError;

/// What is checked: the tensors of one call.
pub(crate) struct Call<'a> {
    pub(crate) network: &'static str,
    pub(crate) x: &'a Tensor<4>,
    pub(crate) timesteps: &'a [f32],
    pub(crate) context: &'a Tensor<3>,
    pub(crate) y: Option<&'a Tensor<2>>,
    pub(crate) frames: usize,
}

impl Call<'_> {
    pub(crate) fn check(&self, config: &UNetConfig) -> Result<(), ModelError> {
        let [batch, channels, height, width] = self.x.dims();
        if channels != config.in_channels || batch == 0 || height == 0 || width == 0 {
            return Err(self.wrong("latent", format!("[batch, {}, h, w]", config.in_channels), &self.x.dims()));
        }
        if self.timesteps.len() != batch {
            return Err(self.wrong("timesteps", format!("[{batch}], one per latent"), &[self.timesteps.len()]));
        }
        if self.frames == 0 || !batch.is_multiple_of(self.frames) {
            let expected = format!("a multiple of {}, the frames of a clip", self.frames);
            return Err(self.wrong("batch", expected, &[batch]));
        }
        let [rows, tokens, found] = self.context.dims();
        let wanted = config.context_dim.unwrap_or(found);
        if rows != batch || tokens == 0 || found != wanted {
            let expected = format!("[{batch}, tokens, {wanted}] as this model's own text encoders give it");
            return Err(self.wrong("context", expected, &self.context.dims()));
        }
        match (config.vector_width(), self.y) {
            (Some(adm), Some(y)) if y.dims() != [batch, adm] => {
                Err(self.wrong("y", format!("[{batch}, {adm}]"), &y.dims()))
            }
            (Some(adm), None) => Err(self.wrong("y", format!("[{batch}, {adm}], which this model needs"), &[])),
            (None, Some(y)) => Err(self.wrong("y", "nothing: this model takes none".into(), &y.dims())),
            _ => Ok(()),
        }
    }

    fn wrong(&self, what: &'static str, expected: String, found: &[usize]) -> ModelError {
        ModelError::Input { network: self.network, what, expected, found: found.to_vec() }
    }
}
