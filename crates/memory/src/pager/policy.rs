//! How a device decides what stays. The rules themselves are in `room`.

/// How a device decides what stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// From the schedule: who is used sooner stays, in a loop an evenly spread subset stays.
    #[default]
    Plan,
    /// The reference system's: each model keeps its front, up to a watermark that sinks under pressure until the model
    /// runs next; models that ran last are last to give.
    Watermark,
    /// Least recently used goes first, everything is let in. Moves a whole model per pass when it doesn't fit.
    Lru,
    /// What came first stays; nothing is ever evicted for another.
    AllResident,
    /// Nothing stays.
    None,
}
