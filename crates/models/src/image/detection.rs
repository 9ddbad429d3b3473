//! What a detector found: a box, its class and how sure the detector is. Knows coordinates, no image and no network.

/// A box around something, with its class and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Left, top, right, bottom in pixels.
    pub corners: [f64; 4],
    /// How sure the detector is, 0 to 1.
    pub score: f64,
    /// Index of its class in the list of classes.
    pub class: usize,
}

impl Detection {
    /// Width times height; 0 for a box that is turned inside out.
    pub fn area(&self) -> f64 {
        area(self.corners)
    }

    /// The area that both boxes cover divided by the area that either covers; 0 for boxes without an area.
    pub fn overlap(&self, other: &Self) -> f64 {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (self.corners, other.corners);
        let shared = area([a0.max(b0), a1.max(b1), a2.min(b2), a3.min(b3)]);
        let either = self.area() + other.area() - shared;
        if either > 0.0 { shared / either } else { 0.0 }
    }

    /// The box after its centre, width and height were computed and turned into corners again: the same box but for
    /// rounding, which decides about boxes that just touch.
    #[must_use]
    pub fn through_centre(self) -> Self {
        let [left, top, right, bottom] = self.corners;
        let (width, height) = (right - left, bottom - top);
        let (x, y) = (f64::midpoint(left, right) - width / 2.0, f64::midpoint(top, bottom) - height / 2.0);
        Self { corners: [x, y, x + width, y + height], ..self }
    }
}

fn area([left, top, right, bottom]: [f64; 4]) -> f64 {
    (right - left).max(0.0) * (bottom - top).max(0.0)
}
