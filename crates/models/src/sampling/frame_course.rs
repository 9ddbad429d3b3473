//! How the scale of guidance runs from frame to frame of a video.

use burn::tensor::{Tensor, TensorData};

use crate::schedule::linspace;

/// The course of a scale over the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameCourse {
    /// From the least in the first frame to the most in the last.
    Linear,
    /// From the least to the most in the middle, and back.
    Triangle,
}

impl FrameCourse {
    /// The scale of each frame.
    pub fn scales(self, least: f32, most: f32, frames: usize) -> Vec<f32> {
        match self {
            Self::Linear => linspace(least, most, frames),
            Self::Triangle => {
                let height = |v: f32| 2.0 * (v - (v + 0.5).floor()).abs();
                linspace(0.0, 1.0, frames).into_iter().map(|v| height(v) * (most - least) + least).collect()
            }
        }
    }

    /// Predictions `[frames, C, h, w]` at the noisy latents `x`, mixed in what they take away from those.
    pub(super) fn mixed(
        self,
        x: &Tensor<4>,
        uncond: &Tensor<4>,
        cond: &Tensor<4>,
        [least, most]: [f32; 2],
    ) -> Tensor<4> {
        let frames = x.dims()[0];
        let scales = TensorData::new(self.scales(least, most, frames), [frames, 1, 1, 1]);
        let scales = Tensor::<4>::from_data(scales, &x.device());
        let (cond, uncond) = (x.clone() - cond.clone(), x.clone() - uncond.clone());
        x.clone() - (uncond.clone() + scales * (cond - uncond))
    }
}
