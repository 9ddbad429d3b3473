//! `/openapi.json`: the routes for programs that read descriptions. One table, held to the router by a test.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::http::answer::JSON;

/// A method of a route.
struct Operation {
    path: &'static str,
    method: &'static str,
    /// The heading under which it stands.
    topic: &'static str,
    what: &'static str,
    /// Names in the query.
    query: &'static [&'static str],
    /// The content type of the body.
    body: Option<&'static str>,
}

const J: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("multipart/form-data");
const BYTES: Option<&str> = Some("application/octet-stream");

const fn op(
    method: &'static str,
    path: &'static str,
    topic: &'static str,
    what: &'static str,
    query: &'static [&'static str],
    body: Option<&'static str>,
) -> Operation {
    Operation { path, method, topic, what, query, body }
}

/// Every operation.
const OPERATIONS: &[Operation] = &[
    op("get", "/ws", "prompts", "Opens a websocket for messages of prompts.", &["clientId"], None),
    op("get", "/prompt", "prompts", "How many prompts run or wait.", &[], None),
    op(
        "post",
        "/prompt",
        "prompts",
        "Queues a graph; with `wait=1` the answer comes at its end, with the outputs. `cancel=1` ends it when the client goes away.",
        &["wait", "cancel"],
        J,
    ),
    op("get", "/queue", "prompts", "What runs and what waits.", &[], None),
    op(
        "post",
        "/queue",
        "prompts",
        "`clear`, `delete` (ids), `pause` (true or false), `move` (by id a number, `front` or `back`).",
        &[],
        J,
    ),
    op("get", "/history", "prompts", "Finished prompts, the oldest first.", &["max_items", "offset"], None),
    op("post", "/history", "prompts", "`clear`, or `delete` (ids).", &[], J),
    op(
        "get",
        "/history/{prompt_id}",
        "prompts",
        "A finished prompt, or `{}`; the header `kiln-prompt-state` says whether it waits, runs, is finished or unknown.",
        &[],
        None,
    ),
    op("post", "/interrupt", "prompts", "Stops what runs, or only the prompt with `prompt_id`.", &[], J),
    op("post", "/free", "prompts", "`unload_models`, `free_memory`: gives back what is kept between prompts.", &[], J),
    op(
        "get",
        "/jobs",
        "prompts",
        "Queue and history as one list.",
        &["status", "limit", "offset", "sort_by", "sort_order", "workflow_id"],
        None,
    ),
    op("post", "/jobs/cancel", "prompts", "Ends or takes out the `job_ids`.", &[], J),
    op("get", "/jobs/{id}", "prompts", "One job with its graph and its outputs.", &[], None),
    op("post", "/jobs/{id}/cancel", "prompts", "Ends a job that runs, takes out one that waits.", &[], None),
    op("get", "/features", "server", "What this server can do.", &[], None),
    op("get", "/system_stats", "server", "The machine and the program.", &[], None),
    op("get", "/metrics", "server", "Numbers for Prometheus.", &[], None),
    op("get", "/openapi.json", "server", "This description.", &[], None),
    op("get", "/object_info", "nodes", "All node classes.", &[], None),
    op("get", "/object_info/{class}", "nodes", "One node class.", &[], None),
    op("get", "/models", "models", "Kinds of models.", &[], None),
    op("get", "/models/{folder}", "models", "Files of a kind.", &[], None),
    op("get", "/embeddings", "models", "Embeddings without their endings.", &[], None),
    op("get", "/experiment/models", "models", "Kinds with their folders.", &[], None),
    op("get", "/experiment/models/{folder}", "models", "Files with sizes and times.", &[], None),
    op("get", "/experiment/models/preview/{folder}/{index}/{name}", "models", "The picture of a model.", &[], None),
    op("get", "/view_metadata/{folder}", "models", "What a safetensors file says of itself.", &["filename"], None),
    op("get", "/extensions", "page", "Scripts of the page's extensions.", &[], None),
    op("get", "/i18n", "page", "Translations of packs.", &[], None),
    op("get", "/workflow_templates", "page", "Templates of packs.", &[], None),
    op("get", "/global_subgraphs", "page", "Subgraphs of packs.", &[], None),
    op(
        "get",
        "/view",
        "files",
        "A file, or its picture in another coding.",
        &["filename", "type", "subfolder", "preview", "channel"],
        None,
    ),
    op("post", "/upload/image", "files", "Stores `image` in the folder `type`.", &[], FORM),
    op("post", "/upload/mask", "files", "Stores the transparency of `image` in a copy of `original_ref`.", &[], FORM),
    op("get", "/users", "users", "Who there is.", &[], None),
    op("post", "/users", "users", "Adds `username`.", &[], J),
    op("get", "/settings", "users", "All settings.", &[], None),
    op("post", "/settings", "users", "Changes settings.", &[], J),
    op("get", "/settings/{id}", "users", "One setting.", &[], None),
    op("post", "/settings/{id}", "users", "Changes one setting.", &[], J),
    op("get", "/userdata", "users", "Files in a folder of the user.", &["dir", "recurse", "full_info", "split"], None),
    op("get", "/v2/userdata", "users", "Files and folders of the user.", &["path"], None),
    op("get", "/userdata/{file}", "users", "A file of the user.", &[], None),
    op("post", "/userdata/{file}", "users", "Writes a file.", &["overwrite", "full_info"], BYTES),
    op("delete", "/userdata/{file}", "users", "Deletes a file.", &[], None),
    op("post", "/userdata/{file}/move/{dest}", "users", "Renames a file.", &["overwrite", "full_info"], None),
];

static TEXT: LazyLock<Bytes> = LazyLock::new(|| description().to_string().into());

pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, JSON)], TEXT.clone()).into_response()
}

fn description() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let of_path = paths.entry(operation.path).or_insert_with(|| json!({}));
        of_path[operation.method] = operation.to_json();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Kiln",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "ComfyUI's HTTP dialect. Every path exists with /api before it, too.",
        },
        "servers": [{"url": "/"}, {"url": "/api"}],
        "paths": paths,
        "components": {"securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic"},
            "query": {"type": "apiKey", "in": "query", "name": "token"},
        }},
        "security": [{}, {"bearer": []}, {"basic": []}, {"query": []}],
    })
}

impl Operation {
    fn to_json(&self) -> Value {
        let text = |name: &str, place: &str| json!({"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}});
        let in_path = self.path.split('{').skip(1).filter_map(|part| part.split('}').next());
        let parameters =
            in_path.map(|name| text(name, "path")).chain(self.query.iter().map(|name| text(name, "query")));
        let mut operation = json!({
            "tags": [self.topic],
            "summary": self.what,
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": {
                "200": {"description": "Done."},
                "400": {"description": "Not understood."},
                "401": {"description": "The token is missing or wrong."},
                "403": {"description": "Not allowed."},
                "404": {"description": "Not there."},
            },
        });
        if let Some(kind) = self.body {
            let schema = if kind == "application/octet-stream" { json!({}) } else { json!({"type": "object"}) };
            operation["requestBody"] = json!({"content": {kind: {"schema": schema}}});
        }
        operation
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::OPERATIONS;

    #[test]
    fn every_route_is_described_with_its_methods_and_no_other() {
        let source = include_str!("mod.rs");
        let api = source.split("What the page asks behind").next().unwrap_or_default();
        let mut routed = BTreeSet::new();
        for line in api.split(".route(").skip(1) {
            let mut parts = line.splitn(3, '"');
            let path = parts.nth(1).unwrap_or_default().replace("{*", "{");
            let handlers = parts.next().unwrap_or_default().split('\n').next().unwrap_or_default();
            for method in ["get", "post", "delete", "patch"] {
                if handlers.contains(&format!("{method}(")) {
                    routed.insert((path.clone(), method));
                }
            }
        }
        let described: BTreeSet<_> = OPERATIONS.iter().map(|o| (o.path.to_owned(), o.method)).collect();
        assert_eq!(routed, described);
        assert_eq!(OPERATIONS.len(), described.len(), "each once");
    }
}
