//! Merging models: a weight becomes a weighted sum of itself and another model's.

use std::hash::{DefaultHasher, Hash, Hasher};

use kiln_memory::Weight;

/// `own · W + others · W2`, as a change to `W`.
#[derive(Debug, Clone)]
pub struct Mix {
    /// The other model's weight, with its own changes.
    pub other: Weight,
    /// Tells the other weight's contents from those under other changes.
    pub contents: u128,
    /// What is kept of the own weight.
    pub own: f32,
    /// What is added of the other.
    pub others: f32,
    /// The other model's file.
    pub label: String,
}

impl kiln_memory::Patch for Mix {
    fn name(&self) -> String {
        self.label.clone()
    }

    fn key(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            let shares = [self.own.to_bits(), self.others.to_bits()];
            (salt, &self.label, self.other.name(), self.contents, shares).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    /// A weight of another shape is reported and leaves this one as it is, as in the reference.
    fn apply(&self, shape: &[usize], values: &mut [f32]) -> Result<(), String> {
        if shape != self.other.shape() {
            let (weight, found) = (self.other.name(), self.other.shape());
            tracing::error!(weight, ?found, expected = ?shape, other = self.label, "this weight was not merged");
            return Ok(());
        }
        if self.others == 0.0 {
            for own in values.iter_mut() {
                *own *= self.own;
            }
            return Ok(());
        }
        let other = self.other.read().map_err(|error| error.to_string())?;
        values.iter_mut().zip(other.iter()).for_each(|(own, other)| *own = *own * self.own + other * self.others);
        Ok(())
    }
}
