//! A palette by median cut: boxes of colours, the one with the most pixels halved again and again.
//!
//! Source: Pillow `Quant.c`, method `MEDIANCUT` without k-means.

use std::collections::{BTreeMap, HashMap};

use super::heap::Heap;

/// More colours than this are looked at with fewer bits.
const MOST_COLOURS: usize = 65536;
/// How much a difference of red, green and blue counts.
const LUMINANCE: [u32; 3] = [77, 150, 29];

/// A colour, without the bits that are left out, and how many pixels have it.
type Entry = ([u8; 3], usize);

/// Colours in a box, and the boxes that came of it.
struct Node {
    entries: Vec<Entry>,
    pixels: usize,
    parts: Option<[usize; 2]>,
}

/// At most `colours` colours: the average of each box.
pub(super) fn palette(pixels: &[[u8; 3]], colours: usize) -> Vec<[u8; 3]> {
    let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
    for pixel in pixels {
        *counts.entry(*pixel).or_default() += 1;
    }
    let (shift, entries) = coarse(&counts);
    let nodes = cut(entries, pixels.len(), colours);
    averages(&counts, shift, &leaves(&nodes))
}

/// The colours with as many of their last bits left out as makes them few enough, and how many that are.
fn coarse(counts: &HashMap<[u8; 3], usize>) -> (u32, Vec<Entry>) {
    let mut shift = 0;
    loop {
        let mut fewer: BTreeMap<[u8; 3], usize> = BTreeMap::new();
        for (colour, count) in counts {
            *fewer.entry(colour.map(|v| v >> shift)).or_default() += count;
        }
        if fewer.len() <= MOST_COLOURS {
            return (shift, fewer.into_iter().collect());
        }
        shift += 1;
    }
}

/// Boxes from the whole on, parts behind what they are parts of.
fn cut(entries: Vec<Entry>, pixels: usize, colours: usize) -> Vec<Node> {
    let mut nodes = vec![Node { entries, pixels, parts: None }];
    let mut heap = Heap::default();
    heap.push(pixels, 0);
    for _ in 1..colours {
        let next = std::iter::from_fn(|| heap.pop()).find(|node| nodes[*node].entries.len() > 1);
        let Some(next) = next else { break };
        let entries = std::mem::take(&mut nodes[next].entries);
        nodes[next].parts = Some([nodes.len(), nodes.len() + 1]);
        for entries in halves(entries, nodes[next].pixels) {
            let pixels = entries.iter().map(|(_, count)| count).sum();
            heap.push(pixels, nodes.len());
            nodes.push(Node { entries, pixels, parts: None });
        }
    }
    nodes
}

/// The lighter and the darker half of the pixels along the channel that differs most; no value is in both.
fn halves(mut entries: Vec<Entry>, pixels: usize) -> [Vec<Entry>; 2] {
    let spread = |channel: usize| {
        let values = || entries.iter().map(|(colour, _)| colour[channel]);
        let difference = values().max().unwrap_or_default() - values().min().unwrap_or_default();
        u32::from(difference) * LUMINANCE[channel]
    };
    // The first of equal ones.
    let axis = (0..3).rev().max_by_key(|channel| spread(*channel)).unwrap_or_default();
    entries.sort_by_key(|(colour, _)| std::cmp::Reverse(colour[axis]));
    let mut sum = 0;
    let middle = entries.iter().position(|(_, count)| {
        sum += count;
        sum * 2 > pixels
    });
    let middle = entries[middle.unwrap_or_default()].0[axis];
    let mut at = entries.partition_point(|(colour, _)| colour[axis] >= middle);
    if at == entries.len() {
        at = entries.partition_point(|(colour, _)| colour[axis] > middle);
    }
    let darker = entries.split_off(at);
    [entries, darker]
}

/// The boxes that were not cut, lighter ones first.
fn leaves(nodes: &[Node]) -> Vec<&[Entry]> {
    let (mut found, mut pending) = (Vec::new(), vec![0]);
    while let Some(node) = pending.pop().and_then(|node: usize| nodes.get(node)) {
        match node.parts {
            Some([lighter, darker]) => pending.extend([darker, lighter]),
            None => found.push(node.entries.as_slice()),
        }
    }
    found
}

fn averages(counts: &HashMap<[u8; 3], usize>, shift: u32, leaves: &[&[Entry]]) -> Vec<[u8; 3]> {
    let places: HashMap<[u8; 3], usize> =
        leaves.iter().enumerate().flat_map(|(i, leaf)| leaf.iter().map(move |(colour, _)| (*colour, i))).collect();
    let mut sums = vec![([0usize; 3], 0usize); leaves.len()];
    for (colour, count) in counts {
        if let Some(place) = places.get(&colour.map(|v| v >> shift)) {
            let (sum, pixels) = &mut sums[*place];
            for (sum, value) in sum.iter_mut().zip(colour) {
                *sum += usize::from(*value) * count;
            }
            *pixels += count;
        }
    }
    sums.into_iter().map(|(sum, pixels)| sum.map(|v| (0.5 + v as f64 / pixels as f64) as u8)).collect()
}
