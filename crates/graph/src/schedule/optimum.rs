//! The order with the lowest peak: exact for small graphs, by dynamic programming over sets of finished nodes.
//!
//! Knows sizes and edges only.

/// A node as far as its memory is concerned.
#[derive(Clone, Debug, Default)]
pub struct SizedNode {
    /// Bytes of its outputs, from its start until its last reader has finished.
    pub bytes: u64,
    /// The nodes whose outputs it reads, by index.
    pub reads: Vec<usize>,
    /// Its outputs stay to the end.
    pub kept: bool,
}

/// An order and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeakPlan {
    /// Node indices in the order in which they run.
    pub order: Vec<usize>,
    /// The most bytes alive at any time.
    pub peak: u64,
}

/// More nodes than this are not planned exactly.
const MOST: usize = 16;

/// The order with the lowest peak of bytes alive; `None` for more than 16 nodes, or when they wait in a circle.
///
/// While a node runs, its inputs and its outputs are alive together. An output is freed once all its readers ran;
/// without readers, at once.
pub fn optimal_order(nodes: &[SizedNode]) -> Option<PeakPlan> {
    let count = nodes.len();
    if count > MOST {
        return None;
    }
    let table = Table::new(nodes);
    let full = (1_usize << count) - 1;
    // best[set]: the lowest peak that finishing the rest needs once `set` has run; filled from the full set down.
    let mut best = vec![u64::MAX; full + 1];
    let mut choice = vec![usize::MAX; full + 1];
    best[full] = 0;
    for set in (0..full).rev() {
        let live = table.live(set);
        for node in (0..count).filter(|n| set >> n & 1 == 0 && table.needs[*n] & !set == 0) {
            let peak = best[set | 1 << node].max(live + nodes[node].bytes);
            if peak < best[set] {
                best[set] = peak;
                choice[set] = node;
            }
        }
    }
    let mut order = Vec::with_capacity(count);
    let mut set = 0;
    while set != full {
        let node = choice[set];
        if node == usize::MAX {
            return None;
        }
        order.push(node);
        set |= 1 << node;
    }
    Some(PeakPlan { order, peak: best[0] })
}

struct Table<'a> {
    nodes: &'a [SizedNode],
    needs: Vec<usize>,
    readers: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(nodes: &'a [SizedNode]) -> Self {
        let mut readers = vec![0; nodes.len()];
        let mut needs = vec![0; nodes.len()];
        for (reader, node) in nodes.iter().enumerate() {
            for source in node.reads.iter().filter(|source| **source < nodes.len()) {
                readers[*source] |= 1 << reader;
                needs[reader] |= 1 << source;
            }
        }
        Self { nodes, needs, readers }
    }

    /// Bytes alive between two nodes, when `set` has run.
    fn live(&self, set: usize) -> u64 {
        let alive = |n: &usize| set >> n & 1 == 1 && (self.nodes[*n].kept || self.readers[*n] & !set != 0);
        (0..self.nodes.len()).filter(alive).map(|n| self.nodes[n].bytes).sum()
    }
}
