//! Kiln's own page: one file, nothing from elsewhere, and nothing that a name could break out of.

use serde_json::json;

use crate::harness::{Running, saved, slow};

#[tokio::test]
async fn the_page_is_one_file_that_may_run_its_own_script_and_nothing_else() {
    let server = Running::start().await;
    let response = server.get("/kiln").await;
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let page = response.text().await.unwrap();
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "its script and its style");
    for foreign in ["http:", "https:", "//cdn", "src=\"", "href=\"", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!page.contains(markup), "{markup}");
    }
    let other = server.get("/kiln").await.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert_ne!(policy, other, "each answer has a word of its own");
    server.stop().await;
}

#[tokio::test]
async fn what_ran_is_shown_with_times_and_bytes_and_memory_with_its_holders() {
    let server = Running::start().await;
    let id = server.queue(json!({ "prompt": saved("a", 5) })).await;
    server.finished(&id).await;
    let state = server.json("/kiln/state").await;
    let run = &state["runs"][&id];
    assert_eq!(run["state"], "success");
    assert_eq!(run["nodes"]["1"]["state"], "finished");
    assert!(run["nodes"]["1"]["micros"].is_u64() && run["nodes"]["1"]["bytes"].is_u64(), "{run}");
    assert!(state["memory"]["used"].is_u64() && state["memory"]["holders"].is_array(), "{state}");
    server.stop().await;
}

#[tokio::test]
async fn the_graph_that_runs_is_a_picture_in_which_titles_are_text() {
    let server = Running::start().await;
    let mut graph = slow(30.0);
    graph["2"]["_meta"] = json!({"title": "<script>alert(1)</script>"});
    let id = server.queue(json!({ "prompt": graph })).await;
    let path = format!("/kiln/graph.svg?prompt_id={id}");
    let (mut response, mut svg) = (server.get(&path).await, String::new());
    for _ in 0..200 {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "image/svg+xml");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
        svg = response.text().await.unwrap();
        if svg.contains("running") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        response = server.get(&path).await;
    }
    assert!(svg.contains("running") && svg.contains("&lt;script&gt;") && !svg.contains("<script"), "{svg}");
    server.post("/interrupt", "{}").await;
    server.finished(&id).await;
    assert_eq!(server.get("/kiln/graph.svg?prompt_id=nobody").await.status(), 404);
    assert_eq!(server.get("/kiln/graph.svg").await.status(), 400);
    assert_eq!(server.json("/kiln/state").await["runs"][&id]["state"], "interrupted");
    server.stop().await;
}
