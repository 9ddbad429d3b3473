//! What a UNet's output means. Told by marker tensors, and for SD2 by the spread of one bias.

use kiln_memory::TensorSource;

use super::{family::Family, parts::Found};
use crate::{
    error::ModelError,
    nets::unet::UNetConfig,
    schedule::{self, Levels, ModelSampling},
};

/// What a network's output means, and with it the schedule it was trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction {
    /// The noise, on the discrete schedule of SD1.
    Eps,
    /// The velocity, on the same schedule.
    V {
        /// Whether the schedule ends in pure noise.
        zero_terminal_snr: bool,
    },
    /// EDM with sigma_data 0.5, sigmas 0.002 to 80 (Playground 2.5).
    Edm,
    /// The velocity on a continuous schedule.
    ContinuousV {
        /// Smallest sigma.
        sigma_min: f32,
        /// Largest sigma.
        sigma_max: f32,
    },
    /// The velocity, on the schedule of the x4 upscaler.
    VLowRes,
    /// The image itself, from an image that isn't scaled (Lotus).
    Image,
}

impl Prediction {
    /// Reads the prediction type of a UNet found in `source`. Reads at most one small tensor's data.
    ///
    /// # Errors
    /// When that tensor can't be read.
    pub fn of(family: Family, unet: &Found<UNetConfig>, source: &dyn TensorSource) -> Result<Self, ModelError> {
        match family {
            Family::Sd1 | Family::SdxlRefiner | Family::Zero123 => Ok(Self::Eps),
            Family::Sd2 | Family::Unclip => sd2(unet, source),
            Family::Svd | Family::Sv3d => Ok(Self::ContinuousV { sigma_min: 0.002, sigma_max: 700.0 }),
            Family::Upscaler => Ok(Self::VLowRes),
            Family::Lotus => Ok(Self::Image),
            Family::Sdxl => sdxl(source),
        }
    }

    /// The noise schedule that goes with it.
    pub fn sampling(self) -> ModelSampling {
        match self {
            Self::Eps => ModelSampling::eps(),
            Self::V { zero_terminal_snr } => ModelSampling::v_prediction(zero_terminal_snr),
            Self::Edm => ModelSampling::edm(0.002, 80.0, 0.5),
            Self::ContinuousV { sigma_min, sigma_max } => {
                let levels = Levels::continuous_edm(f64::from(sigma_min), f64::from(sigma_max));
                ModelSampling::new(schedule::Prediction::V, levels)
            }
            Self::VLowRes => ModelSampling::new(schedule::Prediction::V, Levels::scaled_linear(0.0001, 0.02)),
            Self::Image => ModelSampling::new(schedule::Prediction::ImgToImg, Levels::discrete()),
        }
    }
}

/// v-prediction models end with a bias that spreads wider than 0.09 (population standard deviation).
fn sd2(unet: &Found<UNetConfig>, source: &dyn TensorSource) -> Result<Prediction, ModelError> {
    const KEY: &str = "output_blocks.11.1.transformer_blocks.0.norm1.bias";
    let place = unet.map.place(KEY).filter(|_| unet.config.in_channels == 4);
    let Some(place) = place else { return Ok(Prediction::Eps) };
    let values = read(source, &place.tensor)?;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Ok(if variance.sqrt() > 0.09 { Prediction::V { zero_terminal_snr: false } } else { Prediction::Eps })
}

fn sdxl(source: &dyn TensorSource) -> Result<Prediction, ModelError> {
    let name = |marker: &str| {
        let places = [marker.to_owned(), format!("model.diffusion_model.{marker}")];
        places.into_iter().find(|name| source.info(name).is_some())
    };
    if name("edm_mean").is_some() && name("edm_std").is_some() {
        return Ok(Prediction::Edm);
    }
    if let Some(max) = name("edm_vpred.sigma_max") {
        let scalar = |tensor: &str| Ok::<_, ModelError>(read(source, tensor)?.first().copied());
        let sigma_max = scalar(&max)?.unwrap_or(80.0);
        let sigma_min = name("edm_vpred.sigma_min").map(|min| scalar(&min)).transpose()?.flatten().unwrap_or(0.002);
        return Ok(Prediction::ContinuousV { sigma_min, sigma_max });
    }
    Ok(match name("v_pred") {
        Some(_) => Prediction::V { zero_terminal_snr: name("ztsnr").is_some() },
        None => Prediction::Eps,
    })
}

fn read(source: &dyn TensorSource, tensor: &str) -> Result<Vec<f32>, ModelError> {
    let elements = source.info(tensor).map_or(0, kiln_memory::TensorInfo::elements);
    let mut values = vec![0.0; elements];
    source.read_f32(tensor, &mut values)?;
    Ok(values)
}
