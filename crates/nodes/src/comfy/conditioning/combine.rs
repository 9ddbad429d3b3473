//! Conditions joined and mixed.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::Conditioning as Conditions;

use crate::payload::Conditioning;

/// Lets two conditions hold at once: their predictions are averaged.
#[derive(Node)]
#[node(display_name = "Conditioning (Combine)", category = "conditioning")]
pub struct ConditioningCombine {
    /// One.
    conditioning_1: Conditioning,
    /// The other.
    conditioning_2: Conditioning,
}

impl Execute for ConditioningCombine {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(self.conditioning_1.0.combine(&self.conditioning_2.0)))
    }
}

/// Mixes two encoded prompts number by number.
#[derive(Node)]
#[allow(clippy::struct_field_names, reason = "the inputs have ComfyUI's names")]
#[node(category = "conditioning")]
pub struct ConditioningAverage {
    /// What the strength counts.
    conditioning_to: Conditioning,
    /// What the rest is made of.
    conditioning_from: Conditioning,
    /// The share of the first.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    conditioning_to_strength: f64,
}

impl Execute for ConditioningAverage {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let (to, from) = (&self.conditioning_to.0, &self.conditioning_from.0);
        same_width(to, from)?;
        Ok(Conditioning::new(to.average(from, self.conditioning_to_strength)))
    }
}

/// Puts the words of one prompt behind those of another.
#[derive(Node)]
#[node(display_name = "Conditioning (Concat)", category = "conditioning")]
pub struct ConditioningConcat {
    /// The prompt that comes first.
    conditioning_to: Conditioning,
    /// The prompt behind it.
    conditioning_from: Conditioning,
}

impl Execute for ConditioningConcat {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let (to, from) = (&self.conditioning_to.0, &self.conditioning_from.0);
        same_width(to, from)?;
        Ok(Conditioning::new(to.concat(from)))
    }
}

/// Prompts of two families have rows of different widths and cannot be mixed.
fn same_width(to: &Conditions, from: &Conditions) -> Result<(), NodeError> {
    let Some(other) = from.entries.first().map(|entry| entry.context.dims()[2]) else { return Ok(()) };
    match to.entries.iter().map(|entry| entry.context.dims()[2]).find(|width| *width != other) {
        None => Ok(()),
        Some(width) => Err(NodeError::new(format!(
            "`conditioning_to` is {width} wide and `conditioning_from` {other}; encode both with the same model's CLIP"
        ))),
    }
}

/// A condition that says nothing.
#[derive(Node)]
#[node(category = "advanced/conditioning")]
pub struct ConditioningZeroOut {
    /// The condition whose shape is kept.
    conditioning: Conditioning,
}

impl Execute for ConditioningZeroOut {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(self.conditioning.0.zero_out()))
    }
}
