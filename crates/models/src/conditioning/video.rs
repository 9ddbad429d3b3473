//! What a video's network is told beside its image: rate, motion, noise, and where the camera stands.

use std::sync::Arc;

/// Numbers for the network of a video. What isn't set is as it was most often in training.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Video {
    /// Frames per second: 6 unless set.
    pub fps: Option<f32>,
    /// How much moves: 127 unless set.
    pub motion: Option<f32>,
    /// The noise in the image: 0 unless set.
    pub noise: Option<f32>,
    /// Where the camera stands in each frame (SV3D); none stands in front of the object.
    pub cameras: Arc<[Camera]>,
}

/// Where a camera stands, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Above the object.
    pub elevation: f32,
    /// Around it.
    pub azimuth: f32,
}
