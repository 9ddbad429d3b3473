//! PIL's Lanczos resampling of 8-bit images, bit for bit.
//!
//! Source: Pillow `src/libImaging/Resample.c`: fixed-point coefficients of 22 bits, horizontal pass first.

use super::planes::Planes;

const PRECISION: u32 = 22;
const SUPPORT: f64 = 3.0;

/// Resizes values of 0..1 through 8 bits.
pub(super) fn resize(planes: &Planes, width: usize, height: usize) -> Planes {
    let [_, _, h, w] = planes.shape();
    let across = (w != width).then(|| coefficients(w, width));
    let down = (h != height).then(|| coefficients(h, height));
    planes.map(height, width, |plane| {
        let mut bytes: Vec<u8> = plane.iter().map(|v| (255.0 * v).clamp(0.0, 255.0) as u8).collect();
        if let Some(across) = &across {
            bytes = (0..h)
                .flat_map(|y| across.iter().map(move |taps| (y, taps)))
                .map(|(y, taps)| taps.apply(|x| bytes[y * w + x]))
                .collect();
        }
        if let Some(down) = &down {
            bytes = down
                .iter()
                .flat_map(|taps| (0..width).map(move |x| (x, taps)))
                .map(|(x, taps)| taps.apply(|y| bytes[y * width + x]))
                .collect();
        }
        bytes.into_iter().map(|b| f32::from(b) / 255.0).collect()
    })
}

struct Taps {
    first: usize,
    weights: Vec<i64>,
}

impl Taps {
    fn apply(&self, byte: impl Fn(usize) -> u8) -> u8 {
        let half = 1i64 << (PRECISION - 1);
        let sum: i64 = self.weights.iter().enumerate().map(|(k, w)| w * i64::from(byte(self.first + k))).sum();
        ((half + sum) >> PRECISION).clamp(0, 255) as u8
    }
}

fn coefficients(n: usize, m: usize) -> Vec<Taps> {
    let scale = n as f64 / m as f64;
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    let taps = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(n);
        let raw: Vec<f64> = (first..end).map(|j| lanczos((j as f64 - centre + 0.5) * (1.0 / stretch))).collect();
        let sum: f64 = raw.iter().sum();
        let fixed = |w: &f64| {
            let scaled = w / sum * f64::from(1u32 << PRECISION);
            (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
        };
        Taps { first, weights: raw.iter().map(fixed).collect() }
    };
    (0..m).map(taps).collect()
}

fn lanczos(x: f64) -> f64 {
    if (-SUPPORT..SUPPORT).contains(&x) { sinc(x) * sinc(x / SUPPORT) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}
