//! How an image is cut: patches of 14 pixels, four of them a cell, 16 cells a window.
//!
//! Source: Qwen2.5-VL (2025), section 2.1; transformers `Qwen2VLImageProcessor` (`smart_resize`), `get_window_index`.

use crate::ops::Rotary;

/// Pixels of a patch's side.
pub(super) const PATCH: usize = 14;
/// Pixels of a cell's side: two patches.
const CELL: usize = 2 * PATCH;
/// Cells of a window's side.
const WINDOW: usize = 4;
/// Pixels that an image may have at most, and at least.
const MOST: usize = 12_845_056;
const LEAST: usize = 3136;

/// The cells of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Cells down.
    pub rows: usize,
    /// Cells across.
    pub columns: usize,
}

impl Grid {
    /// The cells that an image of a size is cut into: its sides become whole cells, half to even, and its area is held
    /// between 3136 and 12 845 056 pixels. No side is empty.
    pub fn of_image(height: usize, width: usize) -> Self {
        let (h, w) = (height.max(1) as f64, width.max(1) as f64);
        let cell = CELL as f64;
        let cells = |side: f64| (side / cell).round_ties_even() as usize;
        let (rows, columns) = (cells(h), cells(w));
        let pixels = rows.saturating_mul(columns).saturating_mul(CELL * CELL);
        let (rows, columns) = if pixels > MOST {
            let scale = (h * w / MOST as f64).sqrt();
            let fewer = |side: f64| (side / scale / cell).floor() as usize;
            (fewer(h), fewer(w))
        } else if pixels < LEAST {
            let scale = (LEAST as f64 / (h * w)).sqrt();
            let more = |side: f64| (side * scale / cell).ceil() as usize;
            (more(h), more(w))
        } else {
            (rows, columns)
        };
        Self { rows: rows.max(1), columns: columns.max(1) }
    }

    /// Height and width in pixels.
    pub fn pixels(self) -> [usize; 2] {
        [self.rows * CELL, self.columns * CELL]
    }

    /// Cells.
    pub fn cells(self) -> usize {
        self.rows * self.columns
    }

    /// The cells window by window, each row by row; windows at the right and at the bottom are smaller.
    pub fn window_order(self) -> Vec<usize> {
        self.windows().into_iter().flatten().collect()
    }

    /// How many patches each window has.
    pub fn window_lengths(self) -> Vec<usize> {
        self.windows().iter().map(|window| 4 * window.len()).collect()
    }

    fn windows(self) -> Vec<Vec<usize>> {
        let starts = |side: usize| (0..side).step_by(WINDOW);
        let corners = starts(self.rows).flat_map(|top| starts(self.columns).map(move |left| (top, left)));
        let window = |(top, left): (usize, usize)| {
            let rows = top..(top + WINDOW).min(self.rows);
            let columns = left..(left + WINDOW).min(self.columns);
            rows.flat_map(|row| columns.clone().map(move |column| row * self.columns + column)).collect()
        };
        corners.map(window).collect()
    }

    /// The angles of patches, whose cells stand in the given order: a quarter of a head turns with the row, a quarter with
    /// the column.
    pub fn rotary(self, order: &[usize], head_width: usize) -> Rotary {
        let quarter = head_width / 4;
        let rate = |k: usize| 1.0 / 10_000f64.powf(f64::from((2 * k) as f32 / (2 * quarter) as f32)) as f32;
        let rates: Vec<f32> = (0..quarter).map(rate).collect();
        let patches = order.iter().flat_map(|cell| {
            let (row, column) = (2 * (cell / self.columns), 2 * (cell % self.columns));
            [(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)]
        });
        let angles = patches.flat_map(|(row, column)| {
            let along = |at: usize| rates.iter().map(move |rate| f64::from(at as f32 * rate));
            along(row).chain(along(column))
        });
        Rotary::of_angles(2 * quarter, angles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_become_whole_cells_half_to_even_and_areas_stay_in_bounds() {
        assert_eq!(Grid::of_image(70, 300), Grid { rows: 2, columns: 11 });
        assert_eq!(Grid::of_image(1, 1), Grid { rows: 2, columns: 2 });
        assert!(Grid::of_image(16_384, 16_384).pixels().iter().product::<usize>() <= MOST);
        assert!(Grid::of_image(1, 16_384).cells() >= 1);
    }

    #[test]
    fn windows_are_four_cells_wide_and_smaller_at_the_edges() {
        let grid = Grid { rows: 1, columns: 6 };
        assert_eq!(grid.window_order(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(grid.window_lengths(), [16, 8]);
        let grid = Grid { rows: 5, columns: 5 };
        assert_eq!(grid.window_order()[..9], [0, 1, 2, 3, 5, 6, 7, 8, 10]);
        assert_eq!(grid.window_lengths(), [64, 16, 16, 4]);
    }
}
