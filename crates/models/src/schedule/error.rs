//! What can be wrong with a request for noise levels.

/// A request for noise levels that can't be met.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No steps.
    #[error("`steps` is 0; sampling needs at least 1")]
    NoSteps,
    /// More steps than anybody waits for; a tiny `denoise` multiplies `steps`.
    #[error("{steps} steps at denoise {denoise} make a schedule of {total} levels; at most {limit} are possible")]
    TooManySteps {
        /// Steps asked for.
        steps: usize,
        /// Part of the schedule asked for.
        denoise: f64,
        /// Levels that come of it.
        total: f64,
        /// The limit.
        limit: usize,
    },
    /// A scheduler that doesn't exist.
    #[error("unknown scheduler `{name}`; known are `{}`", .known.join("`, `"))]
    UnknownScheduler {
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// kl_optimal divides by steps - 1.
    #[error("scheduler `kl_optimal` needs at least 2 steps")]
    KlOptimal,
    /// A number outside of where its formula holds.
    #[error("`{what}` is {found}; it must be {expected}")]
    Range {
        /// The number's name.
        what: &'static str,
        /// Its value.
        found: f64,
        /// Where it must be.
        expected: &'static str,
    },
}

/// A number that must be finite and above zero.
pub(super) fn positive(what: &'static str, found: f64) -> Result<(), ScheduleError> {
    if found.is_finite() && found > 0.0 {
        return Ok(());
    }
    Err(ScheduleError::Range { what, found, expected: "finite and above 0" })
}
