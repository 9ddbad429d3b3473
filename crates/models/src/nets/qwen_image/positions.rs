//! Where tokens are: a picture around the origin, references in planes of their own, the prompt on the diagonal behind.

use super::config::PATCHES;
use crate::{
    nets::condition_inputs::ReferenceMethod,
    ops::{OpError, Rotary},
};

/// The base of the angles.
const THETA: f64 = 10000.0;

/// The angles of all tokens in the order of the attention: prompt, latent, references.
///
/// # Errors
/// [`OpError`] for axes of odd widths.
pub(super) fn rotary(
    prompt: usize,
    latent: [usize; 2],
    references: &[[usize; 2]],
    method: ReferenceMethod,
    axes: [usize; 3],
) -> Result<Rotary, OpError> {
    let mut positions = text(prompt, latent);
    positions.extend(image_positions(latent, Placement::default()));
    for (size, placement) in references.iter().zip(placements(method, references)) {
        positions.extend(image_positions(*size, placement));
    }
    Rotary::of_axes(&positions, &axes, THETA)
}

/// The plane of a picture and its first cell there, in latent cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placement {
    /// Number of the plane; the latent's is 0.
    pub index: usize,
    /// Rows above it.
    pub top: usize,
    /// Columns to its left.
    pub left: usize,
}

/// Where references of these sizes (rows, columns) lie: each in a plane of its own, or beside each other in one.
fn placements(method: ReferenceMethod, references: &[[usize; 2]]) -> Vec<Placement> {
    if matches!(method, ReferenceMethod::Index | ReferenceMethod::IndexTimestepZero) {
        return (1..=references.len()).map(|index| Placement { index, ..Placement::default() }).collect();
    }
    let (mut height, mut width) = (0, 0);
    let place = |[rows, columns]: &[usize; 2]| {
        let (top, left) = if rows + height > columns + width { (0, width) } else { (height, 0) };
        (height, width) = (height.max(rows + top), width.max(columns + left));
        Placement { index: 1, top, left }
    };
    references.iter().map(place).collect()
}

/// The prompt's tokens go on along the diagonal where the picture ends.
fn text(tokens: usize, latent: [usize; 2]) -> Vec<f32> {
    let [rows, columns] = PATCHES.grid(latent);
    let start = (rows / 2).max(columns / 2);
    (start..start + tokens).flat_map(|at| [at as f32; 3]).collect()
}

/// A picture's tokens, row by row, half of them before the origin on each axis; moved where it lies elsewhere.
///
/// # Shapes
/// `size` in latent cells; returns three numbers per token: plane, row, column.
pub fn image_positions(size: [usize; 2], at: Placement) -> Vec<f32> {
    let [rows, columns] = PATCHES.grid(size);
    let [top, left] = PATCHES.grid([at.top, at.left]);
    let place = |i: usize, start: usize, count: usize| (i + start) as f32 - (count / 2) as f32;
    let token = |i: usize| [at.index as f32, place(i / columns, top, rows), place(i % columns, left, columns)];
    (0..rows * columns).flat_map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lie_in_planes_of_their_own_or_beside_each_other() {
        let sizes = [[6, 4], [5, 8], [9, 7]];
        let indices: Vec<usize> = placements(ReferenceMethod::Index, &sizes).iter().map(|p| p.index).collect();
        assert_eq!(indices, [1, 2, 3]);
        let offsets: Vec<(usize, usize)> =
            placements(ReferenceMethod::Uxo, &sizes).iter().map(|p| (p.top, p.left)).collect();
        // 6 > 4: right of nothing; 5 + 6 > 8 + 4 is not so: below the 6 rows; 9 + 11 > 7 + 8: right of the 8 columns.
        assert_eq!(offsets, [(0, 0), (6, 0), (0, 8)]);
    }

    #[test]
    fn a_picture_lies_around_the_origin_and_the_prompt_behind_it() {
        assert_eq!(image_positions([3, 5], Placement::default()), [
            [0.0, -1.0, -1.0], [0.0, -1.0, 0.0], [0.0, -1.0, 1.0],
            [0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0],
        ].concat());
        assert_eq!(text(2, [7, 5]), [2.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
    }
}
