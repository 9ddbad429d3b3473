//! HyperTile: self-attention of large maps within tiles.
//!
//! Source: tfernd's HyperTile, as ComfyUI's node of that name has it, with its quirks: the queries' tiles are laid
//! out with the map's sides exchanged, and keys are cut into as many runs of consecutive tokens.

use burn::tensor::Tensor;

/// How large tiles are and on which levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HyperTile {
    /// Side of a tile in latent cells, at least.
    pub tile: usize,
    /// How many tile sizes are drawn from at random.
    pub choices: usize,
    /// The deepest level that is tiled, 0 for the first.
    pub depth: u32,
    /// Whether tiles grow with the level.
    pub scaled: bool,
}

/// How tokens are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Tiles down and across.
    tiles: [usize; 2],
    /// Rows and columns of each.
    sides: [usize; 2],
}

impl HyperTile {
    /// Whether more than one choice is possible: the reference leaves out the last one.
    pub(super) fn needs_rng(&self) -> bool {
        self.choices > 1
    }

    /// How a map of so many tokens is cut; `None` when its level isn't tiled or a single tile holds it.
    pub(super) fn grid(&self, tokens: usize, latent: [usize; 2], mut draw: impl FnMut(u64) -> u64) -> Option<Grid> {
        let [rows, columns] = latent.map(|side| side as f64);
        let level = (0..=self.depth).position(|i| {
            let shrunk = 2f64.powi(i as i32);
            (rows / shrunk) * (columns / shrunk) == tokens as f64
        })?;
        let aspect = columns / rows;
        let side = |square: f64| square.sqrt().round_ties_even() as usize;
        let sides = [side(tokens as f64 * aspect), side(tokens as f64 / aspect)];
        let least = self.tile << if self.scaled { level } else { 0 };
        let tiles = sides.map(|side| pieces(side, least, self.choices, &mut draw));
        let grid = Grid { tiles, sides: [sides[0] / tiles[0], sides[1] / tiles[1]] };
        (grid.count() > 1 && sides[0] * sides[1] == tokens).then_some(grid)
    }
}

/// Into how many pieces of at least `least` a side is cut.
fn pieces(side: usize, least: usize, choices: usize, draw: &mut impl FnMut(u64) -> u64) -> usize {
    let divisors = (least.min(side).max(1)..=side).filter(|n| side.is_multiple_of(*n));
    let counts: Vec<usize> = divisors.take(choices.max(1)).map(|n| side / n).collect();
    let index = if counts.len() > 1 { draw(counts.len() as u64 - 1) as usize } else { 0 };
    counts.get(index).copied().unwrap_or(1)
}

impl Grid {
    /// How many tiles.
    pub(crate) fn count(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// `[batch, tokens, c]` to `[batch · tiles, tokens of a tile, c]`.
    pub(super) fn cut(&self, x: Tensor<3>) -> Tensor<3> {
        let ([batch, _, channels], Self { tiles: [down, across], sides: [height, width] }) = (x.dims(), *self);
        let x = x.reshape([batch, down, height, across, width, channels]).permute([0, 1, 3, 2, 4, 5]);
        x.reshape([batch * down * across, height * width, channels])
    }

    /// Keys and values of `[batch, tokens, c]`: as many consecutive runs.
    pub(crate) fn runs(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, channels] = x.dims();
        x.reshape([batch * self.count(), tokens / self.count(), channels])
    }

    /// What [`cut`](Self::cut) cut.
    pub(super) fn joined(&self, x: Tensor<3>) -> Tensor<3> {
        let ([pieces, _, channels], Self { tiles: [down, across], sides: [height, width] }) = (x.dims(), *self);
        let batch = pieces / self.count();
        let x = x.reshape([batch, down, across, height, width, channels]).permute([0, 1, 3, 2, 4, 5]);
        x.reshape([batch, down * height * across * width, channels])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::{Device, Int};

    fn tiles(tile: usize, choices: usize, depth: u32, scaled: bool) -> HyperTile {
        HyperTile { tile, choices, depth, scaled }
    }

    #[test]
    fn only_the_levels_asked_for_are_cut() {
        let plain = tiles(4, 1, 0, false);
        assert_eq!(plain.grid(256, [16, 16], |_| 0).unwrap().count(), 16);
        assert_eq!(plain.grid(64, [16, 16], |_| 0), None);
        assert_eq!(tiles(4, 1, 1, false).grid(64, [16, 16], |_| 0).unwrap().count(), 4);
        assert_eq!(tiles(4, 1, 1, true).grid(64, [16, 16], |_| 0), None, "one tile of eight holds it");
    }

    #[test]
    fn the_dice_choose_among_all_sizes_but_the_last() {
        let grid = tiles(4, 3, 0, false).grid(256, [16, 16], |range| {
            assert_eq!(range, 2, "4, 8 and 16 divide 16");
            1
        });
        assert_eq!(grid.unwrap().count(), 4);
    }

    #[test]
    fn what_is_cut_can_be_joined_and_tiles_are_tiles() {
        let grid = tiles(2, 1, 0, false).grid(16, [4, 4], |_| 0).unwrap();
        let x = Tensor::<1, Int>::arange(0..32, &Device::flex()).float().reshape([1, 16, 2]);
        let cut = grid.cut(x.clone());
        let first: Vec<f32> = cut.clone().narrow(0, 1, 1).narrow(2, 0, 1).try_to_vec_as().unwrap();
        assert_eq!(first, [4.0, 6.0, 12.0, 14.0], "rows 0 and 1, columns 2 and 3");
        assert_eq!(grid.joined(cut).into_data(), x.into_data());
    }
}
