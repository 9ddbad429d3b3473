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
    let remaining_in = |message: &Value| message["data"]["status"]["exec_info"]["queue_remaining"].as_u64().unwrap();
    // A socket hears of changes once its first message is there.
    let mut remaining = vec![remaining_in(&socket.message().await)];
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
    while remaining.last() != Some(&1) || remaining.len() < 8 {
        remaining.push(remaining_in(&socket.message().await));
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
    for name in ["max_items", "offset"] {
        let refused = server.get(&format!("/api/history?{name}=1.5")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(refused.json::<Value>().await.unwrap(), json!({"error": format!("{name} must be an integer")}));
    }
    assert_eq!(ids("/history?max_items=3&offset=-1").await, all[1..], "an offset below zero is none");
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

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_and_the_history_go_on_in_the_next_server() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let first = Running::at(root, |config| config.data = Some(data.clone())).await;
    let done = first.queue(json!({"prompt": saved("done", 1)})).await;
    let entry = first.finished(&done).await;
    let running = first.queue(json!({"prompt": slow(2.0)})).await;
    while first.json("/queue").await["queue_running"].as_array().unwrap().is_empty() {}
    let waiting = first.queue(json!({"prompt": saved("waits", 2), "extra_data": {"extra_pnginfo": {"a": 1}}})).await;
    let gone = first.queue(json!({"prompt": saved("gone", 3)})).await;
    first.post("/queue", json!({"delete": [gone]})).await;
    let state = async |server: &Running, id: &str| {
        server.get(&format!("/history/{id}")).await.headers()["kiln-prompt-state"].to_str().unwrap().to_owned()
    };
    for (id, word) in [(&done, "finished"), (&running, "running"), (&waiting, "waiting"), (&gone, "unknown")] {
        assert_eq!(state(&first, id).await, word);
    }
    let root = first.stop().await;

    let second = Running::at(root, |config| config.data = Some(data)).await;
    assert_eq!(second.json(&format!("/history/{done}")).await[&done], entry);
    let ended = second.finished(&waiting).await;
    assert_eq!(ended["status"]["status_str"], "success");
    assert_eq!(ended["prompt"][3]["extra_pnginfo"], json!({"a": 1}));
    let entry = second.finished(&running).await;
    assert_eq!(entry["status"]["status_str"], "success", "what was stopped has run again: {entry}");
    let history = second.json("/history").await;
    assert_eq!(history.as_object().unwrap().keys().collect::<Vec<_>>(), [&done, &running, &waiting]);
    assert_eq!(state(&second, &gone).await, "unknown");
    // Numbers go on, so that what comes now runs after what came before.
    let next: Value = second.post("/prompt", json!({"prompt": saved("next", 4)})).await.json().await.unwrap();
    assert_eq!(next["number"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_prompts_are_paused_and_moved() {
    let server = Running::start().await;
    assert_eq!(server.post("/queue", json!({"pause": true})).await.status(), StatusCode::OK);
    let mut ids_put = Vec::new();
    for colour in 0..4 {
        ids_put.push(server.queue(json!({"prompt": saved("x", colour)})).await);
    }
    let queue = server.json("/queue").await;
    assert_eq!((&queue["paused"], queue["queue_running"].as_array().unwrap().len()), (&json!(true), 0));
    let [a, b, c, d] = &ids_put[..] else { unreachable!() };
    server.post("/queue", json!({"move": {d: "front", a: "back", c: 0.5}})).await;
    assert_eq!(ids(&server.json("/queue").await["queue_pending"]), [d, c, b, a]);
    for wrong in [json!({"move": 5}), json!({"move": {a: "up"}}), json!({"pause": 1})] {
        assert_eq!(server.post("/queue", wrong).await.status(), StatusCode::BAD_REQUEST);
    }
    server.post("/queue", json!({"pause": false})).await;
    server.finished(a).await;
    let history = server.json("/history").await;
    assert_eq!(history.as_object().unwrap().keys().collect::<Vec<_>>(), [d, c, b, a]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_ran_when_its_server_died_is_marked_where_that_is_wanted() {
    let root = tempfile::tempdir().unwrap();
    let (data, copy) = (root.path().join("data"), root.path().join("copy"));
    let first = Running::at(root, |config| config.data = Some(data.clone())).await;
    let id = first.queue(json!({"prompt": slow(300.0)})).await;
    while first.json("/queue").await["queue_running"].as_array().unwrap().is_empty() {}
    first.queue(json!({"prompt": saved("x", 1)})).await;
    // Until everything is on the disk, so that the copy is whole.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    std::fs::create_dir_all(&copy).unwrap();
    for file in ["kiln.redb", "kiln.journal"] {
        std::fs::copy(data.join(file), copy.join(file)).unwrap();
    }
    let root = first.stop().await;
    let second = Running::at(root, |config| {
        config.data = Some(copy);
        config.resume = kiln_server::Resume::Mark;
    });
    let second = second.await;
    let entry = second.finished(&id).await;
    assert_eq!(entry["status"]["messages"][0][0], "execution_error");
    assert_eq!(second.json(&format!("/jobs/{id}")).await["status"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_waits_has_the_outputs_and_one_that_goes_away_cancels_only_where_it_says_so() {
    let server = Running::start().await;
    let answer: Value = server.post("/prompt?wait=1", json!({"prompt": saved("x", 1)})).await.json().await.unwrap();
    assert_eq!(answer["outputs"]["2"]["images"][0]["filename"], "x_00001_.png");
    assert_eq!((&answer["status"]["completed"], &answer["number"]), (&json!(true), &json!(0)));
    for (query, cancelled) in [("?wait=1", false), ("?wait=1&cancel=1", true)] {
        let post =
            server.http.post(server.url(&format!("/prompt{query}"))).body(json!({"prompt": slow(300.0)}).to_string());
        let posted = tokio::spawn(post.send());
        while server.json("/queue").await["queue_running"].as_array().unwrap().is_empty() {}
        posted.abort();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let runs = !server.json("/queue").await["queue_running"].as_array().unwrap().is_empty();
        assert_eq!(runs, !cancelled, "{query}");
        server.post("/interrupt", "").await;
        while server.json("/prompt").await["exec_info"]["queue_remaining"] != 0 {}
    }
    let running = busy(&server).await;
    let post = server.http.post(server.url("/prompt?wait=1")).body(json!({"prompt": saved("y", 1)}).to_string());
    let posted = tokio::spawn(post.send());
    while server.json("/queue").await["queue_pending"].as_array().unwrap().is_empty() {}
    server.post("/queue", json!({"clear": true})).await;
    assert_eq!(posted.await.unwrap().unwrap().status(), StatusCode::GONE);
    server.post("/interrupt", json!({"prompt_id": running})).await;
}
