//! A T2I-Adapter at work: its image, how much, when, and the control before it.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::model::Adapter;
use crate::{
    error::ModelError,
    image::Planes,
    nets::{
        control::{ControlCall, ControlSetup, ControlSource, dealt},
        residuals::Residuals,
    },
};

/// What a ControlNet node puts into a conditioning when it is given a T2I-Adapter.
#[derive(Debug)]
pub struct AdapterControl {
    net: Arc<Adapter>,
    setup: ControlSetup,
    /// What it returned for a latent of this height and width: it depends on the image alone, so once is enough.
    cached: Mutex<Option<([usize; 2], Residuals)>>,
}

impl AdapterControl {
    /// `hint` `[batch, 3, h, w]` in 0..1; `range` in percent of the run, 0 to 1.
    pub fn new(
        net: Arc<Adapter>,
        hint: Planes,
        strength: f32,
        range: [f64; 2],
        previous: Option<Arc<dyn ControlSource>>,
    ) -> Self {
        Self { net, setup: ControlSetup { hint, strength, range, previous }, cached: Mutex::default() }
    }

    fn residuals_for(&self, x: &Tensor<4>) -> Result<Residuals, ModelError> {
        let [_, _, height, width] = x.dims();
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, residuals)) = cached.as_ref().filter(|(size, _)| *size == [height, width]) {
            return Ok(residuals.clone());
        }
        let residuals = self.net.forward(self.image(height, width, x)?)?.scaled(self.setup.strength);
        *cached = Some(([height, width], residuals.clone()));
        Ok(residuals)
    }

    /// The image at eight times the latent's size, rounded up to whole squares, with as many channels as are taken.
    fn image(&self, height: usize, width: usize, like: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let config = self.net.config();
        let side = |cells: usize| (cells * 8).next_multiple_of(config.shuffle);
        let planes = self.setup.fitted_hint([side(height), side(width)], "an image for a T2I-Adapter")?;
        let image = planes.to_tensor(&like.device()).cast(like.dtype());
        Ok(if config.image == 1 { image.mean_dim(1) } else { image })
    }
}

impl ControlSource for AdapterControl {
    fn residuals(&self, call: &ControlCall<'_>) -> Result<Option<Residuals>, ModelError> {
        let batch = call.x.dims()[0];
        self.setup
            .residuals(call, || Ok(self.residuals_for(call.x)?.map(|residual| dealt(residual, batch, call.conditions))))
    }
}
