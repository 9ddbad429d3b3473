//! The calls of a run's nodes: how many there were, and the longest of them. Knows no names of nodes and no terminal.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use kiln_exec::NodeId;

/// More calls than this nobody reads about one by one, so no more are kept: a run may have millions.
const MOST: usize = 200;

/// What one call of a node took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its place among all calls of the run.
    place: usize,
    pub node: NodeId,
    pub micros: u64,
    pub bytes: u64,
    /// Runs again for an output that was dropped.
    pub again: bool,
}

impl Ord for Call {
    /// Longer calls are greater; of equally long ones the earlier.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.micros, Reverse(self.place)).cmp(&(other.micros, Reverse(other.place)))
    }
}

impl PartialOrd for Call {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The calls of a run.
#[derive(Default)]
pub(crate) struct Calls {
    ran: usize,
    longest: BinaryHeap<Reverse<Call>>,
    /// Nodes that are to run again and have not finished, with the places of their calls.
    again: HashMap<NodeId, usize>,
}

impl Calls {
    /// How many there were.
    pub(crate) fn ran(&self) -> usize {
        self.ran
    }

    /// A node is to run again.
    pub(crate) fn begin_again(&mut self, node: &NodeId) {
        let place = self.count();
        self.again.insert(node.clone(), place);
    }

    /// A node has run.
    pub(crate) fn finish(&mut self, node: &NodeId, micros: u64, bytes: u64) {
        // Hashing an id costs more than looking whether there is anything to find.
        let again = if self.again.is_empty() { None } else { self.again.remove(node) };
        let place = again.unwrap_or_else(|| self.count());
        let shortest = self.longest.peek().map_or(0, |Reverse(call)| call.micros);
        if self.longest.len() < MOST || micros > shortest {
            self.longest.push(Reverse(Call { place, node: node.clone(), micros, bytes, again: again.is_some() }));
        }
        if self.longest.len() > MOST {
            self.longest.pop();
        }
    }

    /// The longest calls in the order in which they were made, those that began again and never finished among them.
    pub(crate) fn longest(&self) -> Vec<Call> {
        let began = self.again.iter();
        let unfinished =
            began.map(|(node, place)| Call { place: *place, node: node.clone(), micros: 0, bytes: 0, again: true });
        let mut calls: Vec<Call> = self.longest.iter().map(|Reverse(call)| call.clone()).chain(unfinished).collect();
        calls.sort_unstable_by(|a, b| b.cmp(a));
        calls.truncate(MOST);
        calls.sort_unstable_by_key(|call| call.place);
        calls
    }

    fn count(&mut self) -> usize {
        self.ran += 1;
        self.ran - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(calls: &Calls) -> Vec<(String, u64, bool)> {
        calls.longest().into_iter().map(|call| (call.node.to_string(), call.micros, call.again)).collect()
    }

    #[test]
    fn few_calls_are_all_shown_in_their_order() {
        let mut calls = Calls::default();
        calls.finish(&"b".into(), 5, 0);
        calls.finish(&"a".into(), 9, 0);
        calls.begin_again(&"b".into());
        calls.finish(&"c".into(), 1, 0);
        calls.finish(&"b".into(), 7, 0);
        calls.begin_again(&"a".into());
        let expected = [("b", 5, false), ("a", 9, false), ("b", 7, true), ("c", 1, false), ("a", 0, true)];
        assert_eq!(shown(&calls), expected.map(|(node, micros, again)| (node.to_owned(), micros, again)));
        assert_eq!(calls.ran(), 5);
    }

    #[test]
    fn of_very_many_calls_the_longest_are_shown_and_of_equal_ones_the_first() {
        let mut calls = Calls::default();
        for n in 0..10_000_u64 {
            calls.finish(&n.to_string().into(), if n % 100 == 7 { n } else { 3 }, 0);
        }
        let shown = shown(&calls);
        let long = shown.iter().filter(|(_, micros, _)| *micros > 3).count();
        // One of each hundred is long; the rest are the first of the others.
        assert_eq!((shown.len(), long, calls.ran()), (MOST, 100, 10_000));
        assert_eq!(shown[0].0, "0");
        assert_eq!(shown.iter().filter(|(_, micros, _)| *micros == 3).count(), 100);
        assert!(shown.iter().any(|(node, ..)| node == "9907"));
        assert!(!shown.iter().any(|(node, ..)| node == "150"), "an early one stands before a later one of its length");
    }
}
