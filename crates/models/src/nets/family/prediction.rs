//! What a network's output means, and with it the schedule it was trained on.

use crate::schedule::{self, Levels, ModelSampling};

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
    /// The straight direction from data to noise, on 1000 shifted levels (SD3 and other flow models).
    Flow {
        /// How far levels are shifted towards noise; 1 for not at all.
        shift: f64,
        /// What a level is multiplied with to become the network's time step.
        multiplier: f64,
    },
    /// The same, on Flux's 10000 levels.
    Flux {
        /// The exponent of the shift.
        mu: f64,
    },
}

impl Prediction {
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
            Self::Flow { shift, multiplier } => ModelSampling::flow(shift, multiplier),
            Self::Flux { mu } => ModelSampling::flux(mu),
        }
    }
}
