//! What the web page asks: nodes, models, user files, settings, jobs, logs, and its own files.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Running, saved, slow};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_described_once_and_anew_when_a_folder_changes() {
    let server = Running::start().await;
    let first = server.get("/object_info").await;
    let tag = first.headers()["etag"].clone();
    let all: Value = first.json().await.unwrap();
    assert_eq!(all["KSampler"]["output"], json!(["LATENT"]));
    let one = server.json("/object_info/KSampler").await;
    assert_eq!(one, json!({"KSampler": all["KSampler"]}));
    assert_eq!(server.json("/object_info/Nope").await, json!({}));

    let again = server.http.get(server.url("/api/object_info")).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let packed = server.http.get(server.url("/object_info")).header("Accept-Encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let mut text = String::new();
    let packed = packed.bytes().await.unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), all);

    let folder = server.root.path().join("models/checkpoints/deep");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("new.safetensors"), "").unwrap();
    let now: Value = server.get("/object_info").await.json().await.unwrap();
    let names = &now["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0];
    assert_eq!(names, &json!(["deep/new.safetensors"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_the_machine_are_true() {
    let server = Running::start().await;
    let stats = server.json("/system_stats").await;
    let total = stats["system"]["ram_total"].as_u64().unwrap();
    assert_eq!(total, kiln_memory::total_memory().unwrap());
    assert!(stats["system"]["ram_free"].as_u64().unwrap() < total);
    assert_eq!(stats["devices"][0]["type"], "cpu");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_and_new_folders_show_without_a_restart() {
    let server = Running::start().await;
    let at = |name: &str| server.root.path().join(name);
    let put = |name: &str| {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        std::fs::write(at(name), "").unwrap();
    };
    let choices = async || {
        let info = server.json("/object_info").await;
        info["LoraLoader"]["input"]["required"]["lora_name"][0].clone()
    };
    assert_eq!(choices().await, json!([]));
    put("models/loras/a.safetensors");
    assert_eq!(choices().await, json!(["a.safetensors"]));
    put("elsewhere/b.safetensors");
    std::fs::write(at("extra_model_paths.yaml"), "other:\n  loras: elsewhere\n").unwrap();
    assert_eq!(choices().await, json!(["a.safetensors", "b.safetensors"]));
    assert_eq!(server.json("/models/loras").await, json!(["a.safetensors", "b.safetensors"]));
    std::fs::write(at("extra_model_paths.yaml"), "other:\n  loras: {").unwrap();
    assert_eq!(choices().await, json!(["a.safetensors", "b.safetensors"]), "a broken file changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_with_what_they_say_of_themselves() {
    let server = Running::start().await;
    let loras = server.root.path().join("models/loras");
    std::fs::create_dir_all(&loras).unwrap();
    let header = br#"{"__metadata__":{"author":"me"}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    std::fs::write(loras.join("a.safetensors"), &file).unwrap();
    let mut image = Vec::new();
    let one = image::RgbImage::from_pixel(1, 1, image::Rgb([9, 8, 7]));
    one.write_to(&mut std::io::Cursor::new(&mut image), image::ImageFormat::Png).unwrap();
    std::fs::write(loras.join("a.preview.png"), image).unwrap();

    let kinds = server.json("/models").await;
    let kinds: Vec<&str> = kinds.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    // ComfyUI's kinds, and the two of the packs whose nodes are here.
    assert_eq!((kinds[0], kinds[15], kinds.len()), ("checkpoints", "custom_nodes", 21 + 2));
    assert_eq!(server.json("/models/loras").await, json!(["a.safetensors"]));
    assert_eq!(server.get("/models/nope").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.json("/embeddings").await, json!([]));
    let library = server.json("/api/experiment/models").await;
    assert_eq!(library[1]["name"], "loras");
    let details = server.json("/experiment/models/loras").await;
    assert_eq!((&details[0]["name"], &details[0]["size"]), (&json!("a.safetensors"), &json!(file.len())));
    assert_eq!(server.json("/view_metadata/loras?filename=a.safetensors").await, json!({"author": "me"}));
    for path in [
        "/view_metadata/loras?filename=b.safetensors",
        "/view_metadata/loras",
        "/view_metadata/x?filename=a.safetensors",
    ] {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let index = details[0]["pathIndex"].as_u64().unwrap();
    let picture = server.get(&format!("/experiment/models/preview/loras/{index}/a.webp")).await;
    assert_eq!(picture.headers()["content-type"], "image/webp");
    let missing = server.get("/experiment/models/preview/loras/99/a.webp").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_kept_listed_moved_and_deleted() {
    let server = Running::start().await;
    assert_eq!(server.get("/userdata?dir=workflows").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.get("/userdata").await.status(), StatusCode::BAD_REQUEST);
    let kept = server.post("/api/userdata/workflows%2Fa.json?overwrite=false&full_info=true", "{}").await;
    let kept: Value = kept.json().await.unwrap();
    assert_eq!((&kept["path"], &kept["size"]), (&json!("workflows/a.json"), &json!(2)));
    assert!(kept["modified"].as_f64().unwrap() > 1.6e9);
    let taken = server.post("/userdata/workflows%2Fa.json?overwrite=false", "[]").await;
    assert_eq!(taken.status(), StatusCode::CONFLICT);
    let replaced = server.post("/userdata/workflows%2Fa.json", "[]").await;
    assert_eq!(replaced.json::<Value>().await.unwrap(), "workflows/a.json");
    assert_eq!(server.get("/userdata/workflows%2Fa.json").await.text().await.unwrap(), "[]");
    server.post("/userdata/workflows%2Fdeep%2Fb.json", "{}").await;
    server.post("/userdata/workflows%2F.index.json", "{}").await;

    assert_eq!(server.json("/userdata?dir=workflows").await, json!(["a.json"]));
    let all = server.json("/userdata?dir=workflows&recurse=true").await;
    assert_eq!(all, json!(["a.json", "deep/b.json"]));
    let split = server.json("/userdata?dir=workflows&recurse=true&split=true").await;
    assert_eq!(split[1], json!(["deep/b.json", "deep", "b.json"]));
    let full = server.json("/userdata?dir=workflows&recurse=true&split=false&full_info=true").await;
    assert_eq!((&full[0]["path"], &full[0]["size"]), (&json!("a.json"), &json!(2)));
    let tree = server.json("/v2/userdata?path=workflows").await;
    let kinds: Vec<_> = tree.as_array().unwrap().iter().map(|item| (&item["type"], &item["path"])).collect();
    assert_eq!(kinds[0], (&json!("directory"), &json!("workflows/deep")));
    assert_eq!(kinds[1], (&json!("file"), &json!("workflows/a.json")));

    let moved = server.post("/userdata/workflows%2Fa.json/move/workflows%2Fc.json?overwrite=false", "").await;
    assert_eq!(moved.json::<Value>().await.unwrap(), "workflows/c.json");
    assert_eq!(server.get("/userdata/workflows%2Fa.json").await.status(), StatusCode::NOT_FOUND);
    let delete = async |name: &str| server.http.delete(server.url(name)).send().await.unwrap().status();
    assert_eq!(delete("/userdata/workflows%2Fc.json").await, StatusCode::NO_CONTENT);
    assert_eq!(delete("/userdata/workflows%2Fc.json").await, StatusCode::NOT_FOUND);
    assert_eq!(delete("/userdata/workflows").await, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_outlive_the_server() {
    let server = Running::start().await;
    assert_eq!(server.json("/settings").await, json!({}));
    assert_eq!(server.json("/users").await, json!({"storage": "server", "migrated": false}));
    assert_eq!(server.post("/api/settings/Comfy.ColorPalette", "\"dark\"").await.status(), StatusCode::OK);
    server.post("/settings", json!({"a": 1, "b": [true]})).await;
    assert_eq!(server.post("/settings", "[]").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(server.json("/settings/nope").await, Value::Null);
    let server = Running::at(server.stop().await, |_| {}).await;
    assert_eq!(server.json("/settings").await, json!({"Comfy.ColorPalette": "dark", "a": 1, "b": [true]}));
    assert_eq!(server.json("/settings/Comfy.ColorPalette").await, "dark");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_sent_at_once_are_all_kept() {
    let server = Running::start().await;
    let posts = (0..40).map(|n| server.post("/settings", json!({format!("s{n}"): n})));
    futures::future::join_all(posts).await;
    assert_eq!(server.json("/settings").await.as_object().unwrap().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_kept_apart() {
    let server = Running::with(|config| config.multi_user = true).await;
    assert_eq!(server.get("/settings").await.status(), StatusCode::UNAUTHORIZED);
    let id: String = server.post("/users", json!({"username": "Jo Doe"})).await.json().await.unwrap();
    assert!(id.starts_with("Jo-Doe_"), "{id}");
    assert_eq!(server.post("/users", json!({"username": "Jo Doe"})).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(server.json("/users").await["users"], json!({&id: "Jo Doe"}));
    let as_user = |id: &str, path: &str| server.http.get(server.url(path)).header("Comfy-User", id).send();
    assert_eq!(as_user(&id, "/settings").await.unwrap().status(), StatusCode::OK);
    assert_eq!(as_user("../x", "/settings").await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_the_queue_and_the_history_in_one_list() {
    let server = Running::start().await;
    let done = server
        .queue(json!({
            "prompt": saved("x", 1), "extra_data": {"extra_pnginfo": {"workflow": {"id": "w1"}}},
        }))
        .await;
    server.finished(&done).await;
    let failing = json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "TestSyncError", "inputs": {"value": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    });
    let failed = server.queue(json!({ "prompt": failing })).await;
    server.finished(&failed).await;
    let running = server.queue(json!({"prompt": slow(300.0)})).await;
    while server.json("/queue").await["queue_running"].as_array().unwrap().is_empty() {}
    let waiting = server.queue(json!({"prompt": saved("y", 2)})).await;

    let list = server.json("/api/jobs?status=in_progress,pending&limit=200&offset=0").await;
    assert_eq!(list["pagination"], json!({"offset": 0, "limit": 200, "total": 2, "has_more": false}));
    let mut states: Vec<(&str, &str)> = list["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["id"].as_str().unwrap(), job["status"].as_str().unwrap()))
        .collect();
    states.sort_by_key(|(_, status)| *status);
    assert_eq!(states, [(&*running, "in_progress"), (&*waiting, "pending")]);
    let list = server.json("/api/jobs?status=completed,failed,cancelled&limit=1&sort_order=asc").await;
    let job = &list["jobs"][0];
    assert_eq!((&job["id"], &job["status"], &job["outputs_count"]), (&json!(done), &json!("completed"), &json!(1)));
    assert_eq!(job["preview_output"]["filename"], "x_00001_.png");
    assert_eq!(job["workflow_id"], "w1");
    assert!(job["execution_end_time"].as_u64() >= job["execution_start_time"].as_u64());
    assert_eq!(list["pagination"]["has_more"], true);
    assert_eq!(server.json("/api/jobs?workflow_id=w1").await["pagination"]["total"], 1);
    for query in ["status=odd", "limit=0", "limit=x", "sort_by=odd", "sort_order=odd"] {
        assert_eq!(server.get(&format!("/api/jobs?{query}")).await.status(), StatusCode::BAD_REQUEST, "{query}");
    }

    let one = server.json(&format!("/api/jobs/{done}")).await;
    assert_eq!(one["workflow"]["extra_data"]["extra_pnginfo"]["workflow"]["id"], "w1");
    assert_eq!(one["execution_status"]["completed"], true);
    assert!(one["outputs"]["2"]["images"].is_array());
    assert_eq!(server.json(&format!("/api/jobs/{failed}")).await["execution_error"]["node_id"], "2");
    assert_eq!(server.json(&format!("/api/jobs/{waiting}")).await["workflow"]["prompt"], saved("y", 2));
    assert_eq!(server.get("/api/jobs/nope").await.status(), StatusCode::NOT_FOUND);

    let cancelled = async |path: &str, body: Value| -> Value {
        server.post(path, body).await.json::<Value>().await.unwrap()["cancelled"].take()
    };
    assert_eq!(cancelled(&format!("/api/jobs/{done}/cancel"), json!({})).await, false);
    assert_eq!(cancelled(&format!("/api/jobs/{waiting}/cancel"), json!({})).await, true);
    assert_eq!(cancelled("/api/jobs/cancel", json!({"job_ids": [running]})).await, true);
    assert_eq!(server.post("/api/jobs/cancel", json!({"job_ids": ["x"]})).await.status(), StatusCode::BAD_REQUEST);
    server.finished(&running).await;
    assert_eq!(server.json(&format!("/api/jobs/{running}")).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_and_followed() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    socket.message().await;
    let subscribe = json!({"clientId": "me", "enabled": true}).to_string();
    let patched = server.http.patch(server.url("/internal/logs/subscribe")).body(subscribe).send().await.unwrap();
    assert_eq!(patched.status(), StatusCode::OK);
    let id = server.queue(json!({"prompt": saved("x", 1), "client_id": "me"})).await;
    let messages = socket.until_end(&id).await;
    let logs: Vec<&Value> = messages.iter().filter(|message| message["type"] == "logs").collect();
    assert_eq!(logs[0]["data"]["entries"][0]["m"], "got prompt\n");
    let raw = server.json("/internal/logs/raw").await;
    assert!(raw["entries"][1]["m"].as_str().unwrap().starts_with("Prompt executed in "), "{raw}");
    assert!(server.json("/internal/logs").await.as_str().unwrap().contains(" - got prompt\n"));
    assert_eq!(server.json("/internal/files/output").await, json!(["x_00001_.png"]));
    assert_eq!(server.get("/internal/files/models").await.status(), StatusCode::BAD_REQUEST);
    assert!(server.json("/internal/folder_paths").await["loras"][0].as_str().unwrap().ends_with("models/loras"));
    assert_eq!(server.get("/api/internal/logs").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_from_its_folder_and_nothing_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let page = root.path().join("static");
    std::fs::create_dir_all(page.join("extensions/core")).unwrap();
    std::fs::write(page.join("index.html"), "the page").unwrap();
    std::fs::write(page.join("extensions/core/a.js"), "1").unwrap();
    std::fs::write(root.path().join("secret.txt"), "secret").unwrap();
    let server = Running::with(|config| {
        config.front_end = Some(page.clone());
        config.templates = vec![page.clone()];
    })
    .await;
    let index = server.get("/").await;
    assert_eq!(index.headers()["cache-control"], "no-store, must-revalidate");
    assert_eq!(index.text().await.unwrap(), "the page");
    let script = server.get("/extensions/core/a.js").await;
    assert_eq!(script.headers()["cache-control"], "no-cache");
    assert_eq!(server.json("/extensions").await, json!(["/extensions/core/a.js"]));
    assert_eq!(server.get("/templates/index.html").await.status(), StatusCode::OK);
    for path in
        ["/..%2fsecret.txt", "/%2e%2e/secret.txt", "/templates/..%2fsecret.txt", "/docs/x.md", "/user.css", "/api/x"]
    {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/i18n", "/api/workflow_templates", "/global_subgraphs"] {
        assert_eq!(server.json(path).await, json!({}), "{path}");
    }
    let none = Running::start().await;
    assert_eq!(none.json("/templates/index.json").await, json!([]));
    assert_eq!(none.get("/templates/index_logo.json").await.status(), StatusCode::NOT_FOUND);
    assert!(none.get("/").await.text().await.unwrap().contains("comfyui-frontend-package"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_picture_comes_out_of_its_own_metadata_where_none_lies_beside_it() {
    let server = Running::start().await;
    let folder = server.root.path().join("models/loras");
    std::fs::create_dir_all(&folder).unwrap();
    let png = kiln_nodes::files::write_png(
        &kiln_nodes::files::PngImage {
            width: 3,
            height: 2,
            colour: kiln_nodes::files::Colour::Rgb,
            pixels: vec![200; 18],
            texts: [].into_iter().collect(),
        },
        1,
    );
    let cover = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.unwrap());
    let header = json!({"__metadata__": {"ssmd_cover_images": json!([cover]).to_string()}}).to_string();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    std::fs::write(folder.join("styled.safetensors"), file).unwrap();
    let picture = server.get("/experiment/models/preview/loras/0/styled.webp").await;
    assert_eq!(picture.headers()["content-type"], "image/webp");
    let picture = image::load_from_memory(&picture.bytes().await.unwrap()).unwrap();
    assert_eq!((picture.width(), picture.height()), (3, 2));
    assert_eq!(server.get("/experiment/models/preview/loras/0/other.webp").await.status(), StatusCode::NOT_FOUND);
    let folder = server.root.path().join("models/configs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("v1.yaml"), "model: {}").unwrap();
    assert_eq!(server.json("/models/configs").await, json!(["v1.yaml"]));
}
