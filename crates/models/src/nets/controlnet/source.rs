//! A ControlNet at work: its image, how much, when, and the one before it.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::{
    lora::ControlLora,
    model::{ControlNet, Hint},
};
use crate::{
    error::ModelError,
    image::Planes,
    nets::{
        control::{ControlCall, ControlSetup, ControlSource, dealt},
        residuals::Residuals,
    },
    schedule::scaling::network_input,
    weights::ModelWeights,
};

/// A ControlNet, whole or as changes to the UNet it steers.
#[derive(Debug, Clone)]
pub enum ControlNetwork {
    /// With all of its weights.
    Whole(Arc<ControlNet>),
    /// With the weights of the UNet that it is used with, changed.
    Lora(Arc<ControlLora>),
}

impl ControlNetwork {
    /// How many kinds of images it tells apart; `None` for a network that isn't told.
    pub fn kinds(&self) -> Option<usize> {
        match self {
            Self::Whole(net) => net.config().union.as_ref().map(|union| union.kinds),
            Self::Lora(_) => None,
        }
    }

    fn on(&self, base: Option<&ModelWeights>) -> Result<Arc<ControlNet>, ModelError> {
        match self {
            Self::Whole(net) => Ok(net.clone()),
            Self::Lora(lora) => lora.on(base),
        }
    }
}

impl From<Arc<ControlNet>> for ControlNetwork {
    fn from(net: Arc<ControlNet>) -> Self {
        Self::Whole(net)
    }
}

/// What a ControlNet node puts into a conditioning.
#[derive(Debug)]
pub struct Control {
    net: ControlNetwork,
    /// What kind of image the hint is, for union ControlNets.
    kind: Option<usize>,
    setup: ControlSetup,
    /// The hint at the size of the last call: all steps of a run need the same one.
    fitted: Mutex<Option<Tensor<4>>>,
}

impl Control {
    /// `hint` `[batch, 3, h, w]` in 0..1; `range` in percent of the run, 0 to 1.
    pub fn new(
        net: impl Into<ControlNetwork>,
        hint: Planes,
        strength: f32,
        range: [f64; 2],
        previous: Option<Arc<dyn ControlSource>>,
    ) -> Self {
        let setup = ControlSetup { hint, strength, range, previous };
        Self { net: net.into(), kind: None, setup, fitted: Mutex::default() }
    }

    /// The same, told what kind of image the hint is: its number among those that union ControlNets know.
    #[must_use]
    pub fn with_kind(self, kind: Option<usize>) -> Self {
        Self { kind, ..self }
    }

    /// The image at eight times the latent's size, cut to its proportions, once per batch item.
    fn hint_for(&self, call: &ControlCall<'_>) -> Result<Tensor<4>, ModelError> {
        let [batch, _, height, width] = call.x.dims();
        Ok(dealt(self.fitted(height * 8, width * 8, call.x)?, batch, call.conditions))
    }

    fn fitted(&self, height: usize, width: usize, like: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let mut fitted = self.fitted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hint) = fitted.as_ref().filter(|hint| hint.dims()[2..] == [height, width]) {
            return Ok(hint.clone());
        }
        let hint = self.setup.fitted_hint([height, width], "an image for a ControlNet")?.to_tensor(&like.device());
        *fitted = Some(hint.clone());
        Ok(hint)
    }
}

impl ControlSource for Control {
    fn residuals(&self, call: &ControlCall<'_>) -> Result<Option<Residuals>, ModelError> {
        self.setup.residuals(call, || {
            let timesteps = vec![call.sampling.levels.timestep(call.sigma); call.x.dims()[0]];
            let x = network_input(call.sampling, call.x.clone(), call.sigma);
            let net = self.net.on(call.base)?;
            let hint = Hint { image: self.hint_for(call)?, kind: self.kind };
            let own = net.forward(x, hint, &timesteps, call.context, call.vector)?;
            Ok(own.scaled(self.setup.strength))
        })
    }
}
