//! Which text encoder of a family one is.

/// Which text encoder of a family one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextEncoderKind {
    /// OpenAI's CLIP-L.
    L,
    /// OpenCLIP-H.
    H,
    /// OpenCLIP bigG.
    G,
}

impl TextEncoderKind {
    /// Its name in messages and in ComfyUI's model keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::L => "clip_l",
            Self::H => "clip_h",
            Self::G => "clip_g",
        }
    }
}
