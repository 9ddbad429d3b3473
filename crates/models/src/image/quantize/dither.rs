//! What becomes of the difference between a pixel and its nearest colour.
//!
//! Sources: Pillow `ConvertToPalette.c` (Floyd and Steinberg's error diffusion); ComfyUI `nodes_post_processing.py`
//! (Bayer's ordered patterns).

use super::nearest::Nearest;

/// How differences are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dither {
    /// Not at all.
    None,
    /// To the neighbours that come later.
    FloydSteinberg,
    /// By a pattern of so many pixels in a square of two to that power.
    Bayer {
        /// The side of the pattern is two to this power, in pixels.
        power: u32,
    },
}

impl Dither {
    /// The one that ComfyUI calls so: `none`, `floyd-steinberg`, `bayer-2`, `bayer-4`, `bayer-8`, `bayer-16`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "floyd-steinberg" => Self::FloydSteinberg,
            "bayer-2" => Self::Bayer { power: 1 },
            "bayer-4" => Self::Bayer { power: 2 },
            "bayer-8" => Self::Bayer { power: 3 },
            "bayer-16" => Self::Bayer { power: 4 },
            _ => return None,
        })
    }
}

/// Puts a colour of the palette in the place of each pixel.
pub(super) fn reduce(pixels: &mut [[u8; 3]], width: usize, palette: Vec<[u8; 3]>, dither: Dither) {
    let mut nearest = Nearest::new(palette);
    match dither {
        Dither::None => {
            for pixel in pixels {
                *pixel = nearest.of(*pixel);
            }
        }
        Dither::FloydSteinberg => diffuse(pixels, width, &mut nearest),
        Dither::Bayer { power } => {
            let (side, pattern) = (1 << power, pattern(power, nearest.colours()));
            for (i, p) in pixels.iter_mut().enumerate() {
                let more = pattern[i / width % side * side + i % width % side];
                *p = nearest.of(p.map(|v| (f32::from(v) + more).clamp(0.0, 255.0) as u8));
            }
        }
    }
}

/// What is added to the pixels of a square, more the fewer colours there are.
fn pattern(power: u32, colours: usize) -> Vec<f32> {
    let mut square = vec![0.0f32];
    for n in 1..=power {
        let (half, whole) = (1usize << (n - 1), 1usize << n);
        let scale = f32::from(4u16.pow(n));
        let corner = |y: usize, x: usize| [[-1.5, 0.5], [1.5, -0.5]][y / half][x / half];
        let value = |i: usize| {
            let (y, x) = (i / whole, i % whole);
            (scale * square[y % half * half + x % half] + corner(y, x)) / scale
        };
        square = (0..whole * whole).map(value).collect();
    }
    let spread = (512.0 / colours as f64) as f32;
    square.into_iter().map(|v| spread * v + 0.5).collect()
}

/// Seven sixteenths of a difference go to the right, three to the left below, five below, one to the right below.
fn diffuse(pixels: &mut [[u8; 3]], width: usize, nearest: &mut Nearest) {
    let mut below = vec![[0i32; 3]; width + 1];
    for row in pixels.chunks_exact_mut(width) {
        let [mut right, mut under, mut corner, mut last] = [[0i32; 3]; 4];
        for (x, pixel) in row.iter_mut().enumerate() {
            let wanted: [u8; 3] =
                std::array::from_fn(|c| (i32::from(pixel[c]) + (right[c] + below[x + 1][c]) / 16).clamp(0, 255) as u8);
            *pixel = nearest.of(wanted);
            for c in 0..3 {
                let error = i32::from(wanted[c]) - i32::from(pixel[c]);
                below[x][c] = 3 * error + under[c];
                under[c] = 5 * error + corner[c];
                corner[c] = error;
                right[c] = 7 * error;
                last[c] = error;
            }
        }
        // Pillow leaves blue's differences in the place of all three colours at the row's end.
        below[width] = [under[2], corner[2], last[2]];
    }
}
