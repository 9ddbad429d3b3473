//! Places as sines and cosines of random frequencies (Tancik et al. 2020), the same for prompts and for the grid.

/// The frequencies: one row for x, one for y.
#[derive(Debug, Clone)]
pub(super) struct Frequencies(Vec<f32>);

impl Frequencies {
    /// `values` `[2, half the channels]`.
    pub(super) fn new(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// Channels of a code.
    pub(super) fn channels(&self) -> usize {
        self.0.len()
    }

    /// The code of a place, both coordinates from 0 to 1 across the image: sines, then cosines.
    pub(super) fn code(&self, [x, y]: [f32; 2]) -> Vec<f32> {
        let (across, down) = self.0.split_at(self.0.len() / 2);
        let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
        let angle = |(a, b): (&f32, &f32)| std::f32::consts::TAU * (x * a + y * b);
        let angles: Vec<f32> = across.iter().zip(down).map(angle).collect();
        angles.iter().map(|angle| angle.sin()).chain(angles.iter().map(|angle| angle.cos())).collect()
    }

    /// The codes of a grid's cells, at their middles, row after row.
    pub(super) fn grid(&self, cells: usize) -> Vec<f32> {
        let middle = |i: usize| (i as f32 + 0.5) / cells as f32;
        (0..cells * cells).flat_map(|at| self.code([middle(at % cells), middle(at / cells)])).collect()
    }
}
