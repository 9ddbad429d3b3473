//! An image in the making. Knows pixels and where they go, nothing of what draws them.

/// Why there is no sheet.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// An image in the making: rows of RGB.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) rgb: Vec<u8>,
}

impl Canvas {
    pub(crate) fn white(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![255; width * height * 3] }
    }

    /// Copies a square image of `side` pixels to where its left upper corner is to be.
    pub(crate) fn paste(&mut self, left: usize, top: usize, image: &[u8], side: usize) {
        for (row, line) in image.chunks_exact(side * 3).enumerate() {
            let start = ((top + row) * self.width + left) * 3;
            self.rgb[start..start + side * 3].copy_from_slice(line);
        }
    }

    pub(crate) fn dot(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }
}
