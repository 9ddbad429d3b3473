//! `/api/jobs`: the queue and the history as one list.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::answer::{Answer, Json, Refusal};
use crate::http::body;
use crate::queue::summary::Summary;
use crate::state::App;

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

    fn is_meant(&self, job: &Summary) -> bool {
        let status = self.statuses.is_empty() || self.statuses.iter().any(|status| status == job.status);
        status && self.workflow.as_ref().is_none_or(|id| job.workflow.as_ref() == Some(id))
    }

    /// Jobs of the same time stay in the order in which they came, or turn round with it.
    fn sort(&self, jobs: &mut [Arc<Summary>]) {
        let key = |job: &Summary| if self.by_duration { job.duration.unwrap_or_default() } else { job.created };
        if self.ascending {
            jobs.sort_by_key(|job| key(job));
        } else {
            jobs.sort_by_key(|job| Reverse(key(job)));
        }
    }
}

pub(crate) async fn list(State(app): State<App>, Query(query): Query<HashMap<String, String>>) -> Answer<Json<Value>> {
    let asked = Asked::read(&query)?;
    let mut jobs = app.queue.jobs().await?;
    jobs.retain(|job| asked.is_meant(job));
    asked.sort(&mut jobs);
    let total = jobs.len();
    let page = jobs.iter().skip(asked.offset).take(asked.limit.unwrap_or(usize::MAX)).map(|job| &job.json);
    let page: Vec<&Value> = page.collect();
    let has_more = asked.offset.saturating_add(page.len()) < total;
    let pagination = json!({"offset": asked.offset, "limit": asked.limit, "total": total, "has_more": has_more});
    Ok(Json(json!({"jobs": page, "pagination": pagination})))
}

pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let missing = || Refusal::Data(StatusCode::NOT_FOUND, json!({"error": "Job not found"}));
    let jobs = app.queue.jobs().await?;
    let job = jobs.iter().find(|job| job.json["id"] == *id).ok_or_else(missing)?;
    let mut shown = job.json.clone();
    if let Some(waiting) = app.queue.job(id.clone()).await? {
        shown["workflow"] = workflow(&waiting.to_json());
    } else {
        let (_, text) = app.queue.entry(id).await?.ok_or_else(missing)?;
        let mut entry: Value = serde_json::from_str(&text).map_err(|_| missing())?;
        shown["workflow"] = workflow(&entry["prompt"]);
        shown["execution_status"] = entry["status"].take();
        shown["outputs"] = entry["outputs"].take();
    }
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
