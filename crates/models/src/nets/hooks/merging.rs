//! Token merging: before self-attention, tokens that resemble another one share its query.
//!
//! Source: Bolya and Hoffman 2023, "Token Merging for Fast Stable Diffusion", as ComfyUI's TomePatchModel has it: only on
//! the first level, one destination per 2 x 2 cells, and the normed input of the attention as the measure.

use burn::tensor::{Tensor, TensorData};

use super::read::read;
use crate::error::ModelError;

/// Cells along a side of the square that has one destination.
const STRIDE: usize = 2;

/// Which tokens share which query.
#[derive(Debug)]
pub(crate) struct Matching {
    tokens: usize,
    /// Tokens that others can be merged into, by place in the map.
    destinations: Vec<usize>,
    /// Per batch item.
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    /// Tokens that stay as they are, by place in the map.
    kept: Vec<usize>,
    /// Tokens that are merged, each with the number of its destination.
    merged: Vec<(usize, usize)>,
}

impl Matching {
    /// The matching of `x` `[batch, tokens, c]`; `None` below the first level, or when there is nothing to merge.
    pub(super) fn find(
        x: &Tensor<3>,
        [rows, columns]: [usize; 2],
        ratio: f64,
        draw: impl FnOnce(usize, u64) -> Vec<u64>,
    ) -> Result<Option<Self>, ModelError> {
        let [batch, tokens, width] = x.dims();
        let wanted = (tokens as f64 * ratio) as usize;
        if tokens != rows * columns || wanted == 0 || rows == 1 || columns == 1 {
            return Ok(None);
        }
        let (destinations, sources) = split(rows, columns, draw);
        let amount = wanted.min(sources.len());
        let values = read(x)?;
        let items = (0..batch).map(|item| {
            let own = &values[item * tokens * width..][..tokens * width];
            Item::find(own, width, &sources, &destinations, amount)
        });
        Ok(Some(Self { tokens, items: items.collect(), destinations }))
    }

    /// `[batch, tokens, c]` to the tokens that are left: those that stay, then the destinations as means.
    pub(super) fn merge(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let ([batch, tokens, width], values) = (x.dims(), read(&x)?);
        let left = self.items.first().map_or(0, |item| item.kept.len()) + self.destinations.len();
        let mut out = Vec::with_capacity(batch * left * width);
        for (item, own) in self.items.iter().zip(values.chunks_exact(tokens * width)) {
            let row = |place: usize| &own[place * width..][..width];
            item.kept.iter().for_each(|place| out.extend_from_slice(row(*place)));
            let start = out.len();
            self.destinations.iter().for_each(|place| out.extend_from_slice(row(*place)));
            let mut counts = vec![1f32; self.destinations.len()];
            for (place, to) in &item.merged {
                counts[*to] += 1.0;
                out[start + to * width..][..width].iter_mut().zip(row(*place)).for_each(|(sum, v)| *sum += v);
            }
            for (row, count) in out[start..].chunks_exact_mut(width).zip(&counts) {
                for v in row {
                    *v /= count;
                }
            }
        }
        Ok(Tensor::from_data(TensorData::new(out, [batch, left, width]), &x.device()))
    }

    /// The results of the tokens that were left, one for each token again.
    pub(super) fn unmerge(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let ([batch, left, width], values) = (x.dims(), read(&x)?);
        let mut out = vec![0f32; batch * self.tokens * width];
        let pairs = out.chunks_exact_mut(self.tokens * width).zip(values.chunks_exact(left * width));
        for (item, (out, own)) in self.items.iter().zip(pairs) {
            let mut put = |place: usize, row: usize| {
                out[place * width..][..width].copy_from_slice(&own[row * width..][..width]);
            };
            let destination = |to: usize| item.kept.len() + to;
            item.kept.iter().enumerate().for_each(|(row, place)| put(*place, row));
            self.destinations.iter().enumerate().for_each(|(to, place)| put(*place, destination(to)));
            item.merged.iter().for_each(|(place, to)| put(*place, destination(*to)));
        }
        Ok(Tensor::from_data(TensorData::new(out, [batch, self.tokens, width]), &x.device()))
    }
}

/// Places of destinations and of all others, both in order: one destination, drawn at random, in each whole square.
fn split(rows: usize, columns: usize, draw: impl FnOnce(usize, u64) -> Vec<u64>) -> (Vec<usize>, Vec<usize>) {
    let across = columns / STRIDE;
    let chosen = draw(rows / STRIDE * across, (STRIDE * STRIDE) as u64);
    let place = |(square, cell): (usize, &u64)| {
        let (y, x) = (square / across * STRIDE, square % across * STRIDE);
        (y + *cell as usize / STRIDE) * columns + x + *cell as usize % STRIDE
    };
    let mut destinations: Vec<usize> = chosen.iter().enumerate().map(place).collect();
    destinations.sort_unstable();
    let sources = (0..rows * columns).filter(|place| destinations.binary_search(place).is_err()).collect();
    (destinations, sources)
}

impl Item {
    fn find(values: &[f32], width: usize, sources: &[usize], destinations: &[usize], amount: usize) -> Self {
        let lengths: Vec<f32> = values.chunks_exact(width).map(|row| dot(row, row).sqrt()).collect();
        let row = |place: usize| &values[place * width..][..width];
        let likeness = |a: usize, b: usize| dot(row(a), row(b)) / (lengths[a] * lengths[b]);
        let mut matches: Vec<(usize, usize, f32)> = sources
            .iter()
            .map(|&source| {
                let scores = destinations.iter().enumerate().map(|(to, place)| (to, likeness(source, *place)));
                let best = scores.fold((0, f32::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best });
                (source, best.0, best.1)
            })
            .collect();
        matches.sort_by(|a, b| b.2.total_cmp(&a.2));
        let (merged, kept) = matches.split_at(amount);
        Self {
            kept: kept.iter().map(|(place, ..)| *place).collect(),
            merged: merged.iter().map(|(place, to, _)| (*place, *to)).collect(),
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    fn tokens(values: &[[f32; 2]]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.concat(), [1, values.len(), 2]), &Device::flex())
    }

    fn first(_: usize, _: u64) -> Vec<u64> {
        vec![0; 2]
    }

    #[test]
    fn the_likest_tokens_ask_with_their_destination_and_get_its_answer() {
        // 2 x 4 cells: destinations are places 0 and 2; place 5 looks exactly like 2, place 4 nearly like 0.
        let map = [[1., 0.], [0., -1.], [0., 1.], [-1., 0.], [1., 0.2], [0., 3.], [-1., -1.], [-1., 0.5]];
        let x = tokens(&map);
        let matching = Matching::find(&x, [2, 4], 0.25, first).unwrap().unwrap();
        let merged = matching.merge(x).unwrap();
        assert_eq!(merged.dims(), [1, 6, 2]);
        let rows = merged.clone().try_to_vec_as::<f32>().unwrap();
        assert_eq!(rows[8..], [1.0, 0.1, 0.0, 2.0], "destinations are means, at the end");
        let back = matching.unmerge(merged).unwrap().try_to_vec_as::<f32>().unwrap();
        let place = |n: usize| &back[n * 2..n * 2 + 2];
        assert_eq!((place(0), place(4)), (place(4), &[1.0, 0.1][..]));
        assert_eq!((place(2), place(5)), (place(5), &[0.0, 2.0][..]));
        for n in [1, 3, 6, 7] {
            assert_eq!(place(n), map[n], "what isn't merged is what it was");
        }
    }

    #[test]
    fn deeper_levels_and_a_ratio_of_nothing_stay_as_they_are() {
        let x = tokens(&[[1., 0.]; 8]);
        assert!(Matching::find(&x, [4, 8], 0.5, first).unwrap().is_none());
        assert!(Matching::find(&x, [2, 4], 0.1, first).unwrap().is_none());
    }

    #[test]
    fn sides_that_are_odd_leave_their_last_cells_sources() {
        let (destinations, sources) = split(3, 5, |n, range| {
            assert_eq!((n, range), (2, 4));
            vec![3, 1]
        });
        assert_eq!(destinations, [3, 6]);
        assert_eq!(sources.len(), 13);
    }
}
