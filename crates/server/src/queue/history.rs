//! Finished prompts, the oldest first. Entries are kept as the text that clients get.

use std::sync::Arc;

use indexmap::IndexMap;

use super::summary::Summary;

/// A part of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many to leave out from the oldest on; without it, and with `most`, the last ones are meant.
    pub(crate) offset: Option<usize>,
    /// How many at most.
    pub(crate) most: Option<usize>,
}

impl Page {
    /// The first of so many entries, and how many follow from it on.
    fn of(self, count: usize) -> (usize, usize) {
        let most = self.most.unwrap_or(usize::MAX);
        let first = match (self.offset, self.most) {
            (Some(offset), _) => offset,
            (None, Some(most)) => count.saturating_sub(most),
            (None, None) => 0,
        };
        (first.min(count), most)
    }
}

/// What is kept of a finished prompt.
pub(super) struct Finished {
    /// The entry as clients get it.
    pub(super) text: Arc<str>,
    /// For lists of jobs.
    pub(super) job: Arc<Summary>,
}

/// Finished prompts.
pub(super) struct History {
    entries: IndexMap<Arc<str>, Finished>,
    most: usize,
}

impl History {
    /// An empty one that keeps so many entries.
    pub(super) fn new(most: usize) -> Self {
        Self { entries: IndexMap::new(), most }
    }

    /// Adds the newest; the oldest goes when there are too many.
    pub(super) fn add(&mut self, id: Arc<str>, finished: Finished) {
        self.entries.shift_remove(&id);
        self.entries.insert(id, finished);
        while self.entries.len() > self.most {
            self.entries.shift_remove_index(0);
        }
    }

    /// The entry of that id.
    pub(super) fn get(&self, id: &str) -> Option<(Arc<str>, Arc<str>)> {
        self.entries.get_key_value(id).map(|(id, found)| (Arc::clone(id), Arc::clone(&found.text)))
    }

    /// All of it, for lists of jobs.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Arc<Summary>> {
        self.entries.values().map(|finished| &finished.job)
    }

    /// A part of it, the oldest first.
    pub(super) fn page(&self, page: Page) -> Vec<(Arc<str>, Arc<str>)> {
        let (first, most) = page.of(self.entries.len());
        let entries = self.entries.iter().skip(first).take(most);
        entries.map(|(id, found)| (Arc::clone(id), Arc::clone(&found.text))).collect()
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, id: &str) {
        self.entries.shift_remove(id);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::summary;

    fn ids(history: &History, offset: Option<usize>, most: Option<usize>) -> String {
        history.page(Page { offset, most }).iter().map(|(id, _)| &**id).collect()
    }

    #[test]
    fn pages_count_from_the_oldest_or_hold_the_newest() {
        let mut history = History::new(4);
        for id in ["a", "b", "c", "d", "e"] {
            let job = summary::of_finished(&serde_json::json!({})).into();
            history.add(id.into(), Finished { text: "{}".into(), job });
        }
        assert_eq!(ids(&history, None, None), "bcde", "the oldest has gone");
        assert_eq!(ids(&history, Some(0), None), "bcde");
        assert_eq!(ids(&history, None, Some(2)), "de");
        assert_eq!(ids(&history, Some(1), Some(2)), "cd");
        assert_eq!(ids(&history, Some(3), Some(5)), "e");
        assert_eq!(ids(&history, Some(4), None), "");
        assert_eq!(ids(&history, Some(100), Some(2)), "");
        assert_eq!(ids(&history, None, Some(0)), "");
    }
}
