//! Rotary positions (Su et al. 2021): tables of angles per token, and their application to heads.
//!
//! Knows numbers of positions, no grids and no prompts: networks make the numbers.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use kiln_kernels::{Angles, Isa};

use super::{check::Check, error::OpError, flat::Flat};

pub use kiln_kernels::Pairs;

/// Cosines and sines of each token's angles.
#[derive(Debug, Clone)]
pub struct Rotary {
    /// Pairs of a head.
    half: usize,
    cos: Arc<[f32]>,
    sin: Arc<[f32]>,
}

impl Rotary {
    /// For tokens with a position along each of several axes, as image networks have it: axis `a` takes
    /// `axes[a] / 2` pairs with the angles `position · theta^(-2j / axes[a])`, in f64; the axes follow each other.
    ///
    /// Source: Black Forest Labs' flux, `math.py`, `rope`.
    ///
    /// # Errors
    /// [`OpError`] when a side of `axes` is odd, or `positions` do not come in groups of as many as there are axes.
    pub fn of_axes(positions: &[f32], axes: &[usize], theta: f64) -> Result<Self, OpError> {
        let check = Check("rotary");
        if axes.is_empty() || axes.iter().any(|width| width % 2 != 0) {
            return Err(check.argument("axes", "even widths", format!("{axes:?}")));
        }
        check.divides("axes", axes.len(), positions.len())?;
        let rates: Vec<(usize, f64)> = axes
            .iter()
            .enumerate()
            .flat_map(|(axis, width)| {
                (0..width / 2).map(move |j| (axis, theta.powf(-((2 * j) as f64) / *width as f64)))
            })
            .collect();
        let tokens = positions.chunks_exact(axes.len());
        let angles = tokens.flat_map(|at| rates.iter().map(|(axis, rate)| f64::from(at[*axis]) * rate));
        Ok(Self::of_angles(rates.len(), angles))
    }

    /// For tokens in a row, as language models have it: `width / 2` pairs with the angles
    /// `position · (1 / theta^(2j / width))`, in f32.
    ///
    /// Source: transformers, `LlamaRotaryEmbedding`.
    pub fn of_row(positions: &[f32], width: usize, theta: f64) -> Self {
        let half = width / 2;
        let rates: Vec<f32> =
            (0..half).map(|j| 1.0 / theta.powf(f64::from((2 * j) as f32 / width as f32)) as f32).collect();
        let angles = positions.iter().flat_map(|at| rates.iter().map(move |rate| f64::from(at * rate)));
        Self::of_angles(half, angles)
    }

    /// From angles in radians, `half` per token.
    pub fn of_angles(half: usize, angles: impl Iterator<Item = f64>) -> Self {
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            angles.map(f64::sin_cos).map(|(sin, cos)| (sin as f32, cos as f32)).unzip();
        Self { half, cos: cos.into(), sin: sin.into() }
    }

    /// How many tokens have their angles here.
    pub fn tokens(&self) -> usize {
        self.cos.len() / self.half.max(1)
    }

    /// Cosines, then sines, `[tokens, half]` each.
    pub fn table(&self) -> (&[f32], &[f32]) {
        (&self.cos, &self.sin)
    }

    /// Each head of each token, turned: `(a, b)` becomes `(a cos - b sin, a sin + b cos)` for each of its pairs.
    ///
    /// # Shapes
    /// `x` `[batch, tokens, heads · 2 · half]`, kept.
    /// # Errors
    /// [`OpError`] when `x` has another number of tokens or heads of another width.
    pub fn turn(&self, x: Tensor<3>, pairs: Pairs) -> Result<Tensor<3>, OpError> {
        let check = Check("rotary");
        check.filled("x", &x)?;
        let [batch, tokens, width] = x.dims();
        if tokens != self.tokens() {
            return Err(check.shape_error("x", &x, format!("[{batch}, {}, {width}]", self.tokens())));
        }
        check.divides("width of a head", 2 * self.half, width)?;
        let angles = Angles { half: self.half, cos: &self.cos, sin: &self.sin };
        let x = match Flat::take(x) {
            Ok(x) => x,
            Err(x) => return Ok(self.stock(x, pairs)),
        };
        let mut done = Ok(());
        let y = x.change(|x| done = kiln_kernels::rotate(Isa::best(), x, width, angles, pairs));
        done?;
        Ok(y)
    }

    pub(super) fn stock(&self, x: Tensor<3>, pairs: Pairs) -> Tensor<3> {
        let ([batch, tokens, width], half) = (x.dims(), self.half);
        let heads = width / (2 * half);
        let (split, axis) = match pairs {
            Pairs::Neighbours => ([batch, tokens, heads, half, 2], 4),
            Pairs::Halves => ([batch, tokens, heads, 2, half], 3),
        };
        let table = |values: &[f32]| {
            let shape = if axis == 4 { [1, tokens, 1, half, 1] } else { [1, tokens, 1, 1, half] };
            Tensor::<5>::from_data(TensorData::new(values.to_vec(), shape), &x.device()).cast(x.dtype())
        };
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        let x = x.reshape(split);
        let (a, b) = (x.clone().narrow(axis, 0, 1), x.narrow(axis, 1, 1));
        let turned = vec![a.clone() * cos.clone() - b.clone() * sin.clone(), a * sin + b * cos];
        Tensor::cat(turned, axis).reshape([batch, tokens, width])
    }
}
