//! The counter: which index each iteration of a loop has. Knows numbers only.

use kiln_exec::NodeError;

/// The indices of a loop, as Python's `range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    first: i128,
    step: i128,
    count: u64,
}

impl Counter {
    /// `0, 1, …` so many times; never for a negative number.
    pub(super) fn times(count: i128) -> Self {
        Self { first: 0, step: 1, count: clamped(count) }
    }

    /// From `first` up to `stop`, which is left out, or down to it if the step is negative.
    ///
    /// # Errors
    /// When the step is 0.
    pub(super) fn range(first: i128, stop: i128, step: i128) -> Result<Self, NodeError> {
        let (way, stride) = match step {
            0 => return Err(NodeError::new("input `mode.step` is 0, so the loop would never end; give 1 or more")),
            step if step > 0 => (stop.saturating_sub(first), step),
            step => (first.saturating_sub(stop), step.saturating_neg()),
        };
        let count = if way <= 0 { 0 } else { (way - 1) / stride + 1 };
        Ok(Self { first, step, count: clamped(count) })
    }

    /// How many iterations there are.
    pub(super) fn count(self) -> u64 {
        self.count
    }

    /// The index of every iteration, in order.
    pub(super) fn indices(self) -> impl Iterator<Item = i128> {
        (0..self.count).map(move |position| self.first + self.step * i128::from(position))
    }
}

fn clamped(count: i128) -> u64 {
    u64::try_from(count.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Counter;

    fn range(first: i128, stop: i128, step: i128) -> Vec<i128> {
        Counter::range(first, stop, step).map(|counter| counter.indices().collect()).unwrap_or_default()
    }

    #[test]
    fn ranges_are_those_of_python() {
        assert_eq!(range(0, 4, 1), [0, 1, 2, 3]);
        assert_eq!(range(2, 9, 3), [2, 5, 8]);
        assert_eq!(range(2, 8, 3), [2, 5]);
        assert_eq!(range(-3, 3, 2), [-3, -1, 1]);
        assert_eq!(range(5, 0, -2), [5, 3, 1]);
        assert_eq!(range(4, 4, 1), []);
        assert_eq!(range(9, 4, 1), []);
        assert!(Counter::range(0, 4, 0).is_err());
    }

    #[test]
    fn a_count_is_never_negative() {
        assert_eq!(Counter::times(-5).count(), 0);
        assert_eq!(Counter::times(3).indices().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(Counter::range(0, i128::from(u64::MAX), 1).map(Counter::count).ok(), Some(u64::MAX));
    }
}
