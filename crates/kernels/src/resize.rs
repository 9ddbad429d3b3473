//! Nearest-neighbour resizing of image planes.

use rayon::prelude::*;

use crate::error::{Check, KernelError};

/// Resizes every plane of `x` from `from` to `to` rows and columns: output pixel `i` shows input pixel
/// `floor(i · (from / to))` with the quotient rounded to f32 first, torch's mode `nearest`.
///
/// # Shapes
/// `x` `[planes, from[0], from[1]]`, `out` `[planes, to[0], to[1]]`.
/// # Errors
/// [`KernelError`] when lengths do not fit or a size is 0.
pub fn nearest(from: [usize; 2], to: [usize; 2], x: &[f32], out: &mut [f32]) -> Result<(), KernelError> {
    let check = Check("nearest");
    let (small, large) = (check.product("from", &from)?, check.product("to", &to)?);
    check.divides("from", small, x.len())?;
    check.divides("to", large, out.len())?;
    check.len("out", out.len(), check.product("out", &[x.len() / small, large])?)?;
    let (rows, columns) = (sources(from[0], to[0]), sources(from[1], to[1]));
    out.par_chunks_mut(large).zip(x.par_chunks(small)).for_each(|(out, x)| {
        let mut last = None;
        for (i, &row) in rows.iter().enumerate() {
            let (done, rest) = out.split_at_mut(i * to[1]);
            let line = &mut rest[..to[1]];
            if last == Some(row) {
                line.copy_from_slice(&done[(i - 1) * to[1]..]);
            } else {
                let x = &x[row * from[1]..(row + 1) * from[1]];
                for (pixel, &column) in line.iter_mut().zip(&columns) {
                    *pixel = x[column];
                }
            }
            last = Some(row);
        }
    });
    Ok(())
}

/// For each of `to` output positions the input position it shows.
fn sources(from: usize, to: usize) -> Vec<usize> {
    let scale = from as f32 / to as f32;
    (0..to).map(|i| ((i as f32 * scale) as usize).min(from - 1)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{nearest, sources};

    #[test]
    fn positions_are_those_of_torch() {
        assert_eq!(sources(2, 4), [0, 0, 1, 1]);
        assert_eq!(sources(3, 7), [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(sources(5, 3), [0, 1, 3]);
    }

    #[test]
    fn planes_grow_and_shrink_each_for_itself() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let mut out = [0.0; 12];
        nearest([2, 2], [2, 3], &x, &mut out).unwrap();
        assert_eq!(out, [1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0, 7.0, 8.0]);
        let mut out = [0.0; 12];
        nearest([2, 1], [3, 1], &x, &mut out).unwrap();
        assert_eq!(out, [1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0, 7.0, 8.0]);
        let mut out = [0.0; 2];
        nearest([2, 2], [1, 1], &x, &mut out).unwrap();
        assert_eq!(out, [1.0, 5.0]);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(nearest([2, 2], [4, 4], &[0.0; 4], &mut [0.0; 15]).is_err());
        assert!(nearest([0, 2], [4, 4], &[], &mut []).is_err());
        assert!(nearest([2, 2], [4, 0], &[0.0; 4], &mut []).is_err());
    }
}
