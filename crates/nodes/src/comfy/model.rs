//! Nodes that change how a model is sampled: its noise schedule, what its output means, its guidance.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::schedule::{Levels, ModelSampling, Prediction};

use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::Model;

crate::comfy::classes::classes! {
    ModelSamplingDiscrete, ModelSamplingContinuousEDM, ModelSamplingContinuousV, ModelSamplingSD3,
    ModelSamplingAuraFlow, ModelSamplingFlux, RescaleCFG, ModelComputeDtype,
}

fn prediction(name: &str) -> Result<Prediction, NodeError> {
    Prediction::from_name(name)
        .ok_or_else(|| NodeError::new(format!("`sampling` is `{name}`; this model can be eps, v_prediction, lcm, x0")))
}

/// Says what a model of the discrete schedule predicts.
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct ModelSamplingDiscrete {
    /// The model.
    model: Model,
    /// What its output means.
    #[input(combo = ["eps", "v_prediction", "lcm", "x0", "img_to_img"])]
    sampling: String,
    /// Whether its schedule ends in pure noise (zero terminal SNR).
    #[input(default = false)]
    zsnr: bool,
}

impl Execute for ModelSamplingDiscrete {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let sampling = ModelSampling::discrete(prediction(&self.sampling)?, self.zsnr);
        Ok(self.model.with_sampling(sampling))
    }
}

/// Gives a model the continuous schedule of EDM.
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct ModelSamplingContinuousEDM {
    /// The model.
    model: Model,
    /// What its output means.
    #[input(combo = ["v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow"])]
    sampling: String,
    /// The highest noise level.
    #[input(default = 120.0, min = 0.0, max = 1000.0, step = 0.001, round = false)]
    sigma_max: f64,
    /// The lowest noise level.
    #[input(default = 0.002, min = 0.0, max = 1000.0, step = 0.001, round = false)]
    sigma_min: f64,
}

impl Execute for ModelSamplingContinuousEDM {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        check_range(self.sigma_min, self.sigma_max)?;
        let sampling = match self.sampling.as_str() {
            "edm" | "edm_playground_v2.5" => ModelSampling::edm(self.sigma_min, self.sigma_max, 0.5),
            "cosmos_rflow" => return Err(NodeError::new("`sampling` is `cosmos_rflow`, which is not supported")),
            name => ModelSampling::new(prediction(name)?, Levels::continuous_edm(self.sigma_min, self.sigma_max)),
        };
        let mut model = self.model.with_sampling(sampling);
        if self.sampling == "edm_playground_v2.5" {
            let network = (*model.network).clone();
            let latent = kiln_models::LatentFormat::PLAYGROUND;
            model.network = std::sync::Arc::new(kiln_models::DiffusionModel { latent, ..network });
        }
        Ok(model)
    }
}

/// Gives a model the continuous schedule of v-prediction.
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct ModelSamplingContinuousV {
    /// The model.
    model: Model,
    /// What its output means.
    #[input(combo = ["v_prediction"])]
    sampling: String,
    /// The highest noise level.
    #[input(default = 500.0, min = 0.0, max = 1000.0, step = 0.001, round = false)]
    sigma_max: f64,
    /// The lowest noise level.
    #[input(default = 0.03, min = 0.0, max = 1000.0, step = 0.001, round = false)]
    sigma_min: f64,
}

impl Execute for ModelSamplingContinuousV {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        check_range(self.sigma_min, self.sigma_max)?;
        let levels = Levels::continuous_v(self.sigma_min, self.sigma_max);
        Ok(self.model.with_sampling(ModelSampling::new(prediction(&self.sampling)?, levels)))
    }
}

fn check_range(min: f64, max: f64) -> Result<(), NodeError> {
    if min > 0.0 && min < max {
        return Ok(());
    }
    Err(NodeError::new(format!("`sigma_min` {min} must be above 0 and below `sigma_max` {max}")))
}

/// Gives a model the schedule of flow matching, shifted towards noise.
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct ModelSamplingSD3 {
    /// The model.
    model: Model,
    /// How far it is shifted.
    #[input(default = 3.0, min = 0.0, max = 100.0, step = 0.01)]
    shift: f64,
}

impl Execute for ModelSamplingSD3 {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(self.model.with_sampling(ModelSampling::flow(self.shift, 1000.0)))
    }
}

/// Gives a model the schedule of flow matching with time steps from 0 to 1.
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct ModelSamplingAuraFlow {
    /// The model.
    model: Model,
    /// How far it is shifted.
    #[input(default = 1.73, min = 0.0, max = 100.0, step = 0.01)]
    shift: f64,
}

impl Execute for ModelSamplingAuraFlow {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(self.model.with_sampling(ModelSampling::flow(self.shift, 1.0)))
    }
}

/// Gives a model Flux's schedule, shifted the more the larger the image is.
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct ModelSamplingFlux {
    /// The model.
    model: Model,
    /// The shift for images of 1024 x 1024.
    #[input(default = 1.15, min = 0.0, max = 100.0, step = 0.01)]
    max_shift: f64,
    /// The shift for images of 256 x 256.
    #[input(default = 0.5, min = 0.0, max = 100.0, step = 0.01)]
    base_shift: f64,
    /// Width of the image.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the image.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 8)]
    height: usize,
}

impl Execute for ModelSamplingFlux {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        // Linear in the number of 16 x 16 pixel patches, between 256 and 4096 of them.
        let slope = (self.max_shift - self.base_shift) / (4096.0 - 256.0);
        let patches = (self.width * self.height) as f64 / 256.0;
        let mu = slope * patches + (self.base_shift - slope * 256.0);
        Ok(self.model.with_sampling(ModelSampling::flux(mu)))
    }
}

/// Keeps high guidance from burning images out (Lin et al. 2023).
#[derive(Node)]
#[node(category = "advanced/model", module = "comfy_extras.nodes_model_advanced")]
pub struct RescaleCFG {
    /// The model.
    model: Model,
    /// How much of the rescaled prediction is taken.
    #[input(default = 0.7, min = 0.0, max = 1.0, step = 0.01)]
    multiplier: f64,
}

impl Execute for RescaleCFG {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        // The last node that says how predictions are mixed has its way.
        Ok(Model { rescale_cfg: Some(self.multiplier), perp_negative: None, frame_scale: None, ..self.model })
    }
}

/// Says how exactly a model is to be computed. Kiln computes in f32, whatever is said.
#[derive(Node)]
#[node(
    display_name = "ModelComputeDtype",
    category = "advanced/debug/model",
    module = "comfy_extras.nodes_model_advanced"
)]
pub struct ModelComputeDtype {
    /// The model.
    model: Model,
    /// The numbers to compute with; fewer bits than those of fp32 are a wish that is warned of.
    #[input(combo = ["default", "fp32", "fp16", "bf16"])]
    dtype: String,
}

impl Execute for ModelComputeDtype {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        if ["fp16", "bf16"].contains(&self.dtype.as_str()) {
            tracing::warn!(dtype = self.dtype, "this model is computed in f32 all the same, which is more exact");
        }
        Ok(self.model)
    }
}
