//! The denoiser without a network that the sampling references were made with (the folder's README has its formula).

use std::cell::RefCell;

use burn::tensor::{Tensor, TensorData};
use kiln_models::{
    sampler::SamplingError,
    sampling::{Inputs, Predictor},
};

use super::tensors::{host, tensor};
use crate::case::{CaseResult, Folder, Trouble};

/// Spread of its data.
const S0: f32 = 0.8;

/// The analytic denoiser; remembers at which levels and for how many latents it was asked.
#[derive(Debug)]
pub struct Analytic {
    channels: usize,
    calls: RefCell<Vec<(f32, usize)>>,
}

impl Analytic {
    /// For latents of so many channels.
    pub fn new(channels: usize) -> Self {
        Self { channels, calls: RefCell::default() }
    }

    pub fn calls(&self) -> Vec<(f32, usize)> {
        self.calls.borrow().clone()
    }
}

impl Predictor for Analytic {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        let read = |error: burn::tensor::TensorReadError| SamplingError::Read(error.to_string());
        let (shape, device) = (x.dims(), x.device());
        self.calls.borrow_mut().push((sigma, shape[0]));
        let [items, tokens, width] = inputs.context.dims();
        let first = inputs.context.slice([0..items, 0..1.min(tokens), 0..1.min(width)]);
        let c = first.try_to_vec_as::<f32>().map_err(read)?;
        let x = x.try_to_vec_as::<f32>().map_err(read)?;
        let item = x.len() / shape[0];
        let values = x.chunks_exact(item).zip(c).flat_map(|(x, c)| one(x, sigma, c)).collect::<Vec<f32>>();
        Ok(Tensor::from_data(TensorData::new(values, shape), &device))
    }

    fn channels(&self) -> usize {
        self.channels
    }
}

fn one(x: &[f32], sigma: f32, c: f32) -> Vec<f32> {
    let (data, noise) = (S0 * S0, sigma * sigma);
    let root = (data + noise).sqrt();
    let value = |(i, x): (usize, &f32)| {
        let wave = f64::from(0.37 * i as f32 + 0.5).sin() as f32;
        let mu = c * wave + 0.25 * f64::from(x / root).tanh() as f32;
        (data * x + noise * mu) / (data + noise)
    };
    x.iter().enumerate().map(value).collect()
}

/// `fake_denoise`: the formula itself.
pub fn checks(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    let x = tensors.floats("x")?;
    let shape = tensors.shape("x")?;
    let items = shape.first().copied().unwrap_or(0);
    let mut results = Vec::new();
    for name in tensors.names() {
        let Some((sigma, c)) = name.strip_prefix("D.sigma").and_then(|rest| rest.split_once(".c")) else { continue };
        let (sigma, c) = (sigma.parse()?, c.parse::<f32>()?);
        let inputs = Inputs::new(tensor(vec![c; items], &[items, 1, 1])?);
        let found = host(&Analytic::new(4).denoised(tensor(x.clone(), &shape)?, sigma, inputs)?)?;
        results.push(CaseResult::compare(name, &found, &tensors.floats(name)?, 1e-6));
    }
    Ok(results)
}
