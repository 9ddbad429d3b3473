//! Non-maximum suppression: of boxes that overlap, those with the best scores. Knows boxes alone.
//!
//! Two passes with rules of their own, one after the other in a detection: a detector's (ultralytics
//! `non_max_suppression`), and the one that shows boxes to people (supervision `Detections.with_nms`).

use super::detection::Detection;

/// Boxes that are looked at; of more, the best.
const MOST_CANDIDATES: usize = 30_000;

/// What a detector's suppression keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suppression {
    /// A box goes when it overlaps a better one by more than this share (intersection over union).
    pub overlap: f64,
    /// Whether boxes of other classes count as well.
    pub agnostic: bool,
    /// Most boxes that are kept.
    pub most: usize,
}

/// The best boxes, by score from the best on; of equal scores the earlier box is the better one.
pub fn suppressed(candidates: Vec<Detection>, rule: Suppression) -> Vec<Detection> {
    let mut sorted = candidates;
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    sorted.truncate(MOST_CANDIDATES);
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in sorted {
        if kept.len() >= rule.most {
            break;
        }
        if !kept.iter().any(|better| rules_out(better, &candidate, rule.overlap, rule.agnostic)) {
            kept.push(candidate);
        }
    }
    kept
}

/// Which boxes stay when overlapping ones are thinned out once more, in the order in which they came. Of equal scores the
/// later box is the better one.
pub fn thinned(detections: &[Detection], overlap: f64, agnostic: bool) -> Vec<Detection> {
    let mut order: Vec<usize> = (0..detections.len()).collect();
    order.sort_by(|a, b| detections[*b].score.total_cmp(&detections[*a].score).then(b.cmp(a)));
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        if !kept.iter().any(|better| rules_out(&detections[*better], &detections[i], overlap, agnostic)) {
            kept.push(i);
        }
    }
    kept.sort_unstable();
    kept.into_iter().map(|i| detections[i]).collect()
}

fn rules_out(better: &Detection, other: &Detection, overlap: f64, agnostic: bool) -> bool {
    (agnostic || better.class == other.class) && better.overlap(other) > overlap
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(left: f64, score: f64, class: usize) -> Detection {
        Detection { corners: [left, 0.0, left + 10.0, 10.0], score, class }
    }

    #[test]
    fn the_better_of_two_that_overlap_stays_and_other_classes_do_not_count() {
        let rule = Suppression { overlap: 0.5, agnostic: false, most: 300 };
        let found = [detection(0.0, 0.5, 0), detection(1.0, 0.9, 0), detection(1.0, 0.8, 1)];
        assert_eq!(suppressed(found.to_vec(), rule), [found[1], found[2]]);
        assert_eq!(suppressed(found.to_vec(), Suppression { agnostic: true, ..rule }), [found[1]]);
        assert_eq!(thinned(&found, 0.5, false), [found[1], found[2]]);
        assert_eq!(suppressed(found.to_vec(), Suppression { most: 1, ..rule }), [found[1]]);
    }

    #[test]
    fn of_equal_scores_the_first_pass_keeps_the_earlier_box_and_the_second_the_later_one() {
        let rule = Suppression { overlap: 0.1, agnostic: false, most: 300 };
        let found = [detection(0.0, 0.5, 0), detection(1.0, 0.5, 0)];
        assert_eq!(suppressed(found.to_vec(), rule), [found[0]]);
        assert_eq!(thinned(&found, 0.1, false), [found[1]]);
    }

    #[test]
    fn ten_thousand_boxes_are_thinned_out_at_once() {
        let many: Vec<Detection> = (0..10_000).map(|i| detection(f64::from(i) * 11.0, 0.5, 0)).collect();
        let rule = Suppression { overlap: 0.7, agnostic: false, most: 300 };
        assert_eq!(suppressed(many.clone(), rule), many[..300]);
    }
}
