//! What a UNet's output means. Told by marker tensors, and for SD2 by the spread of one bias.

use kiln_memory::TensorSource;

use super::config::UNetConfig;
use crate::{
    error::ModelError,
    nets::family::{FoundNetwork, Prediction},
};

/// v-prediction models end with a bias that spreads wider than 0.09 (population standard deviation).
pub(super) fn sd2(network: &FoundNetwork, source: &dyn TensorSource) -> Result<Prediction, ModelError> {
    const KEY: &str = "output_blocks.11.1.transformer_blocks.0.norm1.bias";
    let plain = network.config.as_a::<UNetConfig>().is_some_and(|unet| unet.in_channels == 4);
    let place = network.map.place(KEY).filter(|_| plain);
    let Some(place) = place else { return Ok(Prediction::Eps) };
    let values = read(source, &place.tensor)?;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Ok(if variance.sqrt() > 0.09 { Prediction::V { zero_terminal_snr: false } } else { Prediction::Eps })
}

pub(super) fn sdxl(source: &dyn TensorSource) -> Result<Prediction, ModelError> {
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
