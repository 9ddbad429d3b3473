//! A sequence of images that becomes one file.

use indexmap::IndexMap;

use crate::files::png::Colour;

/// What is the same for every image of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Animation {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What the bytes mean.
    pub colour: Colour,
    /// How many images there are; a single one becomes a still file.
    pub count: u32,
    /// How long each image is shown, in milliseconds.
    pub milliseconds: u32,
    /// How often the whole is shown; 0 is without end.
    pub loops: u32,
    /// Texts by keyword: `prompt`, `workflow`.
    pub texts: IndexMap<String, String>,
}

impl Animation {
    /// How often the whole is shown, where a format has 16 bits for it.
    pub(super) fn loops_u16(&self) -> u16 {
        u16::try_from(self.loops).unwrap_or(u16::MAX)
    }
}

/// Makes the bytes of an image, rows from the top, by its number from 0.
pub type NextImage<'a> = dyn FnMut(u32) -> std::io::Result<Vec<u8>> + 'a;
