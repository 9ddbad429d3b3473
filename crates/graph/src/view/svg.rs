//! A prompt as an SVG image: sources on the left, outputs on the right, one box per node.
//!
//! Knows places on a page. What the notes in the boxes say (times, bytes) is the caller's matter.

use std::fmt::Write as _;

use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;

use super::View;
use crate::id::NodeId;

/// Size of a box and distance between boxes, in pixels.
const BOX: (usize, usize) = (220, 58);
const GAP: (usize, usize) = (70, 18);
const MARGIN: usize = 16;
/// Longer texts are cut to fit their box.
const LONGEST: usize = 28;

impl View<'_> {
    /// The graph as an SVG image, with a line of `note` in each box that has one: how long the node took, what it
    /// held, why it did not run.
    pub fn to_svg(&self, note: &dyn Fn(&NodeId) -> Option<String>) -> String {
        let places = self.places();
        let extent = |pick: fn(&(usize, usize)) -> usize| places.iter().map(pick).max().map_or(0, |most| most + 1);
        let size =
            |count: usize, length: usize, gap: usize| 2 * MARGIN + count * length + count.saturating_sub(1) * gap;
        let width = size(extent(|p| p.0), BOX.0, GAP.0);
        let height = size(extent(|p| p.1), BOX.1, GAP.1);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n"
        );
        for (from, to, wire) in self.edges() {
            edge(&mut svg, corner(places[from]), corner(places[to]), &format!("{} > {}", wire.socket, wire.input));
        }
        for (place, id, node) in self.nodes() {
            let note = note(id).unwrap_or_default();
            let title = node.title().filter(|title| *title != &*node.class_type).unwrap_or_default();
            boxed(&mut svg, corner(places[place]), &[&format!("{id}: {}", node.class_type), title, &note]);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Column and row of every node: as far left as its sources allow, beside them if there is room.
    fn places(&self) -> Vec<(usize, usize)> {
        let index = |id: &NodeId| self.prompt.nodes.get_index_of(id).unwrap_or_default();
        // A prompt that cannot be ordered stands in one column.
        let order: Vec<usize> = self.order().unwrap_or_default().into_iter().map(index).collect();
        let mut columns = vec![0; self.prompt.len()];
        for place in &order {
            let sources = self.graph.neighbors_directed(NodeIndex::new(*place), Incoming);
            columns[*place] = sources.map(|source| columns[source.index()] + 1).max().unwrap_or_default();
        }
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)];
        for (place, column) in columns.iter().enumerate() {
            members[*column].push(place);
        }
        let mut rows = vec![0; self.prompt.len()];
        for members in &mut members {
            let height = |place: &usize| {
                let sources = self.graph.neighbors_directed(NodeIndex::new(*place), Incoming);
                let (sum, count) =
                    sources.fold((0_usize, 0), |(sum, count), source| (sum + rows[source.index()], count + 1));
                (2 * sum).checked_div(count).unwrap_or_default()
            };
            members.sort_by_cached_key(height);
            for (row, place) in members.iter().enumerate() {
                rows[*place] = row;
            }
        }
        columns.into_iter().zip(rows).collect()
    }
}

fn corner((column, row): (usize, usize)) -> (usize, usize) {
    (MARGIN + column * (BOX.0 + GAP.0), MARGIN + row * (BOX.1 + GAP.1))
}

// Writing to a String cannot fail.
fn edge(svg: &mut String, from: (usize, usize), to: (usize, usize), title: &str) {
    let (x1, y1, x2, y2) = (from.0 + BOX.0, from.1 + BOX.1 / 2, to.0, to.1 + BOX.1 / 2);
    let bend = GAP.0 / 2;
    let _ = writeln!(
        svg,
        "<path d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#888\"><title>{}</title></path>",
        x1 + bend,
        x2.saturating_sub(bend),
        escaped(title)
    );
}

fn boxed(svg: &mut String, (x, y): (usize, usize), lines: &[&str]) {
    let (width, height) = BOX;
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\" fill=\"#f4f4f4\" stroke=\"#444\"/>"
    );
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let weight = if i == 0 { " font-weight=\"bold\"" } else { "" };
        let cut: String = line.chars().take(LONGEST).collect();
        let dots = if line.chars().nth(LONGEST).is_some() { "..." } else { "" };
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\"{weight}>{}{dots}</text>", x + 8, y + 17 + 16 * i, escaped(&cut));
    }
}

/// Text for XML; control characters, which XML cannot hold, become spaces.
fn escaped(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
