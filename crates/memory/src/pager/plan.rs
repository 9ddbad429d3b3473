//! When each model runs again, and which of its units stay. Knows sizes and a schedule; knows no memory.

/// A model's part in a [`Schedule`]: it makes `passes` passes over its weights, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The model, by the name its weights are held under.
    pub model: String,
    /// How often it goes through all its weights.
    pub passes: u32,
}

/// What an executor knows beforehand: which models run, in which order, how often each.
///
/// ```
/// use kiln_memory::Schedule;
/// let prompt = Schedule::new().then("clip", 1).then("unet", 20).then("vae", 1).repeating();
/// assert_eq!(prompt.runs.len(), 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The runs in order.
    pub runs: Vec<Run>,
    /// Whether the same is expected again afterwards.
    pub repeats: bool,
}

impl Schedule {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Then `model` makes `passes` passes.
    #[must_use]
    pub fn then(mut self, model: impl Into<String>, passes: u32) -> Self {
        self.runs.push(Run { model: model.into(), passes });
        self
    }

    /// The same is expected again, as when a person changes a prompt's text.
    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }
}

/// How far away a next use is: 0 is the next pass of the running model, larger is later.
pub(super) type Distance = u64;

/// It is not known to be used again.
pub(super) const NEVER: Distance = Distance::MAX;

/// What begins with an acquisition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Nothing,
    Pass,
    Run,
}

/// Where in its schedule a device is. Follows the models by who acquires.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    schedule: Schedule,
    /// Counts prompts: schedules set, and repetitions begun.
    pub(super) round: u64,
    /// The run in progress, and passes that it will still begin.
    position: Option<usize>,
    passes_left: u32,
    /// The model that acquired last, the unit its passes begin with, and the passes seen since it took over.
    model: String,
    first_unit: usize,
    passes_seen: u32,
}

impl Timeline {
    pub(super) fn set(&mut self, schedule: Schedule) {
        *self = Self { schedule, round: self.round + 1, ..Self::default() };
    }

    /// `model` acquires `unit`. Returns what begins with it.
    pub(super) fn follow(&mut self, model: &str, unit: usize) -> Begins {
        if self.model != model {
            self.model.clear();
            self.model.push_str(model);
            self.first_unit = unit;
            self.passes_seen = 1;
            self.enter_next_run();
            return Begins::Run;
        }
        if unit != self.first_unit {
            return Begins::Nothing;
        }
        self.passes_seen += 1;
        match self.passes_left.checked_sub(1) {
            Some(left) => {
                self.passes_left = left;
                Begins::Pass
            }
            None if self.enter_next_run() => Begins::Run,
            None => Begins::Pass,
        }
    }

    /// Returns whether there is one.
    fn enter_next_run(&mut self) -> bool {
        let after = self.position.map_or(0, |p| p + 1);
        let runs = &self.schedule.runs;
        let ahead = (after..runs.len()).find(|i| runs[*i].model == self.model);
        let again = || (0..after.min(runs.len())).find(|i| self.schedule.repeats && runs[*i].model == self.model);
        let next = ahead.or_else(again);
        self.passes_left = next.map_or(0, |run| runs[run].passes.saturating_sub(1));
        if next.is_some_and(|run| run < after) || self.schedule.runs.is_empty() {
            self.round += 1;
        }
        self.position = next.or(self.position);
        next.is_some()
    }

    /// When `model` is used next, seen from now. A model that no schedule knows is taken to loop once it has begun a second
    /// pass; without any schedule, of the others nothing is known but that they have been used.
    pub(super) fn next_use(&self, model: &str) -> Distance {
        let runs = &self.schedule.runs;
        let running = self.model == model;
        let scheduled = runs.iter().any(|run| run.model == model);
        if running && (self.passes_left > 0 || (!scheduled && self.passes_seen > 1)) {
            return 0;
        }
        if runs.is_empty() {
            return if running { NEVER } else { NEVER - 1 };
        }
        let after = self.position.map_or(0, |p| p + 1);
        let ahead = (after..runs.len()).find(|i| runs[*i].model == model).map(|i| i + 1 - after);
        let again = || {
            (0..after).find(|i| self.schedule.repeats && runs[*i].model == model).map(|i| runs.len() - after + i + 1)
        };
        ahead.or_else(again).map_or(NEVER, |distance| distance as Distance)
    }
}

/// Units below this size are never streamed: their bytes are nothing, their trips are not.
pub(super) const SMALL: u64 = 64 << 10;

/// Which of the `absent` units (their sizes, in order of use) to keep in `room` bytes so that the streamed bytes are
/// spread evenly over a pass: error diffusion, weighted by bytes. What rounding leaves over is filled up afterwards.
///
/// Over any stretch of the pass the streamed bytes differ from their mean by at most one unit, which is what lets
/// two staging slots hide the copies behind the computation.
pub(super) fn spread(absent: &[u64], room: u64) -> Vec<bool> {
    let total: u64 = absent.iter().sum();
    if total <= room {
        return vec![true; absent.len()];
    }
    let share = 1.0 - room as f64 / total as f64;
    let (mut owed, mut left) = (0.0, room);
    let mut keep: Vec<bool> = absent
        .iter()
        .map(|size| {
            owed += share * *size as f64;
            let stream = owed >= *size as f64 / 2.0 || *size > left;
            if stream {
                owed -= *size as f64;
            } else {
                left -= size;
            }
            !stream
        })
        .collect();
    for (keep, size) in keep.iter_mut().zip(absent) {
        if !*keep && *size <= left {
            (*keep, left) = (true, left - size);
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_looping_model_is_used_sooner_than_one_of_the_next_prompt() {
        let mut t = Timeline::default();
        t.set(Schedule::new().then("clip", 1).then("unet", 3).then("vae", 1).repeating());
        assert_eq!(t.follow("clip", 0), Begins::Run);
        assert_eq!(["clip", "unet", "vae", "other"].map(|m| t.next_use(m)), [3, 1, 2, NEVER]);
        assert_eq!([5, 6, 5].map(|u| t.follow("unet", u)), [Begins::Run, Begins::Nothing, Begins::Pass]);
        assert_eq!(["clip", "unet", "vae"].map(|m| t.next_use(m)), [2, 0, 1]);
        t.follow("unet", 5);
        assert_eq!(["clip", "unet", "vae"].map(|m| t.next_use(m)), [2, 3, 1], "its last pass");
    }

    #[test]
    fn without_a_schedule_a_second_pass_makes_a_loop() {
        let mut t = Timeline::default();
        t.follow("unet", 0);
        assert_eq!((t.next_use("unet"), t.next_use("clip")), (NEVER, NEVER - 1));
        t.follow("unet", 0);
        assert_eq!(t.next_use("unet"), 0);
    }

    #[test]
    fn a_model_that_the_schedule_does_not_know_loops_from_its_second_pass_on() {
        let mut t = Timeline::default();
        t.set(Schedule::new().then("clip", 1).repeating());
        t.follow("clip", 0);
        t.follow("unet", 0);
        assert_eq!(t.next_use("unet"), NEVER);
        t.follow("unet", 0);
        assert_eq!((t.next_use("unet"), t.next_use("clip") > 0), (0, true));
    }

    #[test]
    fn streamed_units_are_spread_to_within_one_unit_over_any_window() {
        for (n, kept) in [(48usize, 40u64), (48, 24), (48, 12), (96, 95), (97, 13)] {
            let sizes = vec![100; n];
            let keep = spread(&sizes, kept * 100);
            assert_eq!(keep.iter().filter(|k| **k).count() as u64, kept);
            let mean = 1.0 - kept as f64 / n as f64;
            for window in 1..=n {
                for start in 0..=n - window {
                    let streamed = keep[start..start + window].iter().filter(|k| !**k).count() as f64;
                    assert!((streamed - mean * window as f64).abs() <= 1.0 + 1e-9, "{n} {kept} {start}+{window}");
                }
            }
        }
    }

    #[test]
    fn a_spread_never_keeps_more_than_the_room_and_leaves_less_than_the_smallest_streamed_unit() {
        let sizes: Vec<u64> = (0..60).map(|i| 10 + (i * 37) % 91).collect();
        let total: u64 = sizes.iter().sum();
        for room in (0..total).step_by(13) {
            let keep = spread(&sizes, room);
            let kept: u64 = sizes.iter().zip(&keep).filter(|(_, k)| **k).map(|(s, _)| s).sum();
            let smallest = sizes.iter().zip(&keep).filter(|(_, k)| !**k).map(|(s, _)| *s).min().unwrap();
            assert!(kept <= room && room - kept < smallest);
        }
    }
}
