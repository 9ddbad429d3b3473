//! What a head says, as boxes with scores: distances by the mean of sixteen bins, logits through the sigmoid.
//!
//! Knows numbers on the host alone. Source: Li et al. 2020 (Generalized Focal Loss); ultralytics `DFL`, `dist2bbox`.

use crate::image::Detection;

/// Bins of a distance.
pub(super) const BINS: usize = 16;

/// What the head says of one map, on the host.
#[derive(Debug, Clone)]
pub struct LevelMaps {
    /// Pixels of the image to one place of the map.
    pub stride: usize,
    /// Rows and columns of the map.
    pub size: [usize; 2],
    /// Four sides of sixteen bins for each place: `[64, rows, columns]`.
    pub boxes: Vec<f32>,
    /// `[classes, rows, columns]`.
    pub logits: Vec<f32>,
}

/// Boxes with a score for each class, a column for each place of each map.
#[derive(Debug, Clone)]
pub struct Scored {
    /// How many places there are.
    pub places: usize,
    /// Rows: centre x, centre y, width, height in pixels, then each class's score; `[4 + classes, places]`.
    pub values: Vec<f32>,
}

/// Boxes and scores of all maps, one behind the other.
pub fn decoded(levels: &[LevelMaps], classes: usize) -> Scored {
    let places: usize = levels.iter().map(|level| level.size.iter().product::<usize>()).sum();
    let mut values = vec![0.0; (4 + classes) * places];
    let mut first = 0;
    for level in levels {
        let count: usize = level.size.iter().product();
        for at in 0..count {
            for (row, value) in level.rectangle(at, count).into_iter().enumerate() {
                values[row * places + first + at] = value;
            }
        }
        for (class, logits) in level.logits.chunks_exact(count.max(1)).take(classes).enumerate() {
            let start = (4 + class) * places + first;
            for (value, logit) in values[start..start + count].iter_mut().zip(logits) {
                *value = 1.0 / (1.0 + (-logit).exp());
            }
        }
        first += count;
    }
    Scored { places, values }
}

impl LevelMaps {
    /// Centre, width and height of the box at a place, in pixels.
    fn rectangle(&self, at: usize, count: usize) -> [f32; 4] {
        let (x, y) = ((at % self.size[1]) as f32 + 0.5, (at / self.size[1]) as f32 + 0.5);
        let [left, top, right, bottom] = [0, 1, 2, 3].map(|side| self.distance(side, at, count));
        let (x1, y1, x2, y2) = (x - left, y - top, x + right, y + bottom);
        [f32::midpoint(x1, x2), f32::midpoint(y1, y2), x2 - x1, y2 - y1].map(|v| v * self.stride as f32)
    }

    /// The mean bin of a side's distribution.
    fn distance(&self, side: usize, at: usize, count: usize) -> f32 {
        let bin = |j: usize| self.boxes.get((side * BINS + j) * count + at).copied().unwrap_or(0.0);
        let largest = (0..BINS).map(bin).fold(f32::NEG_INFINITY, f32::max);
        let (mut sum, mut weighed) = (0.0, 0.0);
        for j in 0..BINS {
            let share = (bin(j) - largest).exp();
            sum += share;
            weighed += share * j as f32;
        }
        weighed / sum
    }
}

impl Scored {
    /// Whether some number is none: the weights are damaged, or the image is.
    pub(super) fn is_broken(&self) -> bool {
        self.values.iter().any(|v| v.is_nan())
    }

    /// Boxes whose best class scores more than `confidence`, with that class; of equal scores the first class.
    pub fn candidates(&self, confidence: f64) -> Vec<Detection> {
        let (boxes, scores) = self.values.split_at(4 * self.places);
        let mut best = vec![(0, f32::NEG_INFINITY); self.places];
        for (class, row) in scores.chunks_exact(self.places.max(1)).enumerate() {
            for (best, score) in best.iter_mut().zip(row) {
                // As the reference's maximum: what is no number is the largest, and no candidate.
                if !best.1.is_nan() && (score.is_nan() || *score > best.1) {
                    *best = (class, *score);
                }
            }
        }
        let detection = |(at, (class, score)): (usize, (usize, f32))| {
            let [x, y, width, height] = [0, 1, 2, 3].map(|row| boxes[row * self.places + at]);
            let corners = [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0].map(f64::from);
            Detection { corners, score: f64::from(score), class }
        };
        let confident = |(_, (_, score)): &(usize, (usize, f32))| f64::from(*score) > confidence;
        let placed = |found: &Detection| found.corners.iter().all(|corner| corner.is_finite());
        best.into_iter().enumerate().filter(confident).map(detection).filter(placed).collect()
    }
}
