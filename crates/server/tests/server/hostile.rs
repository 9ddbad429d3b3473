//! What no client should send: each is refused with a status, and the server goes on.

use futures::SinkExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Running, saved};

async fn refused(server: &Running, body: impl ToString) -> Value {
    let response = server.post("/prompt", body).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let answer: Value = response.json().await.unwrap();
    let error = answer["error"].as_object().unwrap();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["type", "message", "details", "extra_info"]);
    assert!(answer["node_errors"].is_object());
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_that_are_none_are_refused_in_comfyuis_shape() {
    let server = Running::start().await;
    let kind = async |body: &str| refused(&server, body).await["error"]["type"].as_str().unwrap().to_owned();
    assert_eq!(kind("{").await, "invalid_json");
    assert_eq!(kind("").await, "invalid_json");
    assert_eq!(kind("[]").await, "no_prompt");
    assert_eq!(kind("{}").await, "no_prompt");
    assert_eq!(kind(r#"{"prompt": null}"#).await, "invalid_prompt");
    assert_eq!(kind(r#"{"prompt": 5}"#).await, "invalid_prompt");
    assert_eq!(kind(r#"{"prompt": {}}"#).await, "prompt_no_outputs");
    assert_eq!(kind(r#"{"prompt": {"1": {"inputs": {}}}}"#).await, "missing_node_type");
    assert_eq!(kind(r#"{"prompt": {"1": {"class_type": "Nope", "inputs": {}}}}"#).await, "missing_node_type");
    assert_eq!(kind(r#"{"prompt": {}, "prompt_id": "7"}"#).await, "invalid_prompt_id");
    assert_eq!(kind(r#"{"prompt": {}, "number": "x"}"#).await, "invalid_number");
    assert_eq!(kind(r#"{"prompt": {}, "extra_data": []}"#).await, "invalid_extra_data");
    assert_eq!(kind(r#"{"prompt": {}, "partial_execution_targets": "2"}"#).await, "invalid_partial_execution_targets");
    let deep = "[".repeat(100_000);
    assert_eq!(kind(&deep).await, "invalid_json");

    let empty = refused(&server, "{}").await;
    assert_eq!(empty["error"]["message"], "No prompt provided");
    // Failed posts use numbers up.
    let accepted: Value = server.post("/prompt", json!({"prompt": saved("x", 1)})).await.json().await.unwrap();
    assert_eq!(accepted["number"], 15);
    assert_eq!(accepted["node_errors"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_without_inputs_is_refused_with_what_it_lacks() {
    let server = Running::start().await;
    let answer = refused(&server, json!({"prompt": {"2": {"class_type": "SaveImage", "inputs": {}}}})).await;
    let error = &answer["error"];
    assert_eq!(error["type"], "prompt_outputs_failed_validation");
    let mut lines: Vec<&str> = error["details"].as_str().unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["Required input is missing: filename_prefix", "Required input is missing: images"]);
    assert_eq!(answer["node_errors"]["2"]["class_type"], "SaveImage");
    assert_eq!(answer["node_errors"]["2"]["dependent_outputs"], json!(["2"]));
    // One good output is enough; what is wrong with the other comes with the answer.
    let mut prompt = saved("x", 1);
    prompt["3"] = json!({"class_type": "SaveImage", "inputs": {}});
    let accepted: Value = server.post("/prompt", json!({ "prompt": prompt })).await.json().await.unwrap();
    assert!(accepted["node_errors"]["3"]["errors"].is_array(), "{accepted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_or_no_json_are_refused_everywhere() {
    let server = Running::with(|config| config.max_upload = 1000).await;
    for path in ["/prompt", "/queue", "/history", "/free", "/api/prompt"] {
        assert_eq!(server.post(path, "x".repeat(1001)).await.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(server.post(path, "{\"a\":").await.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(server.post(path, "\u{feff}[1]").await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(server.get("/prompt").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused_unless_they_are_welcome() {
    let post = async |server: &Running, origin: &str, method: Method| {
        let request = server.http.request(method, server.url("/queue")).header("Origin", origin);
        request.body("{}").send().await.unwrap()
    };
    let server = Running::start().await;
    let evil = "https://evil.example";
    assert_eq!(post(&server, evil, Method::POST).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&server, evil, Method::OPTIONS).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&server, &server.url(""), Method::POST).await.status(), StatusCode::OK);
    let upgrade = server.http.get(server.url("/ws")).header("Origin", evil).send().await.unwrap();
    assert_eq!(upgrade.status(), StatusCode::FORBIDDEN);

    let open = Running::with(|config| config.cors = Some("*".into())).await;
    let answer = post(&open, evil, Method::POST).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let preflight = post(&open, evil, Method::OPTIONS).await;
    assert_eq!(preflight.status(), StatusCode::OK);
    assert!(preflight.headers()["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_close_their_socket_and_nothing_else() {
    let server = Running::start().await;
    let mut good = server.socket("?clientId=good").await;
    good.message().await;
    // Text that is no JSON, JSON that is no message, binary: all ignored.
    for message in [Message::text("{"), Message::text("[]"), Message::binary(vec![0_u8; 100])] {
        good.0.send(message).await.unwrap();
    }
    let mut large = server.socket("?clientId=large").await;
    large.message().await;
    // The server may close while this is still being sent.
    let _ = large.0.send(Message::binary(vec![0_u8; (4 << 20) + 1])).await;
    assert!(large.frame().await.is_none_or(|frame| frame.is_close()));

    let mut raw = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    raw.write_all(request.as_bytes()).await.unwrap();
    raw.write_all(&[0xff; 64]).await.unwrap();
    let mut rest = Vec::new();
    // Ends, whether in order or with a reset.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), raw.read_to_end(&mut rest)).await.unwrap();

    let id = server.queue(json!({"prompt": saved("x", 1), "client_id": "good"})).await;
    good.until_end(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_not_found_and_methods_are_kept_apart() {
    let server = Running::start().await;
    for path in ["/nope", "/api/nope", "/api", "/ws/../x", "/history/", "/%ff"] {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(server.post("/history/x", "{}").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(server.get("/interrupt").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let head = server.http.head(server.url("/features")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "application/json; charset=utf-8");
}
