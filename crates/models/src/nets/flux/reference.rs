//! Where the tokens of image, text and reference images are.
//!
//! A position is a few numbers, one per axis. Source: Black Forest Labs' flux and its Kontext; ComfyUI's three ways to place
//! several references.

use super::config::FluxVersion;
use crate::nets::{condition_inputs::ReferenceMethod, patches::Patches};

/// What a version does with references when nobody says.
pub(super) fn usual(version: FluxVersion) -> ReferenceMethod {
    match version {
        FluxVersion::One => ReferenceMethod::Offset,
        FluxVersion::Two => ReferenceMethod::Index,
    }
}

/// A grid of tokens: its level on the first axis, and its first row and column, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    level: usize,
    first: [usize; 2],
    sides: [usize; 2],
}

/// The positions of all tokens in the order of attention: text, image, references.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    pub(super) version: FluxVersion,
    pub(super) patches: Patches,
    /// Tokens of the text.
    pub(super) text: usize,
    /// Cells of the image's latent.
    pub(super) image: [usize; 2],
    /// Cells of each reference's.
    pub(super) references: &'a [[usize; 2]],
    pub(super) method: ReferenceMethod,
}

impl Layout<'_> {
    /// As many numbers per token as the version has axes.
    pub(super) fn positions(&self) -> Vec<f32> {
        let axes = match self.version {
            FluxVersion::One => 3,
            FluxVersion::Two => 4,
        };
        let mut positions = Vec::new();
        for token in 0..self.text {
            let mut position = [0.0; 4];
            position[3] = token as f32;
            positions.extend_from_slice(&position[..axes]);
        }
        let image = Grid { level: 0, first: [0, 0], sides: self.patches.grid(self.image) };
        for grid in std::iter::once(image).chain(self.grids()) {
            let [rows, columns] = grid.sides;
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let position = [grid.level, grid.first[0] + y, grid.first[1] + x, 0].map(|number| number as f32);
                positions.extend_from_slice(&position[..axes]);
            }
        }
        positions
    }

    fn grids(&self) -> Vec<Grid> {
        let side = self.patches.side;
        let tokens = |cells: usize| (cells + side / 2) / side;
        let (mut level, mut far) = (0, [0, 0]);
        let mut grids = Vec::new();
        for &[height, width] in self.references {
            let mut first = [0, 0];
            if self.method == ReferenceMethod::Offset {
                level = 1;
                let higher = height + far[0] > width + far[1];
                first = if higher { [0, far[1]] } else { [far[0], 0] };
                far = [far[0].max(height + first[0]), far[1].max(width + first[1])];
            } else if self.method == ReferenceMethod::Uxo {
                let image = self.patches.grid(self.image);
                first = [image[0] * side + far[0], image[1] * side + far[1]];
                far = [far[0] + height, far[1] + width];
            } else {
                level += match self.version {
                    FluxVersion::One => 1,
                    FluxVersion::Two => 10,
                };
            }
            grids.push(Grid { level, first: first.map(tokens), sides: self.patches.grid([height, width]) });
        }
        grids
    }
}
