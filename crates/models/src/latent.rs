//! Latent formats: how a family scales its latents, and what colours they stand for roughly.
//!
//! Facts from ComfyUI `latent_formats.py`.

use burn::tensor::{Tensor, TensorData};

/// How latents of a family look between autoencoder and UNet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentFormat {
    /// Its name in messages.
    pub name: &'static str,
    /// Factor on the way into the model.
    pub scale: f32,
    /// Mean and deviation per channel, where the format has them: `(x - mean) · scale / std`.
    pub statistics: Option<([f32; 4], [f32; 4])>,
    /// Red, green and blue per channel, for previews.
    pub rgb: [[f32; 3]; 4],
    /// Added to red, green and blue.
    pub rgb_bias: [f32; 3],
}

impl LatentFormat {
    /// SD1 and SD2.
    pub const SD1: Self = Self {
        name: "SD1",
        scale: 0.18215,
        statistics: None,
        rgb: [
            [0.3512, 0.2297, 0.3227],
            [0.3250, 0.4974, 0.2350],
            [-0.2829, 0.1762, 0.2721],
            [-0.2120, -0.2616, -0.7177],
        ],
        rgb_bias: [0.0; 3],
    };

    /// SDXL base and refiner.
    pub const SDXL: Self = Self {
        name: "SDXL",
        scale: 0.13025,
        statistics: None,
        rgb: [
            [0.3651, 0.4232, 0.4341],
            [-0.2533, -0.0042, 0.1068],
            [0.1076, 0.1111, -0.0362],
            [-0.3165, -0.2492, -0.2188],
        ],
        rgb_bias: [0.1084, -0.0175, -0.0011],
    };

    /// Playground 2.5.
    pub const PLAYGROUND: Self = Self {
        name: "Playground 2.5",
        scale: 0.5,
        statistics: Some(([-1.6574, 1.886, -1.383, 2.5155], [8.4927, 5.9022, 6.5498, 5.2299])),
        rgb: [
            [0.3920, 0.4054, 0.4549],
            [-0.2634, -0.0196, 0.0653],
            [0.0568, 0.1687, -0.0755],
            [-0.3112, -0.2359, -0.2076],
        ],
        rgb_bias: [0.0; 3],
    };

    /// Stable Diffusion's x4 upscaler.
    pub const SD_X4: Self = Self {
        name: "SD x4",
        scale: 0.08333,
        statistics: None,
        rgb: [
            [-0.2340, -0.3863, -0.3257],
            [0.0994, 0.0885, -0.0908],
            [-0.2833, -0.2349, -0.3741],
            [0.2523, -0.0055, -0.1651],
        ],
        rgb_bias: [0.0; 3],
    };

    /// Into the model's space.
    ///
    /// # Shapes
    /// `[batch, 4, h, w]`, kept.
    pub fn process_in(&self, latent: Tensor<4>) -> Tensor<4> {
        match self.statistics {
            None => latent * self.scale,
            Some((mean, std)) => {
                let (mean, std) = (per_channel(&latent, mean), per_channel(&latent, std));
                (latent - mean) * self.scale / std
            }
        }
    }

    /// Back out of the model's space.
    ///
    /// # Shapes
    /// `[batch, 4, h, w]`, kept.
    pub fn process_out(&self, latent: Tensor<4>) -> Tensor<4> {
        match self.statistics {
            None => latent / self.scale,
            Some((mean, std)) => {
                let (mean, std) = (per_channel(&latent, mean), per_channel(&latent, std));
                latent * std / self.scale + mean
            }
        }
    }

    /// What the tiny autoencoder for these latents is called: `taesd`, or `taesdxl` for SDXL's.
    pub fn tiny_name(&self) -> &'static str {
        if self.name == Self::SD1.name { "taesd" } else { "taesdxl" }
    }

    /// The colours of one cell of four channels in the model's space, 0..1 each.
    pub fn preview(&self, cell: [f32; 4]) -> [f32; 3] {
        let mut rgb = self.rgb_bias;
        for (value, factors) in cell.iter().zip(&self.rgb) {
            rgb.iter_mut().zip(factors).for_each(|(colour, factor)| *colour += value * factor);
        }
        rgb.map(|colour| f32::midpoint(colour, 1.0).clamp(0.0, 1.0))
    }
}

fn per_channel(like: &Tensor<4>, values: [f32; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, 4, 1, 1]), &like.device())
}
