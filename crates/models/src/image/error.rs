//! What can be wrong with an image or a wish about it.

/// An image operation that can't be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Shape and number of values don't agree.
    #[error("{shape:?} is {expected} values, found {found}")]
    Length {
        /// `[batch, channels, height, width]`.
        shape: [usize; 4],
        /// Values the shape has.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A side without pixels.
    #[error("`{what}` is {height} x {width}; neither side may be 0")]
    Empty {
        /// What has it.
        what: &'static str,
        /// Height.
        height: usize,
        /// Width.
        width: usize,
    },
    /// More pixels than memory can hold.
    #[error("{height} x {width} is too large an image")]
    TooLarge {
        /// Height.
        height: usize,
        /// Width.
        width: usize,
    },
    /// Fewer pixels than an operation looks at.
    #[error("an image of {height} x {width} is too small here; both sides need {least} pixels")]
    TooSmall {
        /// Height.
        height: usize,
        /// Width.
        width: usize,
        /// The least that either needs.
        least: usize,
    },
    /// A palette that can't be.
    #[error("{colours} colours are asked for; a palette has 1 to 256")]
    Colours {
        /// How many.
        colours: usize,
    },
    /// Thresholds in the wrong order.
    #[error(
        "the low threshold is {low} and the high one {high}; the low one must be above 0 and not above the high one"
    )]
    Thresholds {
        /// The low one.
        low: f32,
        /// The high one.
        high: f32,
    },
    /// A method that doesn't exist.
    #[error("unknown upscale method `{name}`; known are {}", .known.join(", "))]
    UnknownMethod {
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// A tensor couldn't be read from its device.
    #[error("a tensor can't be read from its device: {0}")]
    Read(String),
}
