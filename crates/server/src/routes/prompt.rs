//! `/prompt`: a graph is read, validated and joins the queue.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kiln_exec::{NodeId, Prompt};
use kiln_graph::{LowerOptions, Validated, Workflow};
use kiln_nodes::Session;
use serde_json::{Map, Number, Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::http::answer::{Answer, Json, Refusal};
use crate::http::body;
use crate::queue::job::{Job, extra_data};
use crate::queue::{Queue, now};
use crate::state::App;

/// How many jobs run or wait.
pub(crate) async fn remaining(State(app): State<App>) -> Answer<Json<Value>> {
    let remaining = app.queue.remaining().await?;
    Ok(Json(json!({"exec_info": {"queue_remaining": remaining}})))
}

/// A graph joins the queue. With `?wait=1` the answer comes at the end and has the outputs; `&cancel=1` ends the prompt when
/// the client goes away before.
pub(crate) async fn post(State(app): State<App>, Query(query): Query<HashMap<String, String>>, text: Bytes) -> Answer {
    let is_set = |key: &str| query.get(key).is_some_and(|value| matches!(value.as_str(), "" | "1" | "true"));
    let (waits, cancels) = (is_set("wait"), is_set("cancel"));
    // The counter goes on with every post, also with those that are refused.
    let counter = app.queue.next_number();
    let mut asked = Asked::read(&text, counter)?;
    if let Some(webhook) = asked.extra.as_ref().and_then(|extra| extra.get("webhook")) {
        let url = webhook.as_str().ok_or_else(|| "`webhook` is no text".to_owned());
        let allowed = url.and_then(|url| app.hooks.allowed(url));
        allowed.map_err(|why| Refusal::wrong("invalid_webhook", "Invalid webhook", why))?;
    }
    let (prompt, targets) = (std::mem::take(&mut asked.prompt), asked.targets.take());
    let session = Arc::clone(&app.session);
    // Validators may take their time.
    let checked = tokio::task::spawn_blocking(move || check(&session, prompt, targets.as_deref())).await;
    let checked = checked.map_err(|_| Refusal::wrong("invalid_prompt", "Validation broke down", ""))?;
    let (prompt, validated) = match checked? {
        Checked::Fit { prompt, validated } => (prompt, validated),
        Checked::Refused(response) => return Ok(response),
    };
    let mut answer = json!({
        "prompt_id": asked.id,
        "number": asked.number,
        "node_errors": validated.node_errors,
    });
    let id = Arc::clone(&asked.id);
    let extra = Arc::new(extra_data(asked.extra, asked.client, now()));
    let job = Job { place: counter, number: asked.number, id: asked.id, prompt: Arc::new(prompt), validated, extra };
    if waits {
        let (waiter, end) = oneshot::channel();
        let mut guard = Abandons { queue: app.queue.clone(), id: cancels.then_some(id) };
        app.queue.put(job, Some(waiter))?;
        let entry =
            end.await.map_err(|_| Refusal::Said(StatusCode::GONE, "the prompt was taken out of the queue".into()));
        guard.id = None;
        let mut entry: Value = serde_json::from_str(&entry?).unwrap_or_default();
        for key in ["outputs", "status", "meta"] {
            answer[key] = entry[key].take();
        }
    } else {
        app.queue.put(job, None)?;
    }
    Ok(Json(answer).into_response())
}

/// Ends a job, if there is one, when it is dropped: its client has gone.
struct Abandons {
    queue: Queue,
    id: Option<Arc<str>>,
}

impl Drop for Abandons {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.queue.abandon(id);
        }
    }
}

/// What a post asks for.
struct Asked {
    prompt: Value,
    id: Arc<str>,
    number: Number,
    client: Option<Value>,
    extra: Option<Map<String, Value>>,
    targets: Option<Vec<NodeId>>,
}

impl Asked {
    fn read(text: &[u8], counter: u64) -> Result<Self, Refusal> {
        let mut asked = match body::json(text)? {
            Value::Object(asked) => asked,
            _ => Map::new(),
        };
        let Some(prompt) = asked.shift_remove("prompt") else {
            return Err(Refusal::wrong("no_prompt", "No prompt provided", "No prompt provided"));
        };
        Ok(Self {
            id: id(asked.get("prompt_id"))?,
            number: number(&asked, counter)?,
            client: asked.shift_remove("client_id").filter(|client| !client.is_null()),
            extra: extra(asked.shift_remove("extra_data"))?,
            targets: targets(asked.get("partial_execution_targets"))?,
            prompt,
        })
    }
}

/// The id that the client has chosen, or a new one.
fn id(given: Option<&Value>) -> Result<Arc<str>, Refusal> {
    let Some(given) = given.filter(|given| !given.is_null()) else {
        return Ok(Uuid::new_v4().to_string().into());
    };
    let uuid = given.as_str().filter(|text| Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == **text));
    uuid.map(Arc::from).ok_or_else(|| {
        let details = format!("prompt_id must be a UUID in lower case with hyphens, got {given}");
        Refusal::wrong("invalid_prompt_id", "Invalid prompt_id", details)
    })
}

/// A number that the client has chosen, or the counter: below zero for a prompt that goes first.
fn number(asked: &Map<String, Value>, counter: u64) -> Result<Number, Refusal> {
    match asked.get("number") {
        Some(Value::Number(number)) => Ok(number.clone()),
        Some(Value::String(text)) if let Some(number) = text.parse().ok().and_then(Number::from_f64) => Ok(number),
        None if body::is_set(asked, "front") => Ok(Number::from(-(counter as i64))),
        None => Ok(Number::from(counter)),
        Some(other) => {
            Err(Refusal::wrong("invalid_number", "Invalid number", format!("number must be a number, got {other}")))
        }
    }
}

fn extra(given: Option<Value>) -> Result<Option<Map<String, Value>>, Refusal> {
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(extra)) => Ok(Some(extra)),
        Some(_) => Err(Refusal::wrong("invalid_extra_data", "Invalid extra_data", "extra_data must be an object")),
    }
}

fn targets(given: Option<&Value>) -> Result<Option<Vec<NodeId>>, Refusal> {
    let wrong = || {
        let details = "partial_execution_targets must be a list of node ids";
        Refusal::wrong("invalid_partial_execution_targets", "Invalid partial_execution_targets", details)
    };
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(ids)) => {
            ids.iter().map(|id| id.as_str().map(NodeId::from).ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

/// What validation says.
enum Checked {
    Fit { prompt: Prompt, validated: Validated },
    Refused(Response),
}

fn check(session: &Session, prompt: Value, targets: Option<&[NodeId]>) -> Result<Checked, Refusal> {
    let mut prompt = read(session, prompt)?;
    Ok(match session.engine().validate(&mut prompt, targets) {
        Ok(validated) => Checked::Fit { prompt, validated },
        Err(refused) => Checked::Refused((StatusCode::BAD_REQUEST, Json(refused)).into_response()),
    })
}

/// A prompt; an editor's workflow becomes one.
fn read(session: &Session, prompt: Value) -> Result<Prompt, Refusal> {
    let wrong =
        |details: String| Refusal::wrong("invalid_prompt", "Cannot execute because the prompt is malformed", details);
    if prompt.get("nodes").is_some_and(Value::is_array) {
        let workflow = Workflow::from_value(&prompt).map_err(|error| wrong(error.to_string()))?;
        let lowered = workflow.lower(&session.definitions(), &LowerOptions::default());
        return lowered.map_err(|error| wrong(error.to_string()));
    }
    Prompt::from_value(prompt).map_err(|error| wrong(error.to_string()))
}
