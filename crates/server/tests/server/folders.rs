//! Model files, model folders and lists of model folders that change while the server runs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::Running;

fn touch(root: &Path, name: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

/// What a node offers as LoRAs.
async fn offered(server: &Running) -> Value {
    let info = server.json("/object_info").await;
    info["LoraLoader"]["input"]["required"]["lora_name"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_folders_and_lists_of_folders_are_seen_without_a_restart() {
    let server = Running::start().await;
    let root = server.root.path().to_owned();
    let list = root.join("extra_model_paths.yaml");
    assert_eq!(server.json("/models/loras").await, json!([]));
    assert_eq!(offered(&server).await, json!([]));

    touch(&root, "models/loras/a.safetensors");
    assert_eq!(offered(&server).await, json!(["a.safetensors"]), "a folder and a file that were not there");
    touch(&root, "models/loras/deep/er/b.safetensors");
    assert_eq!(offered(&server).await, json!(["a.safetensors", "deep/er/b.safetensors"]));

    touch(&root, "elsewhere/c.safetensors");
    fs::write(&list, "mine:\n  loras: elsewhere\n  LLM: words\n").unwrap();
    let all = json!(["a.safetensors", "c.safetensors", "deep/er/b.safetensors"]);
    assert_eq!(offered(&server).await, all, "a list that was not there");
    assert_eq!(server.json("/models/loras").await, all);
    assert_eq!(server.json("/models/LLM").await, json!([]), "and a kind");
    touch(&root, "words/x.json");
    assert_eq!(server.json("/models/LLM").await, json!(["x.json"]));
    assert_eq!(server.json("/api/experiment/models/loras").await.as_array().unwrap().len(), 3);

    // Half a list is none: what was stays, whether files come or go.
    fs::write(&list, "mine:\n  loras: [\n").unwrap();
    assert_eq!(offered(&server).await, all);
    touch(&root, "elsewhere/d.safetensors");
    assert_eq!(server.json("/models/loras").await.as_array().unwrap().len(), 4);
    fs::remove_file(root.join("elsewhere/d.safetensors")).unwrap();
    assert_eq!(offered(&server).await, all);

    fs::write(&list, "mine:\n  is_default: true\n  loras: other\n").unwrap();
    touch(&root, "other/e.safetensors");
    assert_eq!(offered(&server).await, json!(["a.safetensors", "deep/er/b.safetensors", "e.safetensors"]));
    let folders = server.json("/internal/folder_paths").await;
    assert!(folders["loras"][0].as_str().unwrap().ends_with("other"), "{folders}");
    assert_eq!(server.get("/models/LLM").await.status(), 404, "a kind that no list names any more");
    fs::remove_file(&list).unwrap();
    assert_eq!(offered(&server).await, json!(["a.safetensors", "deep/er/b.safetensors"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_can_name_a_file_that_came_after_the_start() {
    let server = Running::start().await;
    let folder = server.root.path().join("input");
    fs::create_dir_all(&folder).unwrap();
    let graph = json!({
        "1": {"class_type": "LoadImage", "inputs": {"image": "late.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    });
    assert_eq!(server.post("/prompt", json!({"prompt": graph})).await.status(), 400);
    image::RgbImage::new(4, 4).save(folder.join("late.png")).unwrap();
    let id = server.queue(json!({"prompt": graph})).await;
    assert_eq!(server.finished(&id).await["status"]["completed"], true);
}
