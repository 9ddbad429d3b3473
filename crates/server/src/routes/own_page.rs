//! `/kiln`: Kiln's own page, and what it asks: what runs with times and bytes, and who holds memory.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use indexmap::IndexMap;
use kiln_exec::NodeId;
use kiln_graph::View;
use kiln_memory::{human_bytes, process_memory};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::answer::{Answer, Json, Refusal};
use crate::hub::live::LiveNode;
use crate::state::App;

/// The page. Everything that it shows from elsewhere it writes as text.
const PAGE: &str = include_str!("own_page.html");
/// Graphs with more nodes are no picture any more.
const MOST_NODES: usize = 500;

pub(crate) fn own_page() -> Router<App> {
    Router::new().route("/kiln", get(page)).route("/kiln/state", get(state)).route("/kiln/graph.svg", get(graph))
}

/// The page may run its own script and nothing else, and load from this server alone.
async fn page() -> Response {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
        ),
    ];
    (headers, PAGE.replace("{nonce}", &nonce)).into_response()
}

async fn state(State(app): State<App>) -> Json<Value> {
    let environment = app.session.environment();
    let report = environment.budget().report();
    let row = |row: &kiln_memory::Row| json!({"owner": row.owner, "kind": row.kind.to_string(), "used": row.used, "peak": row.peak});
    let process = process_memory();
    Json(json!({
        "runs": app.hub.live().runs(),
        "memory": {
            "used": report.used,
            "peak": report.peak,
            "limit": environment.controls().ram_limit,
            "weights_limit": environment.pager().limit(),
            "holders": report.rows.iter().map(row).collect::<Vec<_>>(),
            "process": process.map(|process| json!({"own": process.anonymous, "mapped": process.file_backed})),
        },
    }))
}

/// Which prompt.
#[derive(Deserialize)]
struct Asked {
    prompt_id: String,
}

/// The graph of a prompt that waits or runs, with what is known of each node in its box.
async fn graph(State(app): State<App>, Query(asked): Query<Asked>) -> Answer {
    let job = app.queue.job(asked.prompt_id.clone()).await?.ok_or_else(Refusal::missing)?;
    if job.prompt.len() > MOST_NODES {
        let words = format!("the graph has {} nodes; more than {MOST_NODES} are not drawn", job.prompt.len());
        return Err(Refusal::Said(StatusCode::PAYLOAD_TOO_LARGE, words));
    }
    let runs = app.hub.live().runs();
    let nodes = runs.get(asked.prompt_id.as_str()).map(|run| &run.nodes);
    let svg = View::of(&job.prompt).to_svg(&|id| note(nodes, id));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Opened by itself it runs nothing either.
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, svg).into_response())
}

/// What stands in a node's box: how far it is, or what it took and holds.
fn note(nodes: Option<&IndexMap<NodeId, LiveNode>>, id: &NodeId) -> Option<String> {
    let node = nodes?.get(id)?;
    Some(match node.state {
        "running" if node.max > 0.0 => format!("running, {} of {}", node.value, node.max),
        "finished" => format!("{:.2} s, {}", node.micros as f64 / 1e6, human_bytes(node.bytes)),
        state => state.to_owned(),
    })
}
