//! The queue: what runs and waits, and taking jobs out.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::http::answer::{Answer, Json, Refusal};
use crate::http::body;
use crate::queue::pending::Place;
use crate::state::App;

pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Value>> {
    let listing = app.queue.listing().await?;
    let mut shown = json!({"queue_running": listing.running, "queue_pending": listing.waiting});
    if listing.paused {
        shown["paused"] = true.into();
    }
    Ok(Json(shown))
}

pub(crate) async fn edit(State(app): State<App>, text: Bytes) -> Answer<StatusCode> {
    let asked = body::object(&text)?;
    if body::is_set(&asked, "clear") {
        app.queue.clear().await?;
    }
    let ids = body::texts(&asked, "delete");
    if !ids.is_empty() {
        app.queue.remove(ids).await?;
    }
    if let Some(paused) = asked.get("pause") {
        app.queue.pause(paused.as_bool().ok_or_else(|| wrong("`pause` is true or false"))?).await?;
    }
    for (id, to) in places(asked.get("move"))? {
        app.queue.renumber(id, to).await?;
    }
    Ok(StatusCode::OK)
}

fn wrong(details: &str) -> Refusal {
    Refusal::wrong("invalid_queue_edit", "Invalid change of the queue", details)
}

/// Where waiting jobs are put: by id a number, `"front"` or `"back"`.
fn places(given: Option<&Value>) -> Answer<Vec<(String, Place)>> {
    let no_place = || wrong("`move` is an object: by prompt id a number, \"front\" or \"back\"");
    let Some(given) = given else { return Ok(Vec::new()) };
    let given = given.as_object().ok_or_else(no_place)?.iter().map(|(id, to)| {
        let to = match to {
            Value::Number(number) => Place::Number(number.clone()),
            Value::String(word) if word == "front" => Place::Front,
            Value::String(word) if word == "back" => Place::Back,
            _ => return Err(no_place()),
        };
        Ok((id.clone(), to))
    });
    given.collect()
}
