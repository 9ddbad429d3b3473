//! Where tokens stand: counted one by one, or along three axes where images are among them (mRoPE).
//!
//! Source: Qwen2-VL, section 2.1; transformers `get_rope_index`.

use super::config::LlmKind;
use crate::ops::Rotary;

/// An image among the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePlace {
    /// Its first row among the tokens, images' rows counted.
    pub start: usize,
    /// Merged cells down.
    pub rows: usize,
    /// Merged cells across.
    pub columns: usize,
}

/// Time, row and column of each token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    places: Vec<[u32; 3]>,
}

/// How many pairs of a head of 128 turn with time, row and column.
const SECTIONS: [usize; 3] = [16, 24, 24];

impl Positions {
    /// Of `tokens` tokens with images among them, in the order in which they stand.
    ///
    /// Text counts up along all axes. An image starts where the text before it ended: its rows share the time and count
    /// their cells along the other axes. The text behind goes on behind the longer side.
    pub fn new(tokens: usize, images: &[ImagePlace]) -> Self {
        let mut places = Vec::with_capacity(tokens);
        let mut next = 0;
        for image in images {
            while places.len() < image.start.min(tokens) {
                places.push([next; 3]);
                next += 1;
            }
            let cells = (0..image.rows).flat_map(|row| (0..image.columns).map(move |column| (row, column)));
            places.extend(cells.map(|(row, column)| [next, next + row as u32, next + column as u32]));
            next += image.rows.max(image.columns) as u32;
        }
        while places.len() < tokens {
            places.push([next; 3]);
            next += 1;
        }
        places.truncate(tokens);
        Self { places }
    }

    /// Given ones: time, row and column of each token.
    pub fn at(places: Vec<[u32; 3]>) -> Self {
        Self { places }
    }

    /// Time, row and column of each token.
    pub fn places(&self) -> &[[u32; 3]] {
        &self.places
    }

    /// The angles of a model's heads at these positions: pair `j` turns by the position along its axis times
    /// `theta^(-2j / width)`, in f32.
    pub fn rotary(&self, kind: LlmKind, head_width: usize) -> Rotary {
        let half = head_width / 2;
        let whole: usize = SECTIONS.iter().sum();
        let axis = |pair: usize| {
            let at = pair * whole / half.max(1);
            usize::from(at >= SECTIONS[0]) + usize::from(at >= SECTIONS[0] + SECTIONS[1])
        };
        let rate = |pair: usize| {
            let exponent = (2 * pair) as f32 / head_width as f32;
            (axis(pair), 1.0 / kind.theta().powf(f64::from(exponent)) as f32)
        };
        let rates: Vec<(usize, f32)> = (0..half).map(rate).collect();
        let angles =
            self.places.iter().flat_map(|place| rates.iter().map(|(axis, rate)| f64::from(place[*axis] as f32 * rate)));
        Rotary::of_angles(half, angles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_counts_its_cells_and_the_text_goes_on_behind_its_longer_side() {
        let image = ImagePlace { start: 1, rows: 1, columns: 2 };
        assert_eq!(Positions::new(4, &[image]).places(), [[0; 3], [1, 1, 1], [1, 1, 2], [3; 3]]);
        assert_eq!(Positions::new(2, &[]).places(), [[0; 3], [1; 3]]);
    }
}
