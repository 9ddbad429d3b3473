//! What control networks add to a denoising network's activations.

use burn::tensor::Tensor;

/// What a ControlNet or T2I-Adapter adds to the activations.
#[derive(Debug, Clone, Default)]
pub struct Residuals {
    /// Added to the result of each input block, in order; shorter lists leave the rest alone.
    pub input: Vec<Option<Tensor<4>>>,
    /// Added after the middle block.
    pub middle: Option<Tensor<4>>,
    /// Added to the skips, in order of the input blocks: the last one meets the first output block.
    pub output: Vec<Option<Tensor<4>>>,
}

impl Residuals {
    /// Every residual times `strength`.
    #[must_use]
    pub fn scaled(self, strength: f32) -> Self {
        self.map(|residual| residual * strength)
    }

    /// Every residual changed alike.
    #[must_use]
    pub(super) fn map(self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        let each = |list: Vec<Option<Tensor<4>>>| list.into_iter().map(|residual| residual.map(&change)).collect();
        Self { input: each(self.input), middle: self.middle.map(&change), output: each(self.output) }
    }

    /// The sum with another network's residuals, place by place.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<Tensor<4>>, b: Option<Tensor<4>>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        let each = |a: Vec<Option<Tensor<4>>>, b: Vec<Option<Tensor<4>>>| {
            let (mut a, mut b) = (a.into_iter(), b.into_iter());
            (0..a.len().max(b.len())).map(|_| sum(a.next().flatten(), b.next().flatten())).collect()
        };
        Self {
            input: each(self.input, other.input),
            middle: sum(self.middle, other.middle),
            output: each(self.output, other.output),
        }
    }
}
