//! Where the tiles of a vector lie: in which image, row and column. Computes nothing.

use super::plan::{SIDE, Winograd};
use crate::simd::MOST_LANES;

/// The first pixel of a tile's outputs, and of its inputs in the padded image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Corner {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Neighbours in one row of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The lane of the first of them.
    pub(super) lane: usize,
    pub(super) count: usize,
    pub(super) corner: Corner,
}

/// The tiles of a vector, one per lane as far as there are tiles.
pub(super) struct Places {
    corners: [Corner; MOST_LANES],
    count: usize,
    lanes: usize,
}

impl Places {
    /// `lanes` tiles from `first` on.
    pub(super) fn of(sizes: &Winograd, first: usize, lanes: usize) -> Self {
        let [rows, columns] = sizes.tile_grid();
        let mut corners = [Corner::default(); MOST_LANES];
        let count = sizes.tiles().saturating_sub(first).min(lanes);
        for (tile, corner) in (first..).zip(&mut corners).take(count) {
            let (image, row) = (tile / (rows * columns), tile / columns % rows * SIDE);
            *corner = Corner { image, row, column: tile % columns * SIDE };
        }
        Self { corners, count, lanes }
    }

    /// The corners of the tiles that exist.
    pub(super) fn corners(&self) -> &[Corner] {
        &self.corners[..self.count]
    }

    /// The first corner, where every lane has a tile and all are neighbours.
    pub(super) fn side_by_side(&self) -> Option<Corner> {
        let [first, last] = [self.corners[0], self.corners[self.lanes - 1]];
        let neighbours = first.image == last.image && first.row == last.row;
        (self.count == self.lanes && neighbours).then_some(first)
    }

    /// The tiles cut up into neighbours.
    pub(super) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (lane, &corner) in self.corners().iter().enumerate() {
            match runs.last_mut() {
                Some(run) if (run.corner.image, run.corner.row) == (corner.image, corner.row) => run.count += 1,
                _ => runs.push(Run { lane, count: 1, corner }),
            }
        }
        runs
    }
}
