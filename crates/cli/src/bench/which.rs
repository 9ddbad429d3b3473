//! Which picture a bench makes. Knows sizes, and nothing that runs.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// The main job: the bundled model, 20 steps at 128x128, guidance on.
    Main,
    /// Stable Diffusion 1.5 at 512x512, guidance on: two images per evaluation.
    Sd15,
    /// SDXL at 1024x1024, without guidance: one image per evaluation.
    Sdxl,
}

impl Bench {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sd15 => "sd15",
            Self::Sdxl => "sdxl",
        }
    }

    /// Steps, unless others are asked for.
    pub fn steps(self) -> u32 {
        match self {
            Self::Main => 20,
            Self::Sd15 => 4,
            Self::Sdxl => 3,
        }
    }

    /// Pixels along a side, and the strength of guidance.
    pub(super) fn size(self) -> (u32, f64) {
        match self {
            Self::Main => (128, 4.0),
            Self::Sd15 => (512, 7.0),
            Self::Sdxl => (1024, 1.0),
        }
    }
}
