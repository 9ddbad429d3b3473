//! Latent formats: how a family scales its latents, and what colours they stand for roughly.
//!
//! Facts from ComfyUI `latent_formats.py`.

use burn::tensor::{Tensor, TensorData};

/// How latents of a family look between autoencoder and network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentFormat {
    /// Its name in messages.
    pub name: &'static str,
    /// Taken off on the way into the model, before the factor.
    pub shift: f32,
    /// Factor on the way into the model.
    pub scale: f32,
    /// Mean and deviation per channel, where the format has them: `(x - mean) · scale / std`.
    pub statistics: Option<(&'static [f32], &'static [f32])>,
    /// Red, green and blue per channel, for previews. As many rows as the latent has channels, or as many as it has after
    /// its cells are unpacked.
    pub rgb: &'static [[f32; 3]],
    /// Added to red, green and blue.
    pub rgb_bias: [f32; 3],
    /// Cells along a side of which each latent cell is made: its channels hold so many squared, row by row, channel by
    /// channel (Flux.2: 2).
    pub packed: usize,
    /// Pixels along a side of a latent cell.
    pub cell: usize,
    /// What the tiny autoencoder for these latents is called, if there is one.
    pub tiny: Option<&'static str>,
}

/// Colours of Flux.1's channels.
const FLUX_RGB: [[f32; 3]; 16] = [
    [-0.0346, 0.0244, 0.0681],
    [0.0034, 0.021, 0.0687],
    [0.0275, -0.0668, -0.0433],
    [-0.0174, 0.016, 0.0617],
    [0.0859, 0.0721, 0.0329],
    [0.0004, 0.0383, 0.0115],
    [0.0405, 0.0861, 0.0915],
    [-0.0236, -0.0185, -0.0259],
    [-0.0245, 0.025, 0.118],
    [0.1008, 0.0755, -0.0421],
    [-0.0515, 0.0201, 0.0011],
    [0.0428, -0.0012, -0.0036],
    [0.0817, 0.0765, 0.0749],
    [-0.1264, -0.0522, -0.1103],
    [-0.028, -0.0881, -0.0499],
    [-0.1262, -0.0982, -0.0778],
];

/// Colours of Stable Diffusion 3's channels.
const SD3_RGB: [[f32; 3]; 16] = [
    [-0.0922, -0.0175, 0.0749],
    [0.0311, 0.0633, 0.0954],
    [0.1994, 0.0927, 0.0458],
    [0.0856, 0.0339, 0.0902],
    [0.0587, 0.0272, -0.0496],
    [-0.0006, 0.1104, 0.0309],
    [0.0978, 0.0306, 0.0427],
    [-0.0042, 0.1038, 0.1358],
    [-0.0194, 0.002, 0.0669],
    [-0.0488, 0.013, -0.0268],
    [0.0922, 0.0988, 0.0951],
    [-0.0278, 0.0524, -0.0542],
    [0.0332, 0.0456, 0.0895],
    [-0.0069, -0.003, -0.081],
    [-0.0596, -0.0465, -0.0293],
    [-0.1448, -0.1463, -0.1189],
];

/// Colours of Wan 2.1's channels.
const WAN_RGB: [[f32; 3]; 16] = [
    [-0.1299, -0.1692, 0.2932],
    [0.0671, 0.0406, 0.0442],
    [0.3568, 0.2548, 0.1747],
    [0.0372, 0.2344, 0.142],
    [0.0313, 0.0189, -0.0328],
    [0.0296, -0.0956, -0.0665],
    [-0.3477, -0.4059, -0.2925],
    [0.0166, 0.1902, 0.1975],
    [-0.0412, 0.0267, -0.1364],
    [-0.1293, 0.074, 0.1636],
    [0.068, 0.3019, 0.1128],
    [0.0032, 0.0581, 0.0639],
    [-0.1251, 0.0927, 0.1699],
    [0.006, -0.0633, 0.0005],
    [0.3477, 0.2275, 0.295],
    [0.1984, 0.0913, 0.1861],
];

/// Means of Wan 2.1's channels.
const WAN_MEAN: [f32; 16] = [
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
    -0.9497, 0.2503, -0.2921,
];

/// Deviations of Wan 2.1's channels.
const WAN_STD: [f32; 16] = [
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
    2.8251, 1.916,
];

/// Colours of Flux.2's channels, unpacked.
const FLUX2_RGB: [[f32; 3]; 32] = [
    [0.0058, 0.0113, 0.0073],
    [0.0495, 0.0443, 0.0836],
    [-0.0099, 0.0096, 0.0644],
    [0.2144, 0.3009, 0.3652],
    [0.0166, -0.0039, -0.0054],
    [0.0157, 0.0103, -0.016],
    [-0.0398, 0.0902, -0.0235],
    [-0.0052, 0.0095, 0.0109],
    [-0.3527, -0.2712, -0.1666],
    [-0.0301, -0.0356, -0.018],
    [-0.0107, 0.0078, 0.0013],
    [0.0746, 0.009, -0.0941],
    [0.0156, 0.0169, 0.007],
    [-0.0034, -0.004, -0.0114],
    [0.0032, 0.0181, 0.008],
    [-0.0939, -0.0008, 0.0186],
    [0.0018, 0.0043, 0.0104],
    [0.0284, 0.0056, -0.0127],
    [-0.0024, -0.0022, -0.003],
    [0.1207, -0.0026, 0.0065],
    [0.0128, 0.0101, 0.0142],
    [0.0137, -0.0072, -0.0007],
    [0.0095, 0.0092, -0.0059],
    [0.0, -0.0077, -0.0049],
    [-0.0465, -0.0204, -0.0312],
    [0.0095, 0.0012, -0.0066],
    [0.029, -0.0034, 0.0025],
    [0.022, 0.0169, -0.0048],
    [-0.0332, -0.0457, -0.0468],
    [-0.0085, 0.0389, 0.0609],
    [-0.0076, 0.0003, -0.0043],
    [-0.0111, -0.046, -0.0614],
];

impl LatentFormat {
    /// SD1 and SD2.
    pub const SD1: Self = Self {
        name: "SD1",
        shift: 0.0,
        scale: 0.18215,
        statistics: None,
        packed: 1,
        cell: 8,
        tiny: Some("taesd"),
        rgb: &[
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
        tiny: Some("taesdxl"),
        scale: 0.13025,
        rgb: &[
            [0.3651, 0.4232, 0.4341],
            [-0.2533, -0.0042, 0.1068],
            [0.1076, 0.1111, -0.0362],
            [-0.3165, -0.2492, -0.2188],
        ],
        rgb_bias: [0.1084, -0.0175, -0.0011],
        ..Self::SD1
    };

    /// Playground 2.5.
    pub const PLAYGROUND: Self = Self {
        name: "Playground 2.5",
        tiny: Some("taesdxl"),
        scale: 0.5,
        statistics: Some((&[-1.6574, 1.886, -1.383, 2.5155], &[8.4927, 5.9022, 6.5498, 5.2299])),
        rgb: &[
            [0.3920, 0.4054, 0.4549],
            [-0.2634, -0.0196, 0.0653],
            [0.0568, 0.1687, -0.0755],
            [-0.3112, -0.2359, -0.2076],
        ],
        rgb_bias: [0.0; 3],
        ..Self::SD1
    };

    /// Stable Diffusion's x4 upscaler.
    pub const SD_X4: Self = Self {
        name: "SD x4",
        tiny: Some("taesdxl"),
        scale: 0.08333,
        rgb: &[
            [-0.2340, -0.3863, -0.3257],
            [0.0994, 0.0885, -0.0908],
            [-0.2833, -0.2349, -0.3741],
            [0.2523, -0.0055, -0.1651],
        ],
        rgb_bias: [0.0; 3],
        ..Self::SD1
    };

    /// Flux.1 and what shares its autoencoder (Z-Image).
    pub const FLUX: Self = Self {
        name: "Flux",
        shift: 0.1159,
        scale: 0.3611,
        rgb: &FLUX_RGB,
        rgb_bias: [-0.0329, -0.0718, -0.0851],
        tiny: Some("taef1"),
        ..Self::SD1
    };

    /// Stable Diffusion 3 and 3.5.
    pub const SD3: Self = Self {
        name: "SD3",
        shift: 0.0609,
        scale: 1.5305,
        rgb: &SD3_RGB,
        rgb_bias: [0.2394, 0.2135, 0.1925],
        tiny: Some("taesd3"),
        ..Self::SD1
    };

    /// Wan 2.1, and Qwen-Image with latents of one frame.
    pub const WAN: Self = Self {
        name: "Wan 2.1",
        scale: 1.0,
        statistics: Some((&WAN_MEAN, &WAN_STD)),
        rgb: &WAN_RGB,
        rgb_bias: [-0.1835, -0.0868, -0.336],
        tiny: None,
        ..Self::SD1
    };

    /// Flux.2: nothing is scaled, and each cell is made of 2x2.
    pub const FLUX2: Self = Self {
        name: "Flux.2",
        scale: 1.0,
        rgb: &FLUX2_RGB,
        rgb_bias: [-0.0329, -0.0718, -0.0851],
        packed: 2,
        cell: 16,
        tiny: None,
        ..Self::SD1
    };

    /// Channels of a latent.
    pub const fn channels(&self) -> usize {
        self.rgb.len() * self.packed * self.packed
    }

    /// Into the model's space.
    ///
    /// # Shapes
    /// `[batch, channels, h, w]`, or with frames folded into the channels `[batch, channels · frames, h, w]`; kept.
    pub fn process_in(&self, latent: Tensor<4>) -> Tensor<4> {
        match self.statistics {
            None if self.shift == 0.0 => latent * self.scale,
            None => (latent - self.shift) * self.scale,
            Some((mean, std)) => {
                let (mean, std) = (per_channel(&latent, mean), per_channel(&latent, std));
                (latent - mean) * self.scale / std
            }
        }
    }

    /// Back out of the model's space.
    ///
    /// # Shapes
    /// As [`process_in`](Self::process_in).
    pub fn process_out(&self, latent: Tensor<4>) -> Tensor<4> {
        match self.statistics {
            None if self.shift == 0.0 => latent / self.scale,
            None => latent / self.scale + self.shift,
            Some((mean, std)) => {
                let (mean, std) = (per_channel(&latent, mean), per_channel(&latent, std));
                latent * std / self.scale + mean
            }
        }
    }

    /// The colours of one cell's channels (after unpacking) in the model's space, 0..1 each.
    pub fn preview(&self, cell: impl Iterator<Item = f32>) -> [f32; 3] {
        let mut rgb = self.rgb_bias;
        for (value, factors) in cell.zip(self.rgb) {
            rgb.iter_mut().zip(factors).for_each(|(colour, factor)| *colour += value * factor);
        }
        rgb.map(|colour| f32::midpoint(colour, 1.0).clamp(0.0, 1.0))
    }
}

/// One value per channel beside a latent; frames that are folded into a channel share its value.
fn per_channel(like: &Tensor<4>, values: &[f32]) -> Tensor<4> {
    let channels = like.dims()[1];
    let frames = (channels / values.len().max(1)).max(1);
    let values: Vec<f32> = values.iter().flat_map(|value| std::iter::repeat_n(*value, frames)).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [1, count, 1, 1]), &like.device())
}
