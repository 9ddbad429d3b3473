//! The queue and the history as clients edit them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Running, saved, slow};

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item[1].as_str().unwrap()).collect()
}

/// A prompt that runs until it is interrupted, and its id.
async fn busy(server: &Running) -> String {
    let id = server.queue(json!({"prompt": slow(300.0)})).await;
    while server.json("/queue").await["queue_running"].as_array().unwrap().is_empty() {}
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_run_by_number_and_those_in_front_first() {
    let server = Running::start().await;
    let running = busy(&server).await;
    let plain = server.queue(json!({"prompt": saved("a", 1)})).await;
    let front = server.queue(json!({"prompt": saved("b", 2), "front": true})).await;
    let chosen = server.queue(json!({"prompt": saved("c", 3), "number": 0.5})).await;
    let queue = server.json("/queue").await;
    assert_eq!(ids(&queue["queue_running"]), [&*running]);
    assert_eq!(ids(&queue["queue_pending"]), [&*front, &*chosen, &*plain]);
    let numbers: Vec<&Value> = queue["queue_pending"].as_array().unwrap().iter().map(|item| &item[0]).collect();
    assert_eq!(numbers, [&json!(-2), &json!(0.5), &json!(1)]);
    assert_eq!(server.json("/prompt").await, json!({"exec_info": {"queue_remaining": 4}}));
    server.post("/interrupt", "").await;
    server.finished(&plain).await;
    let history = server.json("/history").await;
    let order: Vec<&String> = history.as_object().unwrap().keys().collect();
    assert_eq!(order, [&running, &front, &chosen, &plain]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_prompts_are_deleted_and_cleared_and_the_running_one_stays() {
    let server = Running::start().await;
    let mut socket = server.socket("").await;
    let running = busy(&server).await;
    let mut waiting = Vec::new();
    for colour in 0..3 {
        waiting.push(server.queue(json!({"prompt": saved("x", colour)})).await);
    }
    let gone = server.post("/queue", json!({"delete": [waiting[1], "unknown", 7, running]})).await;
    assert_eq!((gone.status(), gone.text().await.unwrap()), (StatusCode::OK, String::new()));
    assert_eq!(ids(&server.json("/queue").await["queue_pending"]), [&*waiting[0], &*waiting[2]]);
    server.post("/api/queue", json!({"clear": true})).await;
    let queue = server.json("/api/queue").await;
    assert_eq!((ids(&queue["queue_running"]), ids(&queue["queue_pending"])), (vec![&*running], vec![]));
    // Each change is told to everybody.
    let mut remaining = Vec::new();
    while remaining.last() != Some(&1) || remaining.len() < 8 {
        remaining.push(socket.message().await["data"]["status"]["exec_info"]["queue_remaining"].as_u64().unwrap());
    }
    assert_eq!(remaining, [0, 1, 1, 2, 3, 4, 3, 1]);
    server.post("/interrupt", "not json").await;
    server.finished(&running).await;
    assert_eq!(server.json(&format!("/history/{}", waiting[0])).await, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_has_pages_and_forgets() {
    let server = Running::start().await;
    let mut all = Vec::new();
    for _ in 0..4 {
        let id = server.queue(json!({"prompt": saved("same", 1)})).await;
        server.finished(&id).await;
        all.push(id);
    }
    let ids =
        async |path: &str| -> Vec<String> { server.json(path).await.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(ids("/history").await, all);
    assert_eq!(ids("/history?offset=0").await, all);
    assert_eq!(ids("/history?max_items=2").await, all[2..]);
    assert_eq!(ids("/history?max_items=2&offset=1").await, all[1..3]);
    assert!(ids("/history?offset=100").await.is_empty());
    assert_eq!(server.get("/history?max_items=two").await.status(), StatusCode::BAD_REQUEST);
    server.post("/history", json!({"delete": [all[0]]})).await;
    assert_eq!(ids("/history").await, all[1..]);
    server.post("/history", json!({"clear": true})).await;
    assert!(ids("/history").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_bounded() {
    let server = Running::with(|config| config.history = 2).await;
    let mut last = Vec::new();
    for colour in 0..3 {
        let id = server.queue(json!({"prompt": saved("x", colour)})).await;
        server.finished(&id).await;
        last.push(id);
    }
    let history = server.json("/history").await;
    assert_eq!(history.as_object().unwrap().keys().collect::<Vec<_>>(), last.iter().skip(1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_freed_after_the_prompt() {
    let server = Running::start().await;
    let first = server.queue(json!({"prompt": saved("x", 1)})).await;
    server.finished(&first).await;
    assert_eq!(
        server.post("/free", json!({"unload_models": true, "free_memory": true})).await.status(),
        StatusCode::OK
    );
    let second = server.queue(json!({"prompt": saved("x", 1)})).await;
    let entry = server.finished(&second).await;
    assert_eq!(entry["status"]["messages"][1][1]["nodes"], json!([]), "nothing is cached any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_id_is_kept_and_an_editors_workflow_is_taken() {
    let server = Running::start().await;
    let id = "1f0d7a3e-3c3c-4b9f-8a55-7b6f6b3c9a01";
    assert_eq!(server.queue(json!({"prompt": saved("x", 1), "prompt_id": id})).await, id);
    let workflow = json!({
        "version": 0.4,
        "nodes": [
            {"id": 1, "type": "EmptyImage", "mode": 0, "inputs": [], "widgets_values": [8, 8, 1, 0],
             "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
            {"id": 2, "type": "SaveImage", "mode": 0, "widgets_values": ["edited"],
             "inputs": [{"name": "images", "type": "IMAGE", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    });
    let id = server.queue(json!({ "prompt": workflow })).await;
    assert_eq!(server.finished(&id).await["outputs"]["2"]["images"][0]["filename"], "edited_00001_.png");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_what_runs() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let id = server.queue(json!({"prompt": slow(300.0), "client_id": "me"})).await;
    while socket.message().await["data"]["node"] != "2" {}
    let (_root, messages) = tokio::join!(server.stop(), socket.until_end(&id));
    assert!(messages.iter().any(|message| message["type"] == "execution_interrupted"));
    assert!(!matches!(socket.frame().await, Some(frame) if frame.is_text()), "nothing comes after the end");
}
