//! What a node shows: named lists of JSON, as ComfyUI's `ui` results, carried in `executed` messages and history.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Named lists: `{"images": [{"filename": …, "subfolder": …, "type": …}]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ui(Map<String, Json>);

impl Ui {
    /// Shows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one item to the list `name`.
    pub fn with(mut self, name: &str, item: impl Into<Json>) -> Self {
        self.push(name, item);
        self
    }

    /// Adds one item to the list `name`.
    pub fn push(&mut self, name: &str, item: impl Into<Json>) {
        let list = self.0.entry(name).or_insert_with(|| Json::Array(Vec::new()));
        match list {
            Json::Array(items) => items.push(item.into()),
            other => *other = Json::Array(vec![std::mem::take(other), item.into()]),
        }
    }

    /// The list `name`.
    pub fn get(&self, name: &str) -> Option<&[Json]> {
        self.0.get(name)?.as_array().map(Vec::as_slice)
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As JSON.
    pub fn as_json(&self) -> &Map<String, Json> {
        &self.0
    }

    /// Joins what the calls of a mapped node showed: the lists of the first call, each continued by the later ones.
    pub(crate) fn join(&mut self, later: &Ui) {
        for (name, list) in &mut self.0 {
            if let (Json::Array(list), Some(Json::Array(more))) = (list, later.0.get(name)) {
                list.extend(more.iter().cloned());
            }
        }
    }
}

impl From<Map<String, Json>> for Ui {
    fn from(map: Map<String, Json>) -> Self {
        Self(map)
    }
}
