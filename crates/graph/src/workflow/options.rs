//! What lowering cannot know from the workflow: a seed, and what time it is.

/// What lowering cannot know from the workflow.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowerOptions {
    /// Decides between the alternatives of `{a|b|c}` in texts.
    pub seed: u64,
    /// The time for `%date:...%` in file names; without it they stay as they are.
    pub now: Option<LocalTime>,
}

/// A point in local time, for file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year, four digits.
    pub year: u16,
    /// Month, from 1.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, from 0 to 23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
}
