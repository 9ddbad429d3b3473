//! What people see of detections: coloured masks, boxes, labels. As supervision 0.18 draws them with OpenCV, byte for byte but
//! for the font.

use kiln_models::image::{Detection, Pixels};

use super::canvas::Canvas;
use super::label::Label;
use super::outline::Outline;

/// Colours of classes, in turn.
const PALETTE: [u32; 21] = [
    0xA3_51FB, 0xFF_4040, 0xFF_A1A0, 0xFF_7633, 0xFF_B633, 0xD1_D435, 0x4C_FB12, 0x94_CF1A, 0x40_DE8A, 0x1B_9640,
    0x00_D6C1, 0x2E_9CAA, 0x00_C4FF, 0x36_4797, 0x66_75FF, 0x00_19EF, 0x86_3AFF, 0x53_0087, 0xCD_3AFF, 0xFF_97CA,
    0xFF_39C9,
];

/// The colour of a class.
fn colour(class: usize) -> [u8; 3] {
    let [_, red, green, blue] = PALETTE[class % PALETTE.len()].to_be_bytes();
    [red, green, blue]
}

/// Widths and texts of what is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) box_thickness: usize,
    pub(super) text_thickness: usize,
    pub(super) text_scale: f64,
    /// Whether labels say how sure the detector is.
    pub(super) with_confidence: bool,
}

impl Canvas {
    /// Half of each mask's colour over half of the image, smaller masks over larger ones.
    pub(super) fn masks(&mut self, found: &[Detection], masks: &[Outline]) {
        let mut painted = self.bytes.clone();
        let area = |mask: &Outline| mask.iter().filter(|on| **on).count();
        let mut order: Vec<(usize, usize)> = masks.iter().map(area).enumerate().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then(b.0.cmp(&a.0)));
        for (i, _) in order {
            let colour = found.get(i).map_or([255; 3], |found| colour(found.class));
            for (pixel, _) in painted.chunks_exact_mut(3).zip(&masks[i]).filter(|(_, on)| **on) {
                pixel.copy_from_slice(&colour);
            }
        }
        for (byte, painted) in self.bytes.iter_mut().zip(painted) {
            let sum = u16::from(*byte) + u16::from(painted);
            // To the nearest, a half to the even one.
            *byte = (sum / 2 + u16::from(sum % 4 == 3)) as u8;
        }
    }

    /// The outlines of boxes.
    pub(super) fn boxes(&mut self, found: &[Detection], thickness: usize) {
        for found in found {
            self.outline(found.corners.map(|v| v as i64), thickness, colour(found.class));
        }
    }

    /// A rectangle's outline, drawn with a round brush.
    fn outline(&mut self, [left, top, right, bottom]: [i64; 4], thickness: usize, colour: [u8; 3]) {
        let reach = if thickness < 2 { 0 } else { thickness.div_ceil(2) as i64 };
        for dy in -reach..=reach {
            let dx = ((reach * reach - dy * dy) as f64).sqrt() as i64;
            for y in [top, bottom] {
                self.fill([left - dx, y + dy, right + dx, y + dy], colour);
            }
            // A column of the upright sides reaches as far up and down as a row reaches to the sides.
            for x in [left, right] {
                self.fill([x + dy, top - dx, x + dy, bottom + dx], colour);
            }
        }
    }

    /// What each box is around, on a ground of its class's colour above its left upper corner.
    pub(super) fn labels(&mut self, found: &[Detection], categories: &[String], style: &Style) {
        for found in found {
            let name = categories.get(found.class).map_or("", String::as_str);
            let text = if style.with_confidence { format!("{name}: {:.3}", found.score) } else { name.to_owned() };
            let [left, top, ..] = found.corners.map(|v| v as i64);
            let label = Label { text: &text, scale: style.text_scale, thickness: style.text_thickness };
            label.draw(self, [left, top], colour(found.class));
        }
    }
}

/// An image with everything that was found in it.
pub(super) fn annotated(
    image: &Pixels,
    found: &[Detection],
    masks: &[Outline],
    categories: &[String],
    style: &Style,
) -> Vec<u8> {
    let mut canvas = Canvas::new(image);
    if !masks.is_empty() {
        canvas.masks(found, masks);
    }
    canvas.boxes(found, style.box_thickness);
    canvas.labels(found, categories, style);
    canvas.into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Rows of a rectangle of 8, 7 to 22, 16, each as the columns that are painted.
    fn rows(thickness: usize) -> Vec<(i64, Vec<(i64, i64)>)> {
        let image = Pixels::new([24, 32, 3], vec![0; 24 * 32 * 3]).unwrap();
        let mut canvas = Canvas::new(&image);
        canvas.outline([8, 7, 22, 16], thickness, [255; 3]);
        let bytes = canvas.into_bytes();
        let on = |x: i64, y: i64| (0..32).contains(&x) && bytes[((y * 32 + x) * 3) as usize] > 0;
        let spans = |y: i64| {
            let starts = (0..32).filter(move |x| on(*x, y) && !on(x - 1, y));
            let ends = (0..32).filter(move |x| on(*x, y) && !on(x + 1, y));
            starts.zip(ends).collect::<Vec<_>>()
        };
        (0..24).map(|y| (y, spans(y))).filter(|(_, spans)| !spans.is_empty()).collect()
    }

    /// By OpenCV 4.11, `cv2.rectangle`.
    #[test]
    fn rectangles_have_opencvs_widths_and_corners() {
        let two = rows(2);
        assert_eq!(two[0], (6, vec![(8, 22)]));
        assert_eq!(two[1], (7, vec![(7, 23)]));
        assert_eq!(two[3], (9, vec![(7, 9), (21, 23)]));
        assert_eq!(rows(3), rows(4));
        let three = rows(3);
        assert_eq!(three[..3], [(5, vec![(8, 22)]), (6, vec![(7, 23)]), (7, vec![(6, 24)])]);
        let five = rows(5);
        assert_eq!(five[..4], [(4, vec![(8, 22)]), (5, vec![(6, 24)]), (6, vec![(6, 24)]), (7, vec![(5, 25)])]);
        assert_eq!(rows(1).len(), 10);
    }

    #[test]
    fn a_mask_is_mixed_half_and_half_and_rounded_to_the_even_byte() {
        let image = Pixels::new([1, 2, 3], vec![0, 1, 2, 9, 9, 9]).unwrap();
        let mut canvas = Canvas::new(&image);
        let found = Detection { corners: [0.0; 4], score: 1.0, class: 0 };
        canvas.masks(&[found], &[vec![true, false]]);
        // 0xA3, 0x51 and 0xFB with 0, 1 and 2: 81.5, 41 and 126.5.
        assert_eq!(canvas.into_bytes(), [82, 41, 126, 9, 9, 9]);
    }
}
