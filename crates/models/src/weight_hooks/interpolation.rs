//! Ways from one strength to another.

use std::f32::consts::PI;

use crate::schedule::linspace;

/// A way from one number to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Evenly.
    Linear,
    /// Slow at first: `t²`.
    EaseIn,
    /// Slow at last: `1 - (1 - t)²`.
    EaseOut,
    /// Slow at both ends: `(1 - cos πt) / 2`.
    EaseInOut,
}

impl Interpolation {
    /// ComfyUI's names.
    pub const NAMES: [&'static str; 4] = ["linear", "ease_in", "ease_out", "ease_in_out"];

    /// The way of that name.
    pub fn named(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        Some([Self::Linear, Self::EaseIn, Self::EaseOut, Self::EaseInOut][at])
    }

    /// `count` numbers from `from` to `to`, in f32 as the reference's torch has them.
    pub fn between(self, from: f64, to: f64, count: usize) -> Vec<f32> {
        if self == Self::Linear {
            return linspace(from as f32, to as f32, count);
        }
        let bend = |t: f32| match self {
            Self::Linear => t,
            Self::EaseIn => t * t,
            Self::EaseOut => 1.0 - (1.0 - t) * (1.0 - t),
            Self::EaseInOut => (1.0 - (t * PI).cos()) / 2.0,
        };
        let (difference, from) = ((to - from) as f32, from as f32);
        linspace(0.0, 1.0, count).into_iter().map(|t| difference * bend(t) + from).collect()
    }
}
