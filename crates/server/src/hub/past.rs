//! What a running prompt has said until now, for a client that connects again.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use serde_json::json;

use super::frame::text;
use super::handle::Keep;

/// So many messages are sent again.
const MOST: usize = 1000;
/// So many bytes of them.
const MOST_BYTES: usize = 4 << 20;

/// What a running prompt has said until now.
pub(super) struct Past {
    sid: Arc<str>,
    always: Vec<Utf8Bytes>,
    bytes: usize,
    nodes: Option<Utf8Bytes>,
    work: Option<(Arc<str>, Utf8Bytes)>,
}

impl Past {
    /// Of a prompt of this client.
    pub(super) fn of(sid: Arc<str>) -> Self {
        Self { sid, always: Vec::new(), bytes: 0, nodes: None, work: None }
    }

    pub(super) fn is_of(&self, sid: &str) -> bool {
        *self.sid == *sid
    }

    pub(super) fn add(&mut self, message: &Utf8Bytes, keep: Keep) {
        match keep {
            Keep::Nodes => self.nodes = Some(message.clone()),
            Keep::Work(node) => self.work = Some((node, message.clone())),
            Keep::Always => {
                self.bytes += message.len();
                if self.always.len() < MOST && self.bytes <= MOST_BYTES {
                    self.always.push(message.clone());
                }
            }
        }
    }

    /// First the node at work, as ComfyUI says it; then what was said, and how far it is.
    pub(super) fn messages(&self) -> Vec<Utf8Bytes> {
        let greeting = self.work.iter().map(|(node, _)| text("executing", json!({ "node": node })));
        let last = self.nodes.iter().chain(self.work.iter().map(|(_, message)| message));
        greeting.chain(self.always.iter().chain(last).cloned()).collect()
    }
}
