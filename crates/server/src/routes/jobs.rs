//! `/api/jobs`: the queue and the history as one list.

use std::cmp::Reverse;
use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::answer::{Answer, Json, Refusal};
use crate::http::blocking::blocking;
use crate::http::body;
use crate::queue::summary::Summary;
use crate::state::App;
use crate::store::{Row, Snapshot};

/// The states that a job can be in.
const STATUSES: [&str; 5] = ["pending", "in_progress", "completed", "failed", "cancelled"];

fn wrong(why: impl Into<String>) -> Refusal {
    Refusal::Data(StatusCode::BAD_REQUEST, json!({ "error": why.into() }))
}

/// Which jobs, in which order.
struct Asked {
    statuses: Vec<String>,
    workflow: Option<String>,
    by_duration: bool,
    ascending: bool,
    limit: Option<usize>,
    offset: usize,
}

impl Asked {
    fn read(query: &HashMap<String, String>) -> Answer<Self> {
        let text = |key: &str| query.get(key).map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let statuses: Vec<String> =
            text("status").iter().flat_map(|all| all.split(',')).map(|s| s.trim().to_owned()).collect();
        if let Some(unknown) = statuses.iter().find(|status| !STATUSES.contains(&&***status)) {
            return Err(wrong(format!("Invalid status value: {unknown}; known are {}", STATUSES.join(", "))));
        }
        let choice = |key: &str, first: &str, other: &str| match text(key).as_deref() {
            None => Ok(None),
            Some(given) if given == first => Ok(Some(true)),
            Some(given) if given == other => Ok(Some(false)),
            Some(given) => Err(wrong(format!("{key} must be {first} or {other}, got {given}"))),
        };
        let whole = |key: &str| match text(key) {
            None => Ok(None),
            Some(given) => given.parse::<i64>().map(Some).map_err(|_| wrong(format!("{key} must be a whole number"))),
        };
        let limit = whole("limit")?;
        if limit.is_some_and(|limit| limit <= 0) {
            return Err(wrong("limit must be a positive integer"));
        }
        Ok(Self {
            statuses,
            workflow: query.get("workflow_id").filter(|id| !id.is_empty()).cloned(),
            by_duration: choice("sort_by", "execution_duration", "created_at")?.unwrap_or_default(),
            ascending: choice("sort_order", "asc", "desc")?.unwrap_or_default(),
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            offset: usize::try_from(whole("offset")?.unwrap_or_default()).unwrap_or_default(),
        })
    }

    fn is_meant(&self, job: &Listed) -> bool {
        let status = self.statuses.is_empty() || self.statuses.iter().any(|status| status == job.status);
        status && self.workflow.as_ref().is_none_or(|id| job.workflow.as_ref() == Some(id))
    }

    /// Jobs of the same time stay in the order in which they came, or turn round with it.
    fn sort(&self, jobs: &mut [Listed]) {
        let key = |job: &Listed| if self.by_duration { job.duration.unwrap_or_default() } else { job.created };
        if self.ascending {
            jobs.sort_by_key(key);
        } else {
            jobs.sort_by_key(|job| Reverse(key(job)));
        }
    }

    /// The jobs that are meant, in their order.
    fn choose(&self, live: Vec<Summary>, kept: &Snapshot) -> Answer<Vec<Listed>> {
        let live = live.into_iter().map(Listed::live);
        let mut jobs: Vec<Listed> = live.chain(kept.rows()?.into_iter().map(Listed::kept)).collect();
        jobs.retain(|job| self.is_meant(job));
        self.sort(&mut jobs);
        Ok(jobs)
    }
}

/// A job of a list: what it is sorted and filtered by, and where the rest is.
struct Listed {
    status: &'static str,
    created: u64,
    duration: Option<u64>,
    workflow: Option<String>,
    rest: Rest,
}

/// The rest of a job: there already, or kept.
enum Rest {
    Here(Value),
    Kept(u64),
}

impl Listed {
    fn live(job: Summary) -> Self {
        let Summary { status, created, duration, workflow, json } = job;
        Self { status, created, duration, workflow, rest: Rest::Here(json) }
    }

    fn kept(row: Row) -> Self {
        let Row { serial, status, created, duration, workflow } = row;
        Self { status, created, duration, workflow, rest: Rest::Kept(serial) }
    }

    fn to_json(&self, kept: &Snapshot) -> Answer<Value> {
        match &self.rest {
            Rest::Here(json) => Ok(json.clone()),
            Rest::Kept(serial) => Ok(kept.job_at(*serial)?.map_or(Value::Null, |text| read(&text))),
        }
    }
}

/// What this program wrote is JSON.
fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

pub(crate) async fn list(State(app): State<App>, Query(query): Query<HashMap<String, String>>) -> Answer<Json<Value>> {
    let asked = Asked::read(&query)?;
    let (live, kept) = app.queue.jobs().await?;
    blocking(move || {
        let jobs = asked.choose(live, &kept)?;
        let page = jobs.iter().skip(asked.offset).take(asked.limit.unwrap_or(usize::MAX));
        let page = page.map(|job| job.to_json(&kept)).collect::<Answer<Vec<Value>>>()?;
        let (total, has_more) = (jobs.len(), asked.offset.saturating_add(page.len()) < jobs.len());
        let pagination = json!({"offset": asked.offset, "limit": asked.limit, "total": total, "has_more": has_more});
        Ok(Json(json!({"jobs": page, "pagination": pagination})))
    })
    .await
}

pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let missing = || Refusal::Data(StatusCode::NOT_FOUND, json!({"error": "Job not found"}));
    let (live, kept) = app.queue.jobs().await?;
    if let Some(mut shown) = live.into_iter().map(|job| job.json).find(|job| job["id"] == *id) {
        let job = app.queue.job(id.clone()).await?;
        let prompt = job.map(|job| job.to_json());
        // It may have ended since.
        if let Some(prompt) = prompt {
            shown["workflow"] = workflow(&prompt);
            return Ok(Json(shown));
        }
    }
    let kept = if kept.job(&id)?.is_some() { kept } else { app.queue.kept().await? };
    let (job, entry) = kept.job(&id)?.zip(kept.entry(&id)?).ok_or_else(missing)?;
    let (mut shown, mut entry) = (read(&job), read(&entry));
    shown["workflow"] = workflow(&entry["prompt"]);
    shown["execution_status"] = entry["status"].take();
    shown["outputs"] = entry["outputs"].take();
    Ok(Json(shown))
}

fn workflow(prompt: &Value) -> Value {
    json!({"prompt": prompt[2], "extra_data": prompt[3]})
}

pub(crate) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({"cancelled": app.queue.cancel(vec![id]).await?})))
}

pub(crate) async fn cancel_all(State(app): State<App>, text: Bytes) -> Answer<Json<Value>> {
    let asked = body::object(&text)?;
    let ids = asked.get("job_ids").and_then(Value::as_array).filter(|ids| !ids.is_empty());
    let ids = ids.ok_or_else(|| wrong("job_ids must be a list of job ids"))?;
    let (good, bad): (Vec<&Value>, Vec<&Value>) =
        ids.iter().partition(|id| id.as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()));
    if !bad.is_empty() {
        let error = json!({"error": "job_ids must be UUIDs", "invalid_ids": bad});
        return Err(Refusal::Data(StatusCode::BAD_REQUEST, error));
    }
    let good = good.into_iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Json(json!({"cancelled": app.queue.cancel(good).await?})))
}
