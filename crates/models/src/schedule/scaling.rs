//! What prediction types mean in tensors: input scaling, denoised latent, noise at the start and at the end.
//!
//! Source: ComfyUI `comfy/model_sampling.py`. Scalars are f32.

use burn::tensor::Tensor;

use super::{model_sampling::ModelSampling, prediction::Prediction};

/// The latent as the network wants it.
pub(crate) fn network_input(sampling: &ModelSampling, x: Tensor<4>, sigma: f32) -> Tensor<4> {
    match sampling.prediction {
        Prediction::Flow | Prediction::ImgToImg => x,
        _ => x.div_scalar(spread(sampling, sigma).sqrt()),
    }
}

/// The denoised latent that a network's output stands for, at a noisy latent `x`.
pub fn denoised(sampling: &ModelSampling, x: Tensor<4>, output: Tensor<4>, sigma: f32) -> Tensor<4> {
    let data = sampling.sigma_data as f32;
    let total = spread(sampling, sigma);
    match sampling.prediction {
        Prediction::Eps | Prediction::Flow => x - output * sigma,
        Prediction::V => x * (data * data / total) - output * (sigma * data / total.sqrt()),
        Prediction::Edm => x * (data * data / total) + output * (sigma * data / total.sqrt()),
        Prediction::X0 | Prediction::ImgToImg => output,
        Prediction::Lcm => {
            let scaled = sampling.levels.timestep(sigma) * 10.0;
            let (c_skip, c_out) = (0.25 / (scaled * scaled + 0.25), scaled / (scaled * scaled + 0.25).sqrt());
            (x.clone() - output * sigma) * c_out + x * c_skip
        }
    }
}

/// The latent a run starts from: `latent` with `noise` at a level. `maximal`: pure noise is wanted.
pub fn noisy(sampling: &ModelSampling, noise: Tensor<4>, latent: Tensor<4>, sigma: f32, maximal: bool) -> Tensor<4> {
    match sampling.prediction {
        Prediction::Flow => noise * sigma + latent * (1.0 - sigma),
        _ if maximal => noise * (1.0 + sigma * sigma).sqrt() + latent,
        _ => noise * sigma + latent,
    }
}

/// What a run that ends at a level hands on.
pub(crate) fn without_noise(sampling: &ModelSampling, latent: Tensor<4>, sigma: f32) -> Tensor<4> {
    match sampling.prediction {
        Prediction::Flow if sigma != 0.0 => latent.div_scalar(1.0 - sigma),
        _ => latent,
    }
}

fn spread(sampling: &ModelSampling, sigma: f32) -> f32 {
    sigma * sigma + (sampling.sigma_data * sampling.sigma_data) as f32
}
