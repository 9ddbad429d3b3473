//! Who tells a run's events: to the client as messages, to the record as notes.
//!
//! Called on the engine's threads; waits for nothing.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use indexmap::IndexMap;
use kiln_exec::{Event, NodeId, NodeProgress, NodeState, Preview};
use kiln_nodes::image::SentImage;
use kiln_nodes::sampling::StepPreview;
use serde_json::{Value, json};

use super::job::Job;
use super::record::Note;
use crate::config::PreviewMethod;
use crate::hub::frame::{PreviewFrame, Stored};
use crate::hub::{Hub, Keep};

/// ComfyUI's quality of pictures of steps.
const QUALITY: u8 = 95;
/// The most nodes that one message of progress speaks of.
const MOST_STATES: usize = 1000;

/// Tells of one run.
pub(super) struct Teller {
    hub: Hub,
    client: Option<Arc<str>>,
    prompt: Arc<str>,
    notes: Sender<Note>,
    previews: bool,
    /// How far nodes are. Clients draw all of them by each message.
    states: Mutex<IndexMap<NodeId, NodeProgress>>,
}

impl Teller {
    pub(super) fn new(hub: Hub, job: &Job, usual: PreviewMethod, notes: Sender<Note>) -> Self {
        let previews = job.previews().unwrap_or(usual) != PreviewMethod::None;
        Self { hub, client: job.client(), prompt: Arc::clone(&job.id), notes, previews, states: Mutex::default() }
    }

    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::ExecutionStart { .. } | Event::ExecutionCached { .. } | Event::ExecutionSuccess { .. } => {
                self.note(event);
                self.tell(event, Keep::Always);
            }
            // A blocker's message comes without a time, and the run goes on.
            Event::ExecutionError(error) => {
                if error.timestamp.is_some() {
                    self.note(event);
                }
                self.tell(event, Keep::Always);
            }
            Event::ExecutionInterrupted { .. } => {
                self.note(event);
                self.hub.to_all(message(event));
            }
            Event::Executing { node: Some(node), .. } => {
                self.tell(event, Keep::Work(node.as_str().into()));
            }
            // Who isn't there is not told how far every node is.
            Event::ProgressState { nodes, prompt_id } if self.client.is_some() => {
                let nodes = self.remember(nodes);
                self.tell(&Event::ProgressState { nodes, prompt_id: Arc::clone(prompt_id) }, Keep::Nodes);
            }
            Event::Progress { preview, node, prompt_id, .. } => {
                let Some(client) = &self.client else { return };
                let frame = preview.as_ref().and_then(|preview| self.frame(preview, node, prompt_id));
                self.hub.step(client, message(event), frame);
            }
            Event::ProgressText { node, text, .. } => {
                if let Some(client) = &self.client {
                    self.hub.line(client, node.as_str(), text);
                }
            }
            Event::Executed { .. } => self.tell(event, Keep::Always),
            // Everything else only Kiln reports.
            _ => {}
        }
    }

    fn note(&self, event: &Event) {
        if let Some(note) = Note::of(event) {
            // Without a record the run has ended.
            let _ = self.notes.send(note);
        }
    }

    fn tell(&self, event: &Event, keep: Keep) {
        if let Some(client) = &self.client {
            self.hub.told(client, &self.prompt, message(event), keep);
        }
    }

    /// All nodes that have begun until now: clients draw by the last message alone. Of a loop that makes node after node
    /// the first finished ones are left out.
    fn remember(&self, nodes: &[NodeProgress]) -> Vec<NodeProgress> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.extend(nodes.iter().map(|node| (node.node_id.clone(), node.clone())));
        if states.len() > MOST_STATES {
            let running = |node: &NodeProgress| node.state == NodeState::Running;
            let mut excess = states.len() - MOST_STATES / 2;
            states.retain(|_, node| {
                let goes = excess > 0 && !running(node);
                excess -= usize::from(goes);
                !goes
            });
        }
        states.values().cloned().collect()
    }

    fn frame(&self, preview: &Preview, node: &NodeId, prompt_id: &str) -> Option<PreviewFrame> {
        let sent = preview.0.downcast_ref::<SentImage>();
        let (stored, picture) = match sent {
            Some(sent) => (Stored::Png, sent.png.clone().into()),
            None if self.previews => (Stored::Jpeg, jpeg(preview.0.downcast_ref::<StepPreview>()?)?),
            None => return None,
        };
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let known = states.get(node);
        let metadata = json!({
            "node_id": node,
            "prompt_id": prompt_id,
            "display_node_id": known.map_or(node, |known| &known.display_node_id),
            "parent_node_id": known.and_then(|known| known.parent_node_id.as_ref()),
            "real_node_id": known.map_or(node, |known| &known.real_node_id),
            "image_type": stored.media(),
        });
        Some(PreviewFrame { stored, picture, is_result: sent.is_some(), metadata: metadata.to_string() })
    }
}

/// An event as ComfyUI's message.
fn message(event: &Event) -> Utf8Bytes {
    serde_json::to_string(event).unwrap_or_else(|_| Value::Null.to_string()).into()
}

fn jpeg(preview: &StepPreview) -> Option<Bytes> {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let (width, height) = (u32::try_from(preview.width).ok()?, u32::try_from(preview.height).ok()?);
    encoder.encode(&preview.rgb, width, height, image::ExtendedColorType::Rgb8).ok()?;
    Some(jpeg.into())
}
