//! The only prompt that Lotus takes: SD2's text encoder on an empty text, two tokens of it.

use burn::tensor::{Device, Tensor, TensorData};

use super::Conditioning;

/// Tokens and width.
const SHAPE: [usize; 3] = [1, 2, 1024];
/// As the encoder gives them, in f16, row by row, little-endian.
const VALUES: &[u8] = include_bytes!("../../assets/lotus-prompt.f16");

impl Conditioning {
    /// The prompt of Lotus, `[1, 2, 1024]`.
    pub fn lotus(device: &Device) -> Self {
        let value = |bytes: &[u8]| half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        let values: Vec<f32> = VALUES.chunks_exact(2).map(value).collect();
        Self::new(Tensor::from_data(TensorData::new(values, SHAPE), device), None)
    }
}
