//! The frames that a page draws around nodes, and which nodes stand in them.
//!
//! Knows places and sizes. (Group nodes, which are something else, are read in `groups`.)

use super::ui::{Graph, UiFrame, UiNode};
use crate::map::Set;

/// How high the title is that the page draws above a node.
const TITLE: f64 = 30.0;

/// A node stands in a frame when its middle does.
fn holds(frame: &UiFrame, node: &UiNode) -> bool {
    let [x, y, width, height] = frame.bounding;
    let middle = [node.pos[0] + node.size[0] / 2.0, node.pos[1] + (node.size[1] - TITLE) / 2.0];
    middle[0] >= x && middle[0] < x + width && middle[1] >= y && middle[1] < y + height
}

/// The nodes in every frame that a node stands in, itself among them.
pub(super) fn neighbours<'w>(graph: &'w Graph, id: &str) -> Set<&'w str> {
    let Some(node) = graph.nodes.get(id) else { return Set::default() };
    let frames: Vec<&UiFrame> = graph.frames.iter().filter(|frame| holds(frame, node)).collect();
    inside(graph, &frames)
}

/// The nodes in every frame whose title is wanted.
pub(super) fn in_groups(graph: &Graph, wanted: impl Fn(&str) -> bool) -> Set<&str> {
    let frames: Vec<&UiFrame> = graph.frames.iter().filter(|frame| wanted(&frame.title)).collect();
    inside(graph, &frames)
}

fn inside<'w>(graph: &'w Graph, frames: &[&UiFrame]) -> Set<&'w str> {
    let in_one = |node: &UiNode| frames.iter().any(|frame| holds(frame, node));
    graph.nodes.iter().filter(|(_, node)| in_one(node)).map(|(id, _)| id.as_str()).collect()
}
