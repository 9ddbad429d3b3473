//! What T5 has instead of positions: something added to a score by how far key and query lie apart.
//!
//! Source: Raffel et al. 2020, `relative_position_bucket`.

/// The bucket of a key `distance` behind its query (negative: before it), of `buckets`.
///
/// Half of the buckets are for either direction; half of those are one distance each, the others grow up to 128.
pub fn bucket(distance: i64, buckets: usize) -> usize {
    const FARTHEST: f32 = 128.0;
    let half = buckets / 2;
    let exact = half / 2;
    let (start, apart) = (if distance > 0 { half } else { 0 }, distance.unsigned_abs() as usize);
    if apart < exact {
        return start + apart;
    }
    let growth = (apart as f32 / exact as f32).ln() / (FARTHEST / exact as f32).ln();
    start + (exact + (growth * (half - exact) as f32) as usize).min(half - 1)
}

/// What is added to scores, per head and distance.
pub(super) struct Distances {
    /// `[heads, 2 · tokens - 1]`, from the key farthest before its query to the one farthest behind.
    values: Vec<f32>,
    tokens: usize,
    /// What is added per key whatever the distance.
    keys: Option<Vec<f32>>,
}

impl Distances {
    /// From the table `[buckets, heads]` of a block.
    pub(super) fn new(table: &[f32], heads: usize, tokens: usize, keys: Option<Vec<f32>>) -> Self {
        let buckets = table.len() / heads.max(1);
        let far = tokens as i64 - 1;
        let value = |head: usize, distance: i64| table[bucket(distance, buckets) * heads + head];
        let values = (0..heads).flat_map(|head| (-far..=far).map(move |distance| value(head, distance))).collect();
        Self { values, tokens, keys }
    }

    /// What is added to the scores of a head, `[queries, keys]`.
    pub(super) fn of_head(&self, head: usize) -> Vec<f32> {
        let (n, row) = (self.tokens, 2 * self.tokens - 1);
        let values = &self.values[head * row..(head + 1) * row];
        let mut bias: Vec<f32> = (0..n).flat_map(|query| &values[n - 1 - query..2 * n - 1 - query]).copied().collect();
        if let Some(keys) = &self.keys {
            let rows = bias.chunks_exact_mut(n);
            rows.for_each(|row| row.iter_mut().zip(keys).for_each(|(bias, key)| *bias += key));
        }
        bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_keys_have_buckets_of_their_own_and_far_ones_share() {
        assert_eq!([0, -1, -7, -8, -128, -5000].map(|distance| bucket(distance, 32)), [0, 1, 7, 8, 15, 15]);
        assert_eq!([1, 7, 8, 5000].map(|distance| bucket(distance, 32)), [17, 23, 24, 31]);
    }

    #[test]
    fn a_row_of_scores_runs_from_the_first_key_to_the_last() {
        let table: Vec<f32> = (0..32u8).map(f32::from).collect();
        let found = Distances::new(&table, 1, 3, None).of_head(0);
        assert_eq!(found, [0.0, 17.0, 18.0, 1.0, 0.0, 17.0, 2.0, 1.0, 0.0]);
    }
}
