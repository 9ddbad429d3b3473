//! A T2I-Adapter at work: its picture, how much, when, and the control before it.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::model::Adapter;
use crate::{
    error::ModelError,
    image::{Crop, ImageError, Method, Planes, common_upscale},
    nets::{
        control::{ControlCall, ControlSource},
        residuals::Residuals,
    },
};

/// What a ControlNet node puts into a conditioning when it is given a T2I-Adapter.
#[derive(Debug)]
pub struct AdapterControl {
    net: Arc<Adapter>,
    hint: Planes,
    strength: f32,
    range: [f64; 2],
    previous: Option<Arc<dyn ControlSource>>,
    /// What it said for a latent of this height and width: it looks at the picture alone, so once is enough.
    said: Mutex<Option<([usize; 2], Residuals)>>,
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
        Self { net, hint, strength, range, previous, said: Mutex::default() }
    }

    fn holds(&self, call: &ControlCall<'_>) -> bool {
        let [start, end] = self.range.map(|percent| call.sampling.levels.percent_to_sigma(percent));
        let sigma = f64::from(call.sigma);
        sigma <= start && sigma >= end
    }

    fn said(&self, x: &Tensor<4>) -> Result<Residuals, ModelError> {
        let [_, _, height, width] = x.dims();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, residuals)) = said.as_ref().filter(|(size, _)| *size == [height, width]) {
            return Ok(residuals.clone());
        }
        let residuals = self.net.forward(self.picture(height, width, x)?)?.scaled(self.strength);
        *said = Some(([height, width], residuals.clone()));
        Ok(residuals)
    }

    /// The picture at eight times the latent's size, rounded up to whole squares, with as many channels as are taken.
    fn picture(&self, height: usize, width: usize, like: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let unfit = |error: ImageError| ModelError::Unrecognised {
            what: "a picture for a T2I-Adapter".into(),
            detail: error.to_string(),
        };
        let config = self.net.config();
        let side = |cells: usize| (cells * 8).next_multiple_of(config.shuffle);
        let planes = common_upscale(&self.hint, side(width), side(height), Method::NearestExact, Crop::Center);
        let picture = planes.map_err(unfit)?.to_tensor(&like.device()).cast(like.dtype());
        Ok(if config.picture == 1 { picture.mean_dim(1) } else { picture })
    }
}

impl ControlSource for AdapterControl {
    fn residuals(&self, call: &ControlCall<'_>) -> Result<Option<Residuals>, ModelError> {
        let before = self.previous.as_ref().map(|previous| previous.residuals(call)).transpose()?.flatten();
        if !self.holds(call) {
            return Ok(before);
        }
        let own = self.said(call.x)?.for_batch(call.x.dims()[0]);
        Ok(Some(match before {
            Some(before) => own.plus(before),
            None => own,
        }))
    }
}
