//! Brownian motion over noise levels: any two queries agree about the path between them.
//!
//! torchsde's `BrownianTree` as k-diffusion's `BrownianTreeNoiseSampler` uses it. The path is a binary tree of
//! increments halved again and again, each half's share drawn from a generator seeded by its place in the tree, so
//! nothing has to be stored: a query walks down from the root.

use super::generator::TorchGenerator;
use super::seed_sequence::SeedSequence;

const POOL: usize = 24;

/// One fixed Brownian path for each of `len` elements, between two noise levels.
#[derive(Debug, Clone)]
pub struct BrownianTree {
    start: f64,
    end: f64,
    seed: u64,
    /// The whole path's increment.
    root: Vec<f32>,
}

/// A piece of the path: its ends, its place in the tree, and the increment over it.
struct Piece {
    start: f64,
    end: f64,
    key: u64,
    depth: u64,
    increment: Vec<f32>,
}

impl BrownianTree {
    /// A path over `[sigma_min, sigma_max]`; the ends may come in either order.
    pub fn new(sigma_min: f32, sigma_max: f32, seed: u64, len: usize) -> Self {
        let (low, high) = (f64::from(sigma_min.min(sigma_max)), f64::from(sigma_min.max(sigma_max)));
        let state = SeedSequence::new(seed, &[], POOL).generate_state(3);
        let scale = (high - low).sqrt() as f32;
        let mut root = TorchGenerator::new(u64::from(state[0])).randn(len);
        for v in &mut root {
            *v *= scale;
        }
        Self { start: round6(low), end: round6(high), seed, root }
    }

    /// Normal noise for the step from `a` to `b`: the increment between them over the root of their distance, with
    /// the sign of k-diffusion (negative when the noise level falls).
    pub fn step(&self, a: f32, b: f32) -> Vec<f32> {
        let mut noise = self.increment(f64::from(a.min(b)), f64::from(a.max(b)));
        let sign = if a > b { -1.0 } else { 1.0 };
        let root = (b - a).abs().sqrt();
        for v in &mut noise {
            *v = sign * (*v / root);
        }
        noise
    }

    fn increment(&self, from: f64, to: f64) -> Vec<f32> {
        let clamp = |t: f64| round6(t).clamp(self.start, self.end);
        let (from, to) = (clamp(from), clamp(to));
        let mut sum = vec![0.0; self.root.len()];
        if from >= to {
            return sum;
        }
        let root = Piece { start: self.start, end: self.end, key: 0, depth: 0, increment: self.root.clone() };
        // Pieces still to look at, the leftmost on top: parts are added from left to right.
        let mut pending = vec![root];
        let mut first = true;
        while let Some(piece) = pending.pop() {
            if piece.end <= from || piece.start >= to {
                continue;
            }
            let inside = piece.start >= from && piece.end <= to;
            match if inside { None } else { self.split(&piece) } {
                Some((left, right)) => pending.extend([right, left]),
                None if first => (sum, first) = (piece.increment, false),
                None => sum.iter_mut().zip(&piece.increment).for_each(|(s, v)| *s += v),
            }
        }
        sum
    }

    /// Halves a piece. `None` when its ends are neighbours at six decimals.
    fn split(&self, piece: &Piece) -> Option<(Piece, Piece)> {
        let (a, b) = (piece.start, piece.end);
        let middle = round6(0.5 * (b + a));
        if middle <= a || middle >= b {
            return None;
        }
        let state = SeedSequence::new(self.seed, &[piece.key, piece.depth], POOL).generate_state(4);
        let drawn = TorchGenerator::new(u64::from(state[0])).randn(piece.increment.len());
        let inverse = 1.0 / (b - a);
        let (share, inverse32) = ((middle - a) as f32, inverse as f32);
        let spread = ((middle - a) * (b - middle) * inverse).sqrt() as f32;
        let left: Vec<f32> =
            piece.increment.iter().zip(&drawn).map(|(w, z)| *w * share * inverse32 + spread * z).collect();
        let right = piece.increment.iter().zip(&left).map(|(w, l)| w - l).collect();
        let child = |start, end, key, increment| Piece { start, end, key, depth: piece.depth + 1, increment };
        Some((child(a, middle, 2 * piece.key, left), child(middle, b, 2 * piece.key + 1, right)))
    }
}

/// Python's `round(t, 6)`: the nearest number of six decimals, correctly rounded.
fn round6(t: f64) -> f64 {
    format!("{t:.6}").parse().unwrap_or(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_increments_add_up_to_the_whole() {
        let tree = BrownianTree::new(0.1, 10.0, 7, 20);
        let (left, right, whole) = (tree.increment(0.5, 2.0), tree.increment(2.0, 7.5), tree.increment(0.5, 7.5));
        for i in 0..20 {
            assert!((left[i] + right[i] - whole[i]).abs() < 1e-5);
        }
    }

    #[test]
    fn a_step_to_itself_is_finite_only_in_its_increment() {
        assert_eq!(BrownianTree::new(0.1, 10.0, 7, 3).increment(4.0, 4.0), [0.0; 3]);
    }
}
