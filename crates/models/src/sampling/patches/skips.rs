//! Which blocks of a network are left out, at which noise levels, and what becomes of it. Data alone.

use crate::nets::hooks::SkippedBlocks;

/// Noise levels at which a change holds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelRange {
    /// The larger level.
    pub start: f64,
    /// The smaller one.
    pub end: f64,
}

impl LevelRange {
    /// Whether it holds at a level.
    pub fn holds_at(self, sigma: f32) -> bool {
        let sigma = f64::from(sigma);
        sigma <= self.start && sigma >= self.end
    }
}

/// Guidance away from the positive prediction without some blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockSkips {
    /// The blocks.
    pub blocks: SkippedBlocks,
    /// How far.
    pub scale: f32,
    /// How much of the result is drawn back to the positive prediction's spread; 0 for nothing.
    pub rescale: f32,
    /// When.
    pub range: LevelRange,
}
