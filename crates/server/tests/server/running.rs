//! What a client sees of a prompt that runs: messages, their order, the history, the files.

use kiln_nodes::files::read_png;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Running, saved, slow};

/// Types in their order, with the node where there is one.
fn kinds(messages: &[Value]) -> Vec<String> {
    let line = |message: &Value| {
        let data = &message["data"];
        let kind = message["type"].as_str().unwrap();
        match kind {
            "status" => format!("status {}", data["status"]["exec_info"]["queue_remaining"]),
            "executing" | "executed" => format!("{kind} {}", data["node"].as_str().unwrap_or("null")),
            "execution_cached" => format!("{kind} {}", data["nodes"]),
            _ => kind.to_owned(),
        }
    };
    messages.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_run_and_a_cached_one_send_comfyuis_messages_in_its_order() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let hello = socket.message().await;
    assert_eq!(
        hello,
        json!({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"}})
    );

    let id = server.queue(json!({"prompt": saved("run", 5), "client_id": "me"})).await;
    let messages = socket.until_end(&id).await;
    let expected = [
        "status 1",
        "status 1",
        "execution_start",
        "execution_cached []",
        "progress_state",
        "executing 1",
        "progress_state",
        "progress_state",
        "executing 2",
        "executed 2",
        "progress_state",
        "execution_success",
        "status 0",
        "executing null",
    ];
    assert_eq!(kinds(&messages), expected);
    // Each state speaks of every node that has begun.
    let mut states = messages.iter().filter(|message| message["type"] == "progress_state");
    let last = states.next_back().unwrap()["data"]["nodes"].as_object().unwrap();
    let of = |id: &str| (last[id]["state"].as_str().unwrap(), last[id]["real_node_id"].as_str().unwrap());
    assert_eq!((last.len(), of("1"), of("2")), (2, ("finished", "1"), ("finished", "2")));
    for message in messages.iter().filter(|m| m["type"].as_str().unwrap().starts_with("execution_")) {
        assert!(message["data"]["timestamp"].as_u64().unwrap() > 1_600_000_000_000, "{message}");
        assert_eq!(message["data"]["prompt_id"], id);
    }

    let again = server.queue(json!({"prompt": saved("run", 5), "client_id": "me"})).await;
    let messages = socket.until_end(&again).await;
    let expected = [
        "status 1",
        "status 1",
        "execution_start",
        "execution_cached [\"1\",\"2\"]",
        "executed 2",
        "progress_state",
        "execution_success",
        "status 0",
        "executing null",
    ];
    assert_eq!(kinds(&messages), expected);
    // What was cached is in the history like the others.
    let entry = server.finished(&again).await;
    assert_eq!(entry["outputs"], server.finished(&id).await["outputs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_has_a_prompt_before_its_last_message_and_the_file_carries_the_workflow() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let extra = json!({"extra_pnginfo": {"workflow": {"nodes": [], "id": "w"}}, "api_key_comfy_org": "secret"});
    let id = server.queue(json!({"prompt": saved("run", 5), "client_id": "me", "extra_data": extra})).await;
    socket.until_end(&id).await;

    let history = server.json(&format!("/history/{id}")).await;
    let entry = &history[&id];
    let prompt = &entry["prompt"];
    assert_eq!((&prompt[0], &prompt[1], &prompt[4]), (&json!(0), &json!(id), &json!(["2"])));
    assert_eq!(prompt[2], saved("run", 5));
    assert_eq!(prompt[3]["client_id"], "me");
    assert!(prompt[3]["create_time"].is_u64() && prompt[3].get("api_key_comfy_org").is_none(), "{prompt}");
    let image = json!({"filename": "run_00001_.png", "subfolder": "", "type": "output"});
    assert_eq!(entry["outputs"], json!({"2": {"images": [image]}}));
    let meta = json!({"node_id": "2", "display_node": "2", "parent_node": null, "real_node_id": "2"});
    assert_eq!(entry["meta"], json!({ "2": meta }));
    let status = &entry["status"];
    assert_eq!((&status["status_str"], &status["completed"]), (&json!("success"), &json!(true)));
    let kinds: Vec<&str> = status["messages"].as_array().unwrap().iter().map(|m| m[0].as_str().unwrap()).collect();
    assert_eq!(kinds, ["execution_start", "execution_cached", "execution_success"]);
    assert_eq!(status["messages"][1][1]["nodes"], json!([]));

    let png = read_png(&server.output("run_00001_.png")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&png.texts["workflow"]).unwrap(), json!({"nodes": [], "id": "w"}));
    assert_eq!(serde_json::from_str::<Value>(&png.texts["prompt"]).unwrap(), saved("run", 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_sends_one_error_and_the_end() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let prompt = json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "TestSyncError", "inputs": {"value": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    });
    let id = server.queue(json!({"prompt": prompt, "client_id": "me"})).await;
    let messages = socket.until_end(&id).await;
    let end = kinds(&messages).split_off(messages.len() - 3);
    assert_eq!(end, ["execution_error", "status 0", "executing null"]);
    let errors: Vec<&Value> = messages.iter().filter(|m| m["type"] == "execution_error").collect();
    assert_eq!(errors.len(), 1);
    let error = &errors[0]["data"];
    assert_eq!((&error["node_id"], &error["node_type"]), (&json!("2"), &json!("TestSyncError")));
    assert_eq!((&error["prompt_id"], &error["executed"]), (&json!(id), &json!(["1"])));
    assert!(error["traceback"].is_array() && error["exception_type"].is_string(), "{error}");
    assert!(error["exception_message"].as_str().unwrap().contains("Intentional sync"), "{error}");

    let entry = server.finished(&id).await;
    assert_eq!(entry["status"]["status_str"], "error");
    assert_eq!(entry["status"]["completed"], false);
    assert_eq!(entry["status"]["messages"][2][0], "execution_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_the_prompt_it_means_and_no_other() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let id = server.queue(json!({"prompt": slow(50.0), "client_id": "me"})).await;
    while socket.message().await["data"]["node"] != "2" {}

    let other = "0b6e6c94-5a8e-4f0e-9a52-1f2c4c1e7d11";
    assert_eq!(server.post("/interrupt", json!({"prompt_id": other})).await.status(), StatusCode::OK);
    assert_eq!(server.json("/queue").await["queue_running"][0][1], json!(id));
    assert_eq!(server.json(&format!("/history/{id}")).await, json!({}), "it still runs");

    assert_eq!(server.post("/interrupt", json!({"prompt_id": id})).await.status(), StatusCode::OK);
    let messages = socket.until_end(&id).await;
    let end = kinds(&messages).split_off(messages.len() - 3);
    assert_eq!(end, ["execution_interrupted", "status 0", "executing null"]);
    let entry = server.finished(&id).await;
    assert_eq!(entry["status"]["messages"][2][0], "execution_interrupted");
    assert_eq!(entry["status"]["status_str"], "error");

    // An interrupt while nothing runs does not reach the next prompt.
    assert_eq!(server.post("/interrupt", "").await.status(), StatusCode::OK);
    let next = server.queue(json!({"prompt": saved("after", 0)})).await;
    assert_eq!(server.finished(&next).await["status"]["completed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_hears_of_its_own_prompts_only() {
    let server = Running::start().await;
    let (mut a, mut b) = (server.socket("?clientId=a").await, server.socket("?clientId=b").await);
    let of_a = server.queue(json!({"prompt": saved("a", 1), "client_id": "a"})).await;
    let of_b = server.queue(json!({"prompt": saved("b", 2), "client_id": "b"})).await;
    for (socket, own) in [(&mut a, &of_a), (&mut b, &of_b)] {
        let messages = socket.until_end(own).await;
        let ids = messages.iter().filter_map(|message| message["data"]["prompt_id"].as_str());
        assert!(ids.clone().all(|id| id == own) && ids.count() > 5);
        assert!(messages.iter().any(|message| message["type"] == "progress_state"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_gets_an_id_and_features_once_and_hears_of_the_node_at_work_when_it_comes_back() {
    let server = Running::start().await;
    let mut socket = server.socket("").await;
    let sid = socket.message().await["data"]["sid"].as_str().unwrap().to_owned();
    assert_eq!(sid.len(), 32);
    assert!(sid.bytes().all(|b| b.is_ascii_hexdigit()));
    socket.say(json!({"type": "feature_flags", "data": {"supports_preview_metadata": true}})).await;
    let reply = socket.message().await;
    assert_eq!(reply, json!({"type": "feature_flags", "data": server.json("/features").await}));
    assert_eq!(reply["data"]["supports_preview_metadata"], true);

    let id = server.queue(json!({"prompt": slow(50.0), "client_id": sid})).await;
    while socket.message().await["data"]["node"] != "2" {}
    // Replaced, the first one stays open and hears nothing more.
    let mut second = server.socket(&format!("?clientId={sid}")).await;
    let hello = second.message().await;
    assert_eq!(hello["data"]["status"]["exec_info"]["queue_remaining"], 1);
    assert_eq!(second.message().await, json!({"type": "executing", "data": {"node": "2"}}));
    server.post("/interrupt", "{}").await;
    second.until_end(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_outputs_asked_for_run() {
    let server = Running::start().await;
    let mut prompt = saved("first", 1);
    prompt["3"] = json!({"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "second"}});
    let id = server.queue(json!({"prompt": prompt, "partial_execution_targets": ["2"]})).await;
    let entry = server.finished(&id).await;
    assert_eq!(entry["prompt"][4], json!(["2"]));
    assert!(entry["outputs"].get("2").is_some() && entry["outputs"].get("3").is_none());
    assert!(server.output("first_00001_.png").is_file() && !server.output("second_00001_.png").exists());
    let none = server.post("/prompt", json!({"prompt": saved("x", 1), "partial_execution_targets": []})).await;
    assert_eq!(none.status(), StatusCode::BAD_REQUEST);
    assert_eq!(none.json::<Value>().await.unwrap()["error"]["type"], "prompt_no_outputs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_hears_again_what_its_prompt_has_said() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let id = server.queue(json!({"prompt": slow(50.0), "client_id": "me"})).await;
    while socket.message().await["data"]["node"] != "2" {}
    drop(socket);
    let mut again = server.socket("?clientId=me").await;
    let mut messages = Vec::new();
    for _ in 0..6 {
        messages.push(again.message().await);
    }
    let expected =
        ["status 1", "executing 2", "execution_start", "execution_cached []", "progress_state", "executing 2"];
    assert_eq!(kinds(&messages), expected);
    assert_eq!(
        (&messages[5]["data"]["prompt_id"], &messages[4]["data"]["nodes"]["2"]["state"]),
        (&json!(id), &json!("running"))
    );
    server.post("/interrupt", "").await;
    again.until_end(&id).await;
    // Of a prompt that has ended nothing is said again.
    let mut third = server.socket("?clientId=me").await;
    let next = server.queue(json!({"prompt": saved("x", 1), "client_id": "me"})).await;
    let messages = third.until_end(&next).await;
    assert!(messages.iter().all(|message| message["data"]["prompt_id"] != id));
}

/// As ComfyUI's examples for Python do: post with a client's id, listen until no node is at work, ask the history, ask for
/// each image.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_pythons_examples_ends_in_the_images_bytes() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=example").await;
    let id = server.queue(json!({"prompt": saved("python", 7), "client_id": "example"})).await;
    loop {
        let message = socket.message().await;
        let data = &message["data"];
        if message["type"] == "executing" && data["node"].is_null() && data["prompt_id"] == id {
            break;
        }
    }
    let history = server.json(&format!("/history/{id}")).await;
    let image = &history[&id]["outputs"]["2"]["images"][0];
    let text = |key: &str| image[key].as_str().unwrap();
    let url = format!("/view?filename={}&subfolder={}&type={}", text("filename"), text("subfolder"), text("type"));
    let bytes = server.get(&url).await.bytes().await.unwrap();
    assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8().get_pixel(0, 0).0, [0, 0, 7]);
}
