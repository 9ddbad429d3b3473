//! The record of a run: what the history keeps of it, in ComfyUI's shape.

use std::time::{SystemTime, UNIX_EPOCH};

use kiln_exec::{Event, Report, RunError};
use serde_json::{Map, Value, json};

use super::job::Job;

/// A message that the history keeps: its type and its data.
#[derive(Clone, Debug)]
pub(super) struct Note {
    kind: String,
    data: Value,
}

impl Note {
    /// The event's type and data.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let Value::Object(mut message) = serde_json::to_value(event).ok()? else { return None };
        let kind = message.get("type")?.as_str()?.to_owned();
        Some(Self { kind, data: message.shift_remove("data")? })
    }

    fn is_end(&self) -> bool {
        matches!(self.kind.as_str(), "execution_success" | "execution_error" | "execution_interrupted")
    }

    /// As a client gets it.
    pub(super) fn message(&self) -> String {
        json!({"type": self.kind, "data": self.data}).to_string()
    }

    fn to_json(&self) -> Value {
        json!([self.kind, self.data])
    }
}

/// A note for a run that ended without a word: the engine itself broke, or it was cancelled before its first node.
pub(super) fn missing_end(notes: &[Note], job: &Job, ended: &Result<Report, RunError>) -> Option<Note> {
    let error = ended.as_ref().err().filter(|_| !notes.iter().any(Note::is_end))?;
    let mut data = json!({
        "prompt_id": job.id,
        "node_id": error.node(),
        "node_type": error.class_type(),
        "executed": error.executed(),
        "timestamp": now(),
    });
    if error.is_interrupted() {
        return Some(Note { kind: "execution_interrupted".into(), data });
    }
    if let Value::Object(data) = &mut data {
        data.insert("exception_message".into(), error.message().into());
        data.insert("exception_type".into(), error.node_error().type_name().into());
        data.insert("traceback".into(), json!([]));
        data.insert("current_inputs".into(), json!({}));
        data.insert("current_outputs".into(), json!([]));
    }
    Some(Note { kind: "execution_error".into(), data })
}

/// The end of a job that can't run.
pub(super) fn lost(job: &Job, why: &str) -> Value {
    let data = json!({
        "prompt_id": job.id,
        "node_id": null,
        "node_type": null,
        "executed": [],
        "exception_message": why,
        "exception_type": "ServerEnded",
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
        "timestamp": now(),
    });
    let messages = [json!(["execution_error", data])];
    json!({
        "prompt": job.to_json(),
        "outputs": {},
        "status": {"status_str": "error", "completed": false, "messages": messages},
        "meta": {},
    })
}

/// A history entry.
pub(super) fn entry(job: &Job, notes: &[Note], ended: &Result<Report, RunError>) -> Value {
    let (mut outputs, mut meta) = (Map::new(), Map::new());
    let report = ended.as_ref().map_or_else(RunError::report, Some);
    for (id, output) in report.into_iter().flat_map(|report| &report.outputs) {
        let Some(ui) = output.ui.as_ref().filter(|ui| !ui.is_empty()) else { continue };
        outputs.insert(id.to_string(), Value::Object(ui.as_json().clone()));
        let places = json!({
            "node_id": id,
            "display_node": output.display_node,
            "parent_node": output.parent_node,
            "real_node_id": output.real_node,
        });
        meta.insert(id.to_string(), places);
    }
    let messages: Vec<Value> = notes.iter().map(Note::to_json).collect();
    let status_str = if ended.is_ok() { "success" } else { "error" };
    json!({
        "prompt": job.to_json(),
        "outputs": outputs,
        "status": {"status_str": status_str, "completed": ended.is_ok(), "messages": messages},
        "meta": meta,
    })
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
