//! Layers over the frames of a video: what neighbours in time are mixed with.
//!
//! Frames travel as a batch, `[clips · frames, channels, h, w]`, the frames of a clip one behind the other; these layers
//! see them as `[clips, channels, frames, h · w]`.

mod blend;
mod clips;
mod conv;
mod residual;

pub(crate) use blend::Blend;
pub(crate) use clips::{to_clips, to_frames};
pub(crate) use conv::FrameConv;
pub(crate) use residual::FrameResidual;
