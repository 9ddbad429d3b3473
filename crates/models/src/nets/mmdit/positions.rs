//! Where a token is: a row of a table, of which a picture takes the middle, or computed sines.

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::Weight;

use crate::{error::ModelError, nets::unet::frequency, weights::WeightBuilder};

/// What is added to the image's tokens.
#[derive(Debug)]
pub(super) enum Positions {
    /// A table of so many rows and columns, `[side², width]`.
    Table { table: Weight, side: usize },
    /// Sines and cosines of so many numbers per token.
    Computed { width: usize },
}

impl Positions {
    /// Takes `pos_embed` `[side², width]` from the builder where there is a side.
    pub(super) fn new(wb: &WeightBuilder<'_>, side: Option<usize>, width: usize) -> Result<Self, ModelError> {
        match side {
            Some(side) => Ok(Self::Table { table: wb.get("pos_embed", &[side * side, width])?, side }),
            None => Ok(Self::Computed { width }),
        }
    }

    /// For a picture of `grid` tokens.
    ///
    /// # Shapes
    /// Returns `[1, rows · columns, width]`.
    /// # Errors
    /// `ModelError::Input` when the picture is larger than the table.
    pub(super) fn of(&self, grid: [usize; 2], device: &Device) -> Result<Tensor<3>, ModelError> {
        match self {
            Self::Table { table, side } => middle(table, *side, grid, device),
            Self::Computed { width } => {
                Ok(Tensor::from_data(TensorData::new(waves(grid, *width), [1, grid[0] * grid[1], *width]), device))
            }
        }
    }
}

/// The rows of the middle of the table; the rest of it is not read.
fn middle(table: &Weight, side: usize, [rows, columns]: [usize; 2], device: &Device) -> Result<Tensor<3>, ModelError> {
    if rows > side || columns > side {
        let expected = format!("at most {side} x {side} tokens, which is {0} x {0} pixels", side * 16);
        return Err(ModelError::Input { network: "MMDiT", what: "x", expected, found: vec![rows, columns] });
    }
    let (top, left) = ((side - rows) / 2, (side - columns) / 2);
    let line = |row: usize| {
        let first = (top + row) * side + left;
        Ok::<_, ModelError>(table.acquire_rows::<2>(first..first + columns, device)?.tensor())
    };
    let lines = (0..rows).map(line).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(lines, 0).unsqueeze())
}

/// Sine and cosine of the column, then of the row, each spread over a quarter of the width: the shorter side of the
/// picture spans 0 to 15, whatever its size.
fn waves([rows, columns]: [usize; 2], width: usize) -> Vec<f32> {
    /// Half of what a table of 16 x 16 places spans, which the networks were made for.
    const HALF: f64 = 7.5;
    let (quarter, shorter) = (width / 4, rows.min(columns).max(1) as f64);
    let frequencies: Vec<f32> = (0..quarter).map(|j| frequency(j, quarter)).collect();
    let place = |i: usize, count: usize| {
        let reach = HALF * count as f64 / shorter;
        let step = if count > 1 { 2.0 * reach / (count - 1) as f64 } else { 0.0 };
        (HALF - reach + step * i as f64) as f32
    };
    let wave = |at: f32, f: fn(f64) -> f64| frequencies.iter().map(move |w| f(f64::from(at * w)) as f32);
    let token = |i: usize| {
        let (y, x) = (place(i / columns, rows), place(i % columns, columns));
        wave(x, f64::sin).chain(wave(x, f64::cos)).chain(wave(y, f64::sin)).chain(wave(y, f64::cos))
    };
    (0..rows * columns).flat_map(token).collect()
}
