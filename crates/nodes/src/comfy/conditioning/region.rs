//! Where and when conditions hold.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::{Conditioning, Mask};

/// Lets a condition hold in a rectangle.
#[derive(Node)]
#[node(display_name = "Conditioning (Set Area)", category = "conditioning", aliases("region"))]
pub struct ConditioningSetArea {
    /// The condition.
    conditioning: Conditioning,
    /// Width of the rectangle in pixels.
    #[input(default = 64, min = 64, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Its height in pixels.
    #[input(default = 64, min = 64, max = MAX_SIDE, step = 8)]
    height: usize,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 8)]
    y: usize,
    /// How much it counts against other conditions.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
}

impl Execute for ConditioningSetArea {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let Self { width, height, x, y, strength, conditioning } = self;
        Ok(Conditioning::new(conditioning.0.set_area([width, height, x, y], strength)))
    }
}

/// Lets a condition hold in a rectangle given in parts of the image.
#[derive(Node)]
#[node(display_name = "Conditioning (Set Area with Percentage)", category = "conditioning", aliases("region"))]
pub struct ConditioningSetAreaPercentage {
    /// The condition.
    conditioning: Conditioning,
    /// Width of the rectangle, 1 for the whole image.
    #[input(default = 1.0, min = 0, max = 1.0, step = 0.01)]
    width: f64,
    /// Its height.
    #[input(default = 1.0, min = 0, max = 1.0, step = 0.01)]
    height: f64,
    /// Its left side.
    #[input(default = 0, min = 0, max = 1.0, step = 0.01)]
    x: f64,
    /// Its upper side.
    #[input(default = 0, min = 0, max = 1.0, step = 0.01)]
    y: f64,
    /// How much it counts against other conditions.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
}

impl Execute for ConditioningSetAreaPercentage {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let Self { width, height, x, y, strength, conditioning } = self;
        Ok(Conditioning::new(conditioning.0.set_area_fraction([width, height, x, y], strength)))
    }
}

/// Sets how much a condition counts against others.
#[derive(Node)]
#[node(category = "conditioning")]
pub struct ConditioningSetAreaStrength {
    /// The condition.
    conditioning: Conditioning,
    /// How much it counts.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
}

impl Execute for ConditioningSetAreaStrength {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(self.conditioning.0.set_strength(self.strength)))
    }
}

/// Lets a condition hold where a mask is white.
#[derive(Node)]
#[node(display_name = "Conditioning (Set Mask)", category = "conditioning", aliases("region"))]
pub struct ConditioningSetMask {
    /// The condition.
    conditioning: Conditioning,
    /// White where it holds. Of any size.
    mask: Mask,
    /// How much it counts against other conditions.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// Whether the model sees the whole image or only the part around the mask.
    #[input(combo = ["default", "mask bounds"])]
    set_cond_area: String,
}

impl Execute for ConditioningSetMask {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let bounds = self.set_cond_area == "mask bounds";
        Ok(Conditioning::new(self.conditioning.0.set_mask(&self.mask.tensor(), self.strength, bounds)))
    }
}

/// Lets a condition hold for a part of the run.
#[derive(Node)]
#[node(category = "advanced/conditioning")]
pub struct ConditioningSetTimestepRange {
    /// The condition.
    conditioning: Conditioning,
    /// From where, 0 for the start of the run.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start: f64,
    /// To where, 1 for its end.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end: f64,
}

impl Execute for ConditioningSetTimestepRange {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(self.conditioning.0.set_range(self.start, self.end)))
    }
}
