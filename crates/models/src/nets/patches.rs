//! Latents as rows of tokens: squares of cells, one token each, and back.
//!
//! Knows tensors only. What a token's position means is its network's.

use burn::tensor::Tensor;

/// Which of a square's numbers come next to each other in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `channel, row, column`: the channel changes slowest (Flux).
    ChannelSlowest,
    /// `row, column, channel`: the channel changes fastest (Lumina 2, Z-Image).
    ChannelFastest,
}

/// Squares of `side` cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patches {
    pub(crate) side: usize,
    pub(crate) order: Order,
}

impl Patches {
    /// Tokens per column and per row of a latent of `[height, width]` cells.
    pub(crate) fn grid(self, [height, width]: [usize; 2]) -> [usize; 2] {
        [height.div_ceil(self.side), width.div_ceil(self.side)]
    }

    /// Row by row. Sides that the square does not divide are continued by the latent's own first rows and columns.
    ///
    /// # Shapes
    /// `[batch, channels, h, w]` to `[batch, tokens, channels · side²]`.
    pub(crate) fn tokens(self, x: Tensor<4>) -> Tensor<3> {
        let x = continued(continued(x, 2, self.side), 3, self.side);
        let ([batch, channels, height, width], side) = (x.dims(), self.side);
        let (rows, columns) = (height / side, width / side);
        let axes = match self.order {
            Order::ChannelSlowest => [0, 2, 4, 1, 3, 5],
            Order::ChannelFastest => [0, 2, 4, 3, 5, 1],
        };
        let squares = x.reshape([batch, channels, rows, side, columns, side]).permute(axes);
        squares.reshape([batch, rows * columns, channels * side * side])
    }

    /// The latent that [`Patches::tokens`] made tokens of, cut to `[height, width]` cells.
    pub(crate) fn latent(self, tokens: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
        let ([batch, _, features], side) = (tokens.dims(), self.side);
        let ([rows, columns], channels) = (self.grid([height, width]), features / (side * side));
        let x = match self.order {
            Order::ChannelSlowest => {
                tokens.reshape([batch, rows, columns, channels, side, side]).permute([0, 3, 1, 4, 2, 5])
            }
            Order::ChannelFastest => {
                tokens.reshape([batch, rows, columns, side, side, channels]).permute([0, 5, 1, 3, 2, 4])
            }
        };
        let x = x.reshape([batch, channels, rows * side, columns * side]);
        x.narrow(2, 0, height).narrow(3, 0, width)
    }
}

/// `x` made as long along `axis` as a multiple of `side`, by its own beginning.
fn continued(x: Tensor<4>, axis: usize, side: usize) -> Tensor<4> {
    let length = x.dims()[axis];
    let mut parts = vec![x.clone()];
    let mut missing = length.next_multiple_of(side) - length;
    while missing > 0 {
        let some = missing.min(length);
        parts.push(x.clone().narrow(axis, 0, some));
        missing -= some;
    }
    if parts.len() == 1 { x } else { Tensor::cat(parts, axis) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn tokens_come_back_as_the_latent_whatever_its_sides() {
        for (side, order) in [(1, Order::ChannelSlowest), (2, Order::ChannelSlowest), (2, Order::ChannelFastest)] {
            for [height, width] in [[4, 6], [3, 5], [1, 1]] {
                let values: Vec<f32> = (0..2 * 3 * height * width).map(|i| i as f32).collect();
                let x = Tensor::<4>::from_data(TensorData::new(values, [2, 3, height, width]), &Device::flex());
                let patches = Patches { side, order };
                let tokens = patches.tokens(x.clone());
                let [rows, columns] = patches.grid([height, width]);
                assert_eq!(tokens.dims(), [2, rows * columns, 3 * side * side]);
                assert_eq!(patches.latent(tokens, [height, width]).into_data(), x.into_data());
            }
        }
    }
}
