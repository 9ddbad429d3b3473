//! A canvas of bytes: pixels, rectangles, shares of a colour. Knows no detections and no letters.

use kiln_models::image::Pixels;

/// A canvas of bytes.
pub(super) struct Canvas {
    pub(super) bytes: Vec<u8>,
    height: i64,
    width: i64,
}

impl Canvas {
    pub(super) fn new(image: &Pixels) -> Self {
        let [height, width, _] = image.dims();
        Self { bytes: image.bytes().to_vec(), height: height as i64, width: width as i64 }
    }

    /// The bytes, row after row.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The place of a pixel, if it lies in the image.
    fn at(&self, x: i64, y: i64) -> Option<usize> {
        let inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        inside.then(|| ((y * self.width + x) * 3) as usize)
    }

    /// Paints a pixel.
    fn dot(&mut self, x: i64, y: i64, colour: [u8; 3]) {
        if let Some(at) = self.at(x, y) {
            self.bytes[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Mixes a share of 255 of a colour in.
    pub(super) fn blend(&mut self, x: i64, y: i64, colour: [u8; 3], share: u8) {
        if let Some(at) = self.at(x, y) {
            let share = u32::from(share);
            for (byte, colour) in self.bytes[at..at + 3].iter_mut().zip(colour) {
                *byte = ((u32::from(*byte) * (255 - share) + u32::from(colour) * share + 127) / 255) as u8;
            }
        }
    }

    /// Fills a rectangle, both ends included.
    pub(super) fn fill(&mut self, [left, top, right, bottom]: [i64; 4], colour: [u8; 3]) {
        for y in top.max(0)..=bottom.min(self.height - 1) {
            for x in left.max(0)..=right.min(self.width - 1) {
                self.dot(x, y, colour);
            }
        }
    }
}
