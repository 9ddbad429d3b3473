//! Summaries of jobs, as the page's lists show them: made once, when a job changes its state.

use serde_json::{Map, Value, json};

use super::job::Job;

/// Kinds of what a page can show, by the name under which nodes show them.
const SHOWN: [&str; 5] = ["images", "video", "audio", "3d", "text"];
/// Endings of 3-D models.
const MODELS: [&str; 6] = [".obj", ".fbx", ".gltf", ".glb", ".usdz", ".splat"];
/// Endings of texts.
const TEXTS: [&str; 3] = [".txt", ".md", ".json"];
/// The most characters of a text that a list shows.
const MOST_TEXT: usize = 1024;

/// A job as a list shows it, and what lists are sorted and filtered by.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) status: &'static str,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// Milliseconds, of a finished job.
    pub(crate) duration: Option<u64>,
    pub(crate) workflow: Option<String>,
    pub(crate) json: Value,
}

/// Of a job that waits.
pub(crate) fn of_waiting(job: &Job) -> Summary {
    of_queued(job, "pending", None)
}

/// Of the job that runs, since so many milliseconds after 1970.
pub(crate) fn of_running(job: &Job, began: u64) -> Summary {
    of_queued(job, "in_progress", Some(began))
}

fn of_queued(job: &Job, status: &'static str, began: Option<u64>) -> Summary {
    let extra = Value::Object((*job.extra).clone());
    let basics = Basics { status, id: json!(job.id), number: json!(job.number), extra: &extra, began, ended: None };
    basics.summary(Map::from_iter([
        ("outputs_count".to_owned(), json!(0)),
        ("previewable_outputs_count".to_owned(), json!(0)),
    ]))
}

/// Of a history entry.
pub(crate) fn of_finished(entry: &Value) -> Summary {
    let messages = entry["status"]["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &str| messages.iter().find(|message| message[0] == *kind).map(|message| &message[1]);
    let time = |data: Option<&Value>| data.and_then(|data| data["timestamp"].as_u64());
    let (error, interrupted) = (of("execution_error"), of("execution_interrupted"));
    let status = match (entry["status"]["status_str"] == "success", interrupted.is_some()) {
        (true, _) => "completed",
        (_, true) => "cancelled",
        _ => "failed",
    };
    let prompt = &entry["prompt"];
    let ended = time(of("execution_success").or(error).or(interrupted));
    let basics = Basics {
        status,
        id: prompt[1].clone(),
        number: prompt[0].clone(),
        extra: &prompt[3],
        began: time(of("execution_start")),
        ended,
    };
    let mut more = Outputs::of(&entry["outputs"]).to_json();
    more.extend(error.map(|error| ("execution_error".to_owned(), error.clone())));
    basics.summary(more)
}

/// What every list says of a job.
struct Basics<'a> {
    status: &'static str,
    id: Value,
    number: Value,
    extra: &'a Value,
    began: Option<u64>,
    ended: Option<u64>,
}

impl Basics<'_> {
    fn summary(self, more: Map<String, Value>) -> Summary {
        let workflow = match &self.extra["extra_pnginfo"]["workflow"]["id"] {
            Value::Null => None,
            Value::String(id) => Some(id.clone()),
            other => Some(other.to_string()),
        };
        let created = self.extra["create_time"].as_u64().unwrap_or_default();
        let mut job = json!({
            "id": self.id,
            "status": self.status,
            "priority": self.number,
            "create_time": created,
            "execution_start_time": self.began,
            "execution_end_time": self.ended,
            "workflow_id": workflow,
        });
        if let Value::Object(job) = &mut job {
            job.extend(more);
            job.retain(|_, value| !value.is_null());
        }
        let duration = self.began.zip(self.ended).map(|(began, ended)| ended.saturating_sub(began));
        Summary { status: self.status, created, duration, workflow, json: job }
    }
}

/// What a finished job shows.
#[derive(Default)]
struct Outputs {
    count: usize,
    previewable: usize,
    /// By rank: a saved medium, a medium, a text file, a text.
    best: [Option<Value>; 4],
}

impl Outputs {
    fn of(outputs: &Value) -> Self {
        let mut this = Self::default();
        for (node, ui) in outputs.as_object().into_iter().flatten() {
            for (kind, items) in ui.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "animated") {
                for item in items.as_array().into_iter().flatten() {
                    this.add(node, kind, item);
                }
            }
        }
        this
    }

    fn add(&mut self, node: &str, kind: &str, item: &Value) {
        self.count += 1;
        if !is_previewable(kind, item) {
            return;
        }
        self.previewable += 1;
        let is_text = kind == "text" || ends(item, &TEXTS);
        let rank = match (is_text, item.is_object()) {
            (true, true) => 2,
            (true, false) => 3,
            _ if item["type"] == "output" => 0,
            _ => 1,
        };
        self.best[rank].get_or_insert_with(|| preview(node, kind, item));
    }

    fn to_json(&self) -> Map<String, Value> {
        Map::from_iter([
            ("outputs_count".to_owned(), json!(self.count)),
            ("previewable_outputs_count".to_owned(), json!(self.previewable)),
            ("preview_output".to_owned(), self.best.iter().flatten().next().cloned().unwrap_or_default()),
        ])
    }
}

fn is_previewable(kind: &str, item: &Value) -> bool {
    let format = item["format"].as_str().unwrap_or_default();
    let media = format.starts_with("video/") || format.starts_with("audio/");
    SHOWN.contains(&kind) || media || ends(item, &MODELS) || ends(item, &TEXTS)
}

fn ends(item: &Value, endings: &[&str]) -> bool {
    let name = item["filename"].as_str().unwrap_or_default().to_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

fn preview(node: &str, kind: &str, item: &Value) -> Value {
    let mut shown = match item {
        Value::Object(item) => item.clone(),
        other => {
            let text = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            let cut: String = text.chars().take(MOST_TEXT).collect();
            let truncated = cut.len() < text.len();
            let cut = Map::from_iter([("content".to_owned(), json!(cut))]);
            cut.into_iter().chain(truncated.then(|| ("truncated".to_owned(), json!(true)))).collect()
        }
    };
    shown.insert("nodeId".into(), node.into());
    shown.insert("mediaType".into(), kind.into());
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_image_is_shown_before_a_preview_and_both_before_a_text() {
        let temp = json!({"filename": "t.png", "subfolder": "", "type": "temp"});
        let saved = json!({"filename": "s.png", "subfolder": "", "type": "output"});
        let text = json!(["x".repeat(2000)]);
        let of = |outputs: Value| Outputs::of(&outputs).to_json();
        let all =
            of(json!({"1": {"text": text}, "2": {"images": [temp]}, "3": {"images": [saved], "animated": [true]}}));
        assert_eq!((&all["outputs_count"], &all["previewable_outputs_count"]), (&json!(3), &json!(3)));
        assert_eq!(all["preview_output"]["filename"], "s.png");
        assert_eq!(all["preview_output"]["nodeId"], "3");
        assert_eq!(all["preview_output"]["mediaType"], "images");
        let text = of(json!({"1": {"text": text}}));
        assert_eq!(text["preview_output"]["content"].as_str().map(str::len), Some(1024));
        assert_eq!(text["preview_output"]["truncated"], true);
        assert_eq!(of(json!({}))["preview_output"], Value::Null);
    }
}
