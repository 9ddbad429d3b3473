//! Resizing latents by turning their channel vectors into each other: along the width, then along the height.

use super::planes::Planes;
use super::taps::bilinear_of;

/// Resizes both axes.
pub(super) fn resize(planes: &Planes, width: usize, height: usize) -> Planes {
    // Turned by a quarter and back, the height is a width.
    along_width(&along_width(planes, width).transposed(), height).transposed()
}

fn along_width(planes: &Planes, width: usize) -> Planes {
    let [b, c, h, w] = planes.shape();
    let steps = steps(w, width);
    let source = planes.values();
    let mut values = vec![0.0; b * c * h * width];
    for item in 0..b {
        for y in 0..h {
            let vector = |x: usize| -> Vec<f32> { (0..c).map(|k| source[((item * c + k) * h + y) * w + x]).collect() };
            for (x, step) in steps.iter().enumerate() {
                let turned = slerp(&vector(step.left), &vector(step.right), step.ratio);
                turned.iter().enumerate().for_each(|(k, v)| values[((item * c + k) * h + y) * width + x] = *v);
            }
        }
    }
    Planes::new([b, c, h, width], values).unwrap_or_else(|_| planes.clone())
}

struct Step {
    left: usize,
    right: usize,
    ratio: f32,
}

fn steps(n: usize, m: usize) -> Vec<Step> {
    let left: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let right: Vec<f32> = (0..n).map(|i| (i + 1).min(n - 1) as f32).collect();
    let (left, right) = (bilinear_of(&left, m), bilinear_of(&right, m));
    let step = |(l, r): (&f32, &f32)| Step { left: *l as usize, right: (*r as usize).min(n - 1), ratio: l - l.floor() };
    left.iter().zip(&right).map(step).collect()
}

fn slerp(a: &[f32], b: &[f32], ratio: f32) -> Vec<f32> {
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let (na, nb) = (norm(a), norm(b));
    let unit = |v: f32, n: f32| if n == 0.0 { 0.0 } else { v / n };
    let dot: f32 = a.iter().zip(b).map(|(x, y)| unit(*x, na) * unit(*y, nb)).sum();
    let rest = 1.0 - ratio;
    if dot > 1.0 - 1e-5 {
        return a.to_vec();
    }
    if dot < 1e-5 - 1.0 {
        return a.iter().zip(b).map(|(x, y)| x * rest + y * ratio).collect();
    }
    let angle = dot.acos();
    let sine = angle.sin();
    let (wa, wb) = ((rest * angle).sin() / sine, (ratio * angle).sin() / sine);
    let length = na * rest + nb * ratio;
    a.iter().zip(b).map(|(x, y)| (wa * unit(*x, na) + wb * unit(*y, nb)) * length).collect()
}

impl Planes {
    fn transposed(&self) -> Self {
        let [_, _, h, w] = self.shape();
        self.map(w, h, |plane| (0..h * w).map(|i| plane[(i % h) * w + i / h]).collect())
    }
}
