//! Pictures of a run: what ran, fed by whom, how long it took and what it held. As Mermaid text and as an SVG timeline.
//!
//! Made from a [`Trace`] alone.

use std::collections::HashMap;
use std::fmt::Write as _;

use kiln_graph::NodeId;

use crate::observe::trace::{Step, Trace, What};

/// Height of one bar, in pixels.
const ROW: usize = 22;
/// Width of the whole timeline, in pixels.
const WIDTH: f64 = 900.0;
/// Room for names at the left.
const NAMES: f64 = 260.0;

impl Trace {
    /// The run as a Mermaid flowchart: each node with its time and bytes, each link that carried a value. Nodes that
    /// ran again say how often; those served from the cache are round.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        let mut seen: HashMap<&NodeId, usize> = HashMap::new();
        for step in &self.steps {
            if matches!(step.what, What::Ran { .. } | What::Cached) {
                let next = seen.len();
                seen.entry(&step.node).or_insert(next);
            }
        }
        let mut drawn: HashMap<&NodeId, u32> = HashMap::new();
        for step in &self.steps {
            // Writing into a String cannot fail.
            let _ = self.draw(step, &seen, &mut drawn, &mut text);
        }
        text
    }

    fn draw<'t>(
        &'t self,
        step: &'t Step,
        places: &HashMap<&NodeId, usize>,
        drawn: &mut HashMap<&'t NodeId, u32>,
        text: &mut String,
    ) -> std::fmt::Result {
        let Some(at) = places.get(&step.node) else { return Ok(()) };
        let times = drawn.entry(&step.node).or_insert(0);
        *times += 1;
        let name = format!("{} {}", step.class_type, escaped(step.node.as_str()));
        match &step.what {
            What::Cached if *times == 1 => writeln!(text, "    n{at}([\"{name}<br/>cached\"])"),
            What::Ran { micros, bytes, sources } if *times == 1 => {
                let runs = self.runs(&step.node);
                let again = if runs > 1 { format!("<br/>ran {runs} times") } else { String::new() };
                writeln!(text, "    n{at}[\"{name}<br/>{}, {}{again}\"]", duration(*micros), size(*bytes))?;
                sources
                    .iter()
                    .filter_map(|source| places.get(source))
                    .try_for_each(|source| writeln!(text, "    n{source} --> n{at}"))
            }
            _ => Ok(()),
        }
    }

    fn runs(&self, node: &NodeId) -> usize {
        self.steps.iter().filter(|step| step.node == *node && matches!(step.what, What::Ran { .. })).count()
    }

    /// The run as an SVG timeline: one bar per call, in order, with its time, its bytes, and the bytes alive after it.
    pub fn to_svg(&self) -> String {
        let ran: Vec<(&Step, u64, u64)> = self
            .steps
            .iter()
            .filter_map(|step| match step.what {
                What::Ran { micros, bytes, .. } => Some((step, micros, bytes)),
                _ => None,
            })
            .collect();
        let end = ran.iter().map(|(step, ..)| step.at_micros).max().unwrap_or(0).max(1) as f64;
        let height = (ran.len() + 1) * ROW;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n"
        );
        for (row, (step, micros, bytes)) in ran.into_iter().enumerate() {
            let scale = (WIDTH - NAMES) / end;
            let width = (micros as f64 * scale).max(1.0);
            let x = NAMES + (step.at_micros as f64 * scale - width).max(0.0);
            let y = row * ROW + 4;
            // Writing into a String cannot fail.
            let _ = writeln!(
                svg,
                "<text x=\"4\" y=\"{}\">{} {}</text><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"#4a7\"><title>{}, {}, {} alive after it</title></rect>",
                y + 12,
                escaped(&step.class_type),
                escaped(step.node.as_str()),
                ROW - 8,
                duration(micros),
                size(bytes),
                size(step.live_bytes),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
