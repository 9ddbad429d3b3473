//! Keys: one digest per node over its class, its literals, and its sources' digests. Equal keys mean equal results.
//!
//! Each node costs one hash over its own inputs; nothing walks ancestors. A node without a key never equals anything,
//! and neither does what depends on it.

use std::sync::Arc;

use kiln_graph::{Input, NodeId, PromptNode};
use serde_json::Value as Json;

use crate::node::{Class, Fingerprint};

/// The digest that stands for a node's results.
pub type Key = [u8; 32];

/// Writes the parts of a key one after the other, each so that no two different sequences look alike.
#[derive(Default)]
pub(crate) struct KeyWriter {
    bytes: Vec<u8>,
    order: Vec<u32>,
}

impl KeyWriter {
    /// The key of a node; `None` when it can equal nothing. `id` for classes that are keyed by it. `source` gives the key of what input number `i` links to.
    pub(crate) fn key(
        &mut self,
        class: &Class,
        id: Option<&NodeId>,
        node: &PromptNode,
        fingerprint: &Fingerprint,
        mut source: impl FnMut(u32) -> Option<Key>,
    ) -> Option<Key> {
        self.bytes.clear();
        self.bytes.extend_from_slice(class.seed.as_bytes());
        if let Some(id) = id {
            self.text(b'i', id.as_str());
        }
        match fingerprint {
            Fingerprint::Stable => {}
            Fingerprint::Always => return None,
            Fingerprint::Value(value) => {
                self.bytes.push(b'f');
                self.json(value);
            }
        }
        let mut order = std::mem::take(&mut self.order);
        by_name(node, &mut order);
        let whole = order.iter().all(|at| {
            let Some((name, input)) = node.inputs.get_index(*at as usize) else { return false };
            self.input(name, input, || source(*at))
        });
        self.order = order;
        whole.then(|| *blake3::hash(&self.bytes).as_bytes())
    }

    fn input(&mut self, name: &Arc<str>, input: &Input, source: impl FnOnce() -> Option<Key>) -> bool {
        self.text(b'n', name);
        match input {
            Input::Link(link) => {
                let Some(key) = source() else { return false };
                self.bytes.push(b'l');
                self.bytes.extend_from_slice(&(link.socket as u64).to_le_bytes());
                self.bytes.extend_from_slice(&key);
            }
            Input::Opaque(_) => return false,
            Input::Literal(value) | Input::Malformed(value) if kiln_graph::has_nan(value) => return false,
            Input::Literal(value) | Input::Malformed(value) => {
                self.bytes.push(b'v');
                self.json(value);
            }
        }
        true
    }

    fn text(&mut self, tag: u8, text: &str) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A JSON value; recursion is as deep as the parser allowed the value to be.
    fn json(&mut self, value: &Json) {
        match value {
            Json::Null => self.bytes.push(b'0'),
            Json::Bool(b) => self.bytes.extend_from_slice(&[b'b', u8::from(*b)]),
            Json::Number(number) => self.number(number),
            Json::String(text) => self.text(b's', text),
            Json::Array(items) => {
                self.bytes.push(b'a');
                self.bytes.extend_from_slice(&(items.len() as u64).to_le_bytes());
                for item in items {
                    self.json(item);
                }
            }
            Json::Object(dict) => {
                self.bytes.push(b'o');
                self.bytes.extend_from_slice(&(dict.len() as u64).to_le_bytes());
                let mut entries: Vec<_> = dict.iter().collect();
                entries.sort_by_key(|(name, _)| *name);
                for (name, item) in entries {
                    self.text(b'k', name);
                    self.json(item);
                }
            }
        }
    }

    fn number(&mut self, number: &serde_json::Number) {
        if let Some(i) = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)) {
            self.bytes.push(b'd');
            self.bytes.extend_from_slice(&i.to_le_bytes());
        } else {
            self.bytes.push(b'g');
            self.bytes.extend_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_bits().to_le_bytes());
        }
    }
}

/// Input positions sorted by name, so that the order in the JSON does not matter.
fn by_name(node: &PromptNode, order: &mut Vec<u32>) {
    order.clear();
    order.extend(0..node.inputs.len() as u32);
    if node.inputs.len() > 1 {
        order.sort_by(|a, b| {
            let name = |at: &u32| node.inputs.get_index(*at as usize).map(|(name, _)| name);
            name(a).cmp(&name(b))
        });
    }
}

/// The key under which a node of an expansion is kept where expansions have caches of their own.
pub(crate) fn scoped(key: &Key, expander: &NodeId) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key).update(expander.as_str().as_bytes());
    *hasher.finalize().as_bytes()
}
