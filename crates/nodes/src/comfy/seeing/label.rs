//! Labels: a text on a ground of one colour. Letters are those of an eight by eight font, stretched to about the size that
//! OpenCV's have, with smooth edges.

use font8x8::legacy::{BASIC_LEGACY, LATIN_LEGACY, NOTHING_TO_DISPLAY};

use super::canvas::Canvas;

/// Pixels of a letter at scale 1: about those of OpenCV's simplex font.
const WIDTH: f64 = 18.0;
const HEIGHT: f64 = 24.0;
/// Between the text and the edges of its ground.
const PADDING: i64 = 10;
/// Places along each side of a pixel that are looked at for its share of a letter.
const FINE: usize = 3;
/// Dots of the font along each side of a letter.
const DOTS: f64 = 8.0;

/// A text and how it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) text: &'a str,
    pub(super) scale: f64,
    pub(super) thickness: usize,
}

impl Label<'_> {
    /// Draws it with its lower left corner at `[left, bottom]`; what lies outside of the image is not seen.
    pub(super) fn draw(&self, canvas: &mut Canvas, [left, bottom]: [i64; 2], colour: [u8; 3]) {
        let scale = self.scale.clamp(0.0, 16.0);
        let letters = self.text.chars().take(512);
        let width = (letters.clone().count() as f64 * WIDTH * scale).round() as i64 + 2 * PADDING;
        let height = (HEIGHT * scale).round() as i64 + 2 * PADDING;
        canvas.fill([left, bottom - height, left + width, bottom], colour);
        for (i, letter) in letters.enumerate() {
            let x = left + PADDING + (i as f64 * WIDTH * scale).round() as i64;
            self.letter(canvas, [x, bottom - height + PADDING], letter);
        }
    }

    fn letter(&self, canvas: &mut Canvas, [left, top]: [i64; 2], letter: char) {
        let (rows, scale) = (glyph(letter), self.scale.clamp(0.0, 16.0));
        let (width, height) = ((WIDTH * scale).ceil() as usize, (HEIGHT * scale).ceil() as usize);
        for y in 0..height {
            for x in 0..width {
                let share = self.share(rows, scale, [x, y]);
                if share > 0 {
                    canvas.blend(left + x as i64, top + y as i64, [255; 3], share);
                }
            }
        }
    }

    /// How much of a pixel its letter covers, of 255.
    fn share(&self, rows: [u8; 8], scale: f64, [x, y]: [usize; 2]) -> u8 {
        // Thicker letters reach out of their dots.
        let reach = (self.thickness.clamp(1, 10) as f64 - 2.0) * 0.12;
        let place = |i: usize, fine: usize| (i as f64 + (fine as f64 + 0.5) / FINE as f64) / scale * DOTS;
        let covered = |i: usize| {
            let (across, down) = (place(x, i % FINE) / WIDTH, place(y, i / FINE) / HEIGHT);
            [across - reach, across, across + reach].into_iter().filter(|across| dot(rows, *across, down)).count()
        };
        // A thin letter needs all three of the places, a thick one any of them.
        let counts = |n: usize| if reach < 0.0 { n == 3 } else { n > 0 };
        let hits = (0..FINE * FINE).filter(|i| counts(covered(*i))).count();
        (hits * 255 / (FINE * FINE)) as u8
    }
}

fn dot(rows: [u8; 8], across: f64, down: f64) -> bool {
    let inside = (0.0..DOTS).contains(&across) && (0.0..DOTS).contains(&down);
    inside && rows[down as usize] >> across as u32 & 1 == 1
}

/// The rows of a letter, the lowest bit on the left; a question mark for those that the font lacks.
fn glyph(letter: char) -> [u8; 8] {
    let code = letter as usize;
    match code {
        0..0x20 => NOTHING_TO_DISPLAY,
        0x20..0x80 => BASIC_LEGACY[code],
        0xA0..0x100 => LATIN_LEGACY[code - 0xA0],
        _ => BASIC_LEGACY['?' as usize],
    }
}
