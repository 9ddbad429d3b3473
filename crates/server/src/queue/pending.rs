//! Jobs that wait, the next one first.

use std::collections::VecDeque;

use super::job::Job;

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

    /// Takes those of these ids out, and says how many there were.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&str) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(|job| !is_meant(&job.id));
        before - self.0.len()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.0.iter()
    }
}
