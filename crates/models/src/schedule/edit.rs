//! What the sigma nodes do to a list of levels: split, flip, set, extend.

/// SplitSigmas: the levels up to `step` and those from it on, `step` in both.
pub fn split(sigmas: &[f32], step: usize) -> (Vec<f32>, Vec<f32>) {
    let high = sigmas[..(step + 1).min(sigmas.len())].to_vec();
    let low = sigmas[step.min(sigmas.len())..].to_vec();
    (high, low)
}

/// SplitSigmasDenoise: the last `denoise` part of the steps goes to the second list. A part of no steps leaves the
/// first list empty, as the reference does.
pub fn split_denoise(sigmas: &[f32], denoise: f64) -> (Vec<f32>, Vec<f32>) {
    let steps = sigmas.len().saturating_sub(1);
    let taken = ((steps as f64 * denoise).round_ties_even().max(0.0) as usize).min(steps);
    let high = if taken == 0 { &sigmas[..0] } else { &sigmas[..sigmas.len() - taken] };
    let low = &sigmas[sigmas.len().saturating_sub(taken + 1)..];
    (high.to_vec(), low.to_vec())
}

/// FlipSigmas: reversed for unsampling; a 0 that comes first becomes 0.0001.
pub fn flip(sigmas: &[f32]) -> Vec<f32> {
    let mut flipped: Vec<f32> = sigmas.iter().rev().copied().collect();
    if let Some(first) = flipped.first_mut().filter(|first| **first == 0.0) {
        *first = 0.0001;
    }
    flipped
}

/// SetFirstSigma.
pub fn set_first(sigmas: &[f32], sigma: f32) -> Vec<f32> {
    let mut set = sigmas.to_vec();
    if let Some(first) = set.first_mut() {
        *first = sigma;
    }
    set
}

/// How inserted levels are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly.
    Linear,
    /// sin(x π/2): denser towards the second level.
    Sine,
    /// 1 - cos(x π/2): denser towards the first level.
    Cosine,
}

/// ExtendIntermediateSigmas: `steps - 1` more levels between neighbours whose first lies in `[end, start]`.
pub fn extend(sigmas: &[f32], steps: usize, start: f32, end: f32, spacing: Spacing) -> Vec<f32> {
    let start = if start < 0.0 { f32::INFINITY } else { start };
    let place = |k: usize| {
        let x = k as f32 / steps as f32;
        let angle = f64::from(x * std::f32::consts::FRAC_PI_2);
        match spacing {
            Spacing::Linear => x,
            Spacing::Sine => angle.sin() as f32,
            Spacing::Cosine => 1.0 - angle.cos() as f32,
        }
    };
    let mut extended = Vec::with_capacity(sigmas.len() * steps.max(1));
    for pair in sigmas.windows(2) {
        extended.push(pair[0]);
        if end <= pair[0] && pair[0] <= start {
            extended.extend((1..steps).map(|k| pair[0] + (pair[1] - pair[0]) * place(k)));
        }
    }
    extended.extend(sigmas.last());
    extended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_keeps_the_level_where_it_cuts_in_both() {
        assert_eq!(split(&[3.0, 2.0, 1.0, 0.0], 1), (vec![3.0, 2.0], vec![2.0, 1.0, 0.0]));
        assert_eq!(split(&[], 4), (vec![], vec![]));
    }

    #[test]
    fn a_part_of_no_steps_leaves_the_first_list_empty() {
        assert_eq!(split_denoise(&[3.0, 2.0, 0.0], 0.0), (vec![], vec![0.0]));
        assert_eq!(split_denoise(&[3.0, 2.0, 0.0], 0.5), (vec![3.0, 2.0], vec![2.0, 0.0]));
    }

    #[test]
    fn a_flipped_run_starts_just_above_zero() {
        assert_eq!(flip(&[2.0, 0.0]), [0.0001, 2.0]);
    }
}
