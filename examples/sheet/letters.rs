//! Letters of three by five dots, for labels. Knows small letters (drawn as capitals), digits and the underscore.

use crate::canvas::Canvas;

/// Dots per side of a dot.
const DOT: usize = 2;
/// From one letter to the next.
const STEP: usize = 4 * DOT;
/// Height of a line.
pub(crate) const HEIGHT: usize = 5 * DOT;

/// Five rows from the top, one octal digit each: 4 is the left dot, 1 the right one.
const LETTERS: [u16; 26] = [
    0o25755, 0o65656, 0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152, 0o55655, 0o44447,
    0o57755, 0o75555, 0o25552, 0o65644, 0o25563, 0o65655, 0o34216, 0o72222, 0o55557, 0o55552, 0o55775, 0o55255,
    0o55222, 0o71247,
];
const DIGITS: [u16; 10] = [0o75557, 0o26227, 0o61247, 0o61216, 0o55711, 0o74616, 0o34652, 0o71222, 0o25252, 0o25316];

/// Width of a text in dots of the canvas.
pub(crate) fn width(text: &str) -> usize {
    text.len() * STEP
}

pub(crate) fn write(canvas: &mut Canvas, left: usize, top: usize, text: &str) {
    for (at, letter) in text.bytes().enumerate() {
        let rows = match letter {
            b'a'..=b'z' => LETTERS[usize::from(letter - b'a')],
            b'0'..=b'9' => DIGITS[usize::from(letter - b'0')],
            _ => 0o00007,
        };
        for dot in (0..15).filter(|dot| rows >> (14 - dot) & 1 == 1) {
            let (x, y) = (left + at * STEP + dot % 3 * DOT, top + dot / 3 * DOT);
            (0..DOT * DOT).for_each(|i| canvas.dot(x + i % DOT, y + i / DOT, [40; 3]));
        }
    }
}
