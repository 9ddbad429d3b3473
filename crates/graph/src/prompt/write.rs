//! Writing API-format JSON, key by key as it was read.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::nodes::{Prompt, PromptNode};

impl Prompt {
    /// The API-format JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.nodes.serialize(serializer)
    }
}

impl Serialize for PromptNode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.inputs_first {
            map.serialize_entry("inputs", &self.inputs)?;
        }
        if !self.class_type.is_empty() {
            map.serialize_entry("class_type", &self.class_type)?;
        }
        if !self.inputs_first {
            map.serialize_entry("inputs", &self.inputs)?;
        }
        if let Some(meta) = &self.meta {
            map.serialize_entry("_meta", meta)?;
        }
        if let Some(is_changed) = &self.is_changed {
            map.serialize_entry("is_changed", is_changed)?;
        }
        if let Some(id) = &self.override_display_id {
            map.serialize_entry("override_display_id", id)?;
        }
        for (key, value) in self.extra.iter().flat_map(|extra| extra.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
