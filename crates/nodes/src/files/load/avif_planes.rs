//! Brightness and chroma of a frame as red, green and blue.

use re_rav1d::dav1d::{Picture, PixelLayout, PlanarImageComponent, pixel::MatrixCoefficients, pixel::YUVRange};

/// A frame's planes, 0 to 1 for brightness and -0.5 to 0.5 for chroma.
pub(super) struct Planes {
    pub(super) width: usize,
    pub(super) height: usize,
    brightness: Vec<f32>,
    /// Blue and red, of the full size; none for shades of grey.
    chroma: Option<[Vec<f32>; 2]>,
    matrix: MatrixCoefficients,
}

/// How whole numbers stand for shades.
#[derive(Clone, Copy)]
struct Scale {
    bytes: usize,
    zero: f32,
    most: f32,
}

impl Planes {
    /// Takes the planes out of a frame.
    ///
    /// # Errors
    /// Depths and matrices that are not known.
    pub(super) fn of(picture: &Picture) -> Result<Self, String> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let bits = picture.bits_per_component().ok_or("its depth is none of 8, 10 and 12 bits")?.0;
        let unit = (1u32 << (bits - 8)) as f32;
        let full = picture.color_range() == YUVRange::Full;
        let matrix = picture.matrix_coefficients();
        // Red, green and blue themselves have no chroma.
        let is_rgb = matrix == MatrixCoefficients::Identity;
        let bytes = if bits > 8 { 2 } else { 1 };
        let shades = |zero: f32, most: f32| Scale { bytes, zero: zero * unit, most: most * unit };
        let everything = ((1u32 << bits) - 1) as f32;
        let brightness = if full { Scale { bytes, zero: 0.0, most: everything } } else { shades(16.0, 219.0) };
        let chroma = match (full, is_rgb) {
            (_, true) => brightness,
            (true, _) => Scale { bytes, zero: 128.0 * unit, most: everything },
            (false, _) => shades(128.0, 224.0),
        };
        let plane = |component, width, height, scale| levels(picture, component, width, height, scale);
        let (u, v) = (PlanarImageComponent::U, PlanarImageComponent::V);
        let halves = match picture.pixel_layout() {
            PixelLayout::I400 => None,
            PixelLayout::I444 => Some((false, false)),
            PixelLayout::I422 => Some((true, false)),
            PixelLayout::I420 => Some((true, true)),
        };
        let chroma = halves.map(|(across, down)| {
            let small =
                (if across { width.div_ceil(2) } else { width }, if down { height.div_ceil(2) } else { height });
            [u, v].map(|component| {
                let values = plane(component, small.0, small.1, chroma);
                let values = if across { spread(&values, 1, small.0, width) } else { values };
                if down { spread(&values, width, small.1, height) } else { values }
            })
        });
        let brightness = plane(PlanarImageComponent::Y, width, height, brightness);
        Ok(Self { width, height, brightness, chroma, matrix })
    }

    /// Brightness alone, in bytes: what an image of opacity is.
    pub(super) fn levels(&self) -> Vec<u8> {
        self.brightness.iter().map(|value| byte(*value)).collect()
    }

    /// Three bytes a pixel.
    ///
    /// # Errors
    /// A matrix that is not known.
    pub(super) fn rgb(&self) -> Result<Vec<u8>, String> {
        let Some([blue, red]) = &self.chroma else {
            return Ok(self.brightness.iter().flat_map(|value| [byte(*value); 3]).collect());
        };
        let pixels = self.brightness.iter().zip(blue).zip(red).map(|((y, b), r)| (*y, *b, *r));
        if self.matrix == MatrixCoefficients::Identity {
            return Ok(pixels.flat_map(|(g, b, r)| [byte(r), byte(g), byte(b)]).collect());
        }
        // The shares of red and blue in brightness.
        let (kr, kb) = match self.matrix {
            MatrixCoefficients::BT709 => (0.2126, 0.0722),
            MatrixCoefficients::BT2020NonConstantLuminance => (0.2627, 0.0593),
            MatrixCoefficients::BT470M => (0.30, 0.11),
            MatrixCoefficients::ST240M => (0.212, 0.087),
            MatrixCoefficients::BT470BG | MatrixCoefficients::ST170M | MatrixCoefficients::Unspecified => {
                (0.299, 0.114)
            }
            other => return Err(format!("its colours are of the matrix {other:?}")),
        };
        let kg = 1.0f32 - kr - kb;
        let colours = |(y, b, r): (f32, f32, f32)| {
            let (red, blue) = (y + 2.0 * (1.0 - kr) * r, y + 2.0 * (1.0 - kb) * b);
            let green = (y - kr * red - kb * blue) / kg;
            [byte(red), byte(green), byte(blue)]
        };
        Ok(pixels.flat_map(colours).collect())
    }
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn levels(picture: &Picture, plane: PlanarImageComponent, width: usize, height: usize, scale: Scale) -> Vec<f32> {
    let (stride, bytes) = (picture.stride(plane) as usize, picture.plane(plane));
    let line = |y: usize| {
        let line = bytes.get(y * stride..).unwrap_or_default();
        &line[..line.len().min(width * scale.bytes)]
    };
    let level = |value: u16| (f32::from(value) - scale.zero) / scale.most;
    let mut levels = Vec::with_capacity(width * height);
    for y in 0..height {
        if scale.bytes == 1 {
            levels.extend(line(y).iter().map(|value| level(u16::from(*value))));
        } else {
            levels.extend(line(y).as_chunks::<2>().0.iter().map(|pair| level(u16::from_ne_bytes(*pair))));
        }
    }
    levels.resize(width * height, 0.0);
    levels
}

/// Twice as many values along a side, each of three quarters of the nearer one and a quarter of the farther. `step` values
/// lie between two neighbours, `count` of them become `wanted`.
fn spread(values: &[f32], step: usize, count: usize, wanted: usize) -> Vec<f32> {
    let lines = values.len() / (step * count).max(1);
    let mut out = vec![0.0; lines * wanted * step];
    for line in 0..lines {
        for place in 0..wanted {
            let near = place / 2;
            let far = if place % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(count - 1) };
            let at = |place: usize| &values[(line * count + place) * step..][..step];
            let to = &mut out[(line * wanted + place) * step..][..step];
            for ((to, near), far) in to.iter_mut().zip(at(near)).zip(at(far)) {
                *to = 0.75 * near + 0.25 * far;
            }
        }
    }
    out
}
