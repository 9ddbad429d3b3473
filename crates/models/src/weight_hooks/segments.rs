//! The parts of a run in which a group's strengths stay as they are: each has a text encoding of its own.

use super::{
    error::HookError,
    group::{Hook, HookGroup},
    keyframes::Keyframe,
};

/// A part of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// From where to where: 0 is the run's start, 1 its end.
    pub range: (f64, f64),
    /// The factor of each hook's keyframes.
    pub strengths: Vec<f64>,
}

/// A hook's keyframe from one part of the run to another; none for a hook without keyframes.
struct Span {
    start: f64,
    end: f64,
    strength: f64,
}

impl HookGroup {
    /// The segments, in their order. Before a hook's first keyframe its factor is 1. A group without hooks has one segment.
    ///
    /// # Errors
    /// [`HookError::NoSegment`] when every keyframe starts at the run's end.
    pub fn segments(&self) -> Result<Vec<Segment>, HookError> {
        if self.is_empty() {
            return Ok(vec![Segment { range: (0.0, 1.0), strengths: Vec::new() }]);
        }
        let spans: Vec<Vec<Span>> = self.hooks().iter().map(spans).collect();
        let mut bounds: Vec<f64> = spans.iter().flatten().flat_map(|span| [span.start, span.end]).collect();
        bounds.push(0.0);
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let segments: Vec<Segment> = bounds
            .windows(2)
            .map(|ends| {
                let (start, end) = (ends[0], ends[1]);
                let holds = |span: &&Span| span.start < end && span.end > start;
                let strength = |spans: &Vec<Span>| spans.iter().find(holds).map_or(1.0, |span| span.strength);
                Segment { range: (start, end), strengths: spans.iter().map(strength).collect() }
            })
            .collect();
        if segments.is_empty() { Err(HookError::NoSegment) } else { Ok(segments) }
    }
}

/// From keyframe to keyframe; one of the strength before it goes on with that.
fn spans(hook: &Hook) -> Vec<Span> {
    let Some(mut last) = hook.keyframes.list().first() else {
        return vec![Span { start: 0.0, end: 1.0, strength: 1.0 }];
    };
    let mut spans = Vec::new();
    let until = |keyframe: &Keyframe, end| Span { start: keyframe.start, end, strength: keyframe.strength };
    for keyframe in hook.keyframes.list() {
        if keyframe.start > last.start && !is_close(keyframe.strength, last.strength) {
            spans.push(until(last, keyframe.start));
            last = keyframe;
        } else if keyframe.start == last.start {
            last = keyframe;
        }
    }
    if !is_close(last.start, 1.0) {
        spans.push(until(last, 1.0));
    }
    spans
}

/// Python's `math.isclose`.
pub(super) fn is_close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}
