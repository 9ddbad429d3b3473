//! A family's way of sampling: its noise levels and what its network predicts.

use super::prediction::Prediction;
use super::table::Levels;

/// Levels, prediction type, and the spread of the data that the prediction type assumes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSampling {
    /// What the network's output means.
    pub prediction: Prediction,
    /// The noise levels.
    pub levels: Levels,
    /// Standard deviation of the data in the input scaling of EPS, V and EDM (1 but for EDM models).
    pub sigma_data: f64,
}

impl ModelSampling {
    /// A prediction type on a table, for data of spread 1.
    pub fn new(prediction: Prediction, levels: Levels) -> Self {
        Self { prediction, levels, sigma_data: 1.0 }
    }

    /// SD1 and SDXL: noise prediction on 1000 levels.
    pub fn eps() -> Self {
        Self::new(Prediction::Eps, Levels::discrete())
    }

    /// SD2 at 768: velocity prediction on 1000 levels, `zsnr` with zero terminal SNR.
    pub fn v_prediction(zsnr: bool) -> Self {
        let levels = if zsnr { Levels::zero_terminal_snr() } else { Levels::discrete() };
        Self::new(Prediction::V, levels)
    }

    /// SD3 and other flow models whose time steps run to `multiplier`.
    pub fn flow(shift: f64, multiplier: f64) -> Self {
        Self::new(Prediction::Flow, Levels::flow(shift, multiplier))
    }

    /// Flux.
    pub fn flux(mu: f64) -> Self {
        Self::new(Prediction::Flow, Levels::flux(mu))
    }

    /// Playground 2.5: EDM prediction with data of spread `sigma_data`.
    pub fn edm(min: f64, max: f64, sigma_data: f64) -> Self {
        Self { prediction: Prediction::Edm, levels: Levels::continuous_edm(min, max), sigma_data }
    }

    /// The ModelSamplingDiscrete node.
    pub fn discrete(prediction: Prediction, zsnr: bool) -> Self {
        let levels = match (prediction, zsnr) {
            (Prediction::Lcm, zsnr) => Levels::distilled(zsnr),
            (_, true) => Levels::zero_terminal_snr(),
            (_, false) => Levels::discrete(),
        };
        Self::new(prediction, levels)
    }

    /// Whether a run that starts at `sigma` starts from pure noise, which is then scaled a little differently: within
    /// 1e-5 (relative) of the largest level, or above it.
    pub fn starts_maximal(&self, sigma: f32) -> bool {
        let (max, sigma) = (f64::from(self.levels.sigma_max()), f64::from(sigma));
        (max - sigma).abs() <= 1e-5 * max.abs().max(sigma.abs()) || sigma > max
    }

    /// Half the logarithm of the signal-to-noise ratio at a level, in f32.
    pub fn half_log_snr(&self, sigma: f32) -> f32 {
        // On flow models torch.logit of the level, negated.
        let odds = if self.prediction.is_flow() { sigma / (1.0 - sigma) } else { sigma };
        -(f64::from(odds).ln() as f32)
    }

    /// The level with a given half log-SNR, in f32.
    pub fn sigma_of_half_log_snr(&self, half_log_snr: f32) -> f32 {
        // On flow models torch.sigmoid, every operation of which rounds to f32.
        if self.prediction.is_flow() {
            return 1.0 / (1.0 + f64::from(half_log_snr).exp() as f32);
        }
        f64::from(-half_log_snr).exp() as f32
    }
}
