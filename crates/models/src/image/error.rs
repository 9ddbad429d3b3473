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
