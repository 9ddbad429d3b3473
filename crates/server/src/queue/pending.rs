//! Jobs that wait, the next one first.

use std::collections::VecDeque;

use serde_json::Number;

use super::job::Job;

/// Where a job is put among those that wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Number(Number),
    /// Before all others.
    Front,
    /// Behind all others.
    Back,
}

impl Place {
    /// The number that has this place.
    pub(super) fn number(&self, among: &Pending) -> Number {
        let of = |job: Option<&Job>| job.and_then(|job| job.number.as_f64()).unwrap_or_default();
        let whole = |number: f64| Number::from(number as i64);
        match self {
            Self::Number(number) => number.clone(),
            Self::Front => whole(of(among.0.front()).floor() - 1.0),
            Self::Back => whole(of(among.0.back()).ceil() + 1.0),
        }
    }
}

/// Jobs that wait.
#[derive(Default)]
pub(super) struct Pending(VecDeque<Job>);

impl Pending {
    /// Joins behind those that run before it or are as urgent.
    pub(super) fn put(&mut self, job: Job) {
        let place = self.0.partition_point(|waiting| waiting.before(&job).is_le());
        self.0.insert(place, job);
    }

    /// Takes the next one.
    pub(super) fn next(&mut self) -> Option<Job> {
        self.0.pop_front()
    }

    /// Takes those of these ids out, and returns them.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&str) -> bool) -> Vec<Job> {
        let (gone, left): (VecDeque<Job>, VecDeque<Job>) =
            std::mem::take(&mut self.0).into_iter().partition(|job| is_meant(&job.id));
        self.0 = left;
        gone.into()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.0.iter()
    }
}
