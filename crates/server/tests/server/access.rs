//! Who may use the server, and what becomes of those who hold it up: tokens, hosts, TLS, limits, webhooks.

use std::sync::Arc;
use std::time::Duration;

use kiln_server::Tls;
use reqwest::StatusCode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error;

use crate::harness::{Running, saved};

const TOKEN: &str = "a very secret word";

/// One request as it stands, and everything that comes back.
async fn raw(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Ends, whether in order or with a reset.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(&server.address).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_without_the_token_and_everything_with_it() {
    let server = Running::with(|config| {
        config.token = Some(TOKEN.into());
        config.arguments = vec!["kiln".into(), "--token".into(), TOKEN.into(), format!("--token={TOKEN}")];
    })
    .await;
    for path in ["/", "/prompt", "/api/queue", "/ws", "/view?filename=x", "/internal/logs", "/nothing", "/metrics"] {
        let refused = server.get(path).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        assert_eq!(server.get(&format!("{path}?token=wrong")).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(server.post("/prompt", json!({"prompt": saved("x", 1)})).await.status(), StatusCode::UNAUTHORIZED);
    let bearer = server.http.get(server.url("/queue")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(bearer.status(), StatusCode::OK);
    assert!(bearer.headers().get("set-cookie").is_none());
    let basic = server.http.get(server.url("/queue")).basic_auth("anybody", Some(TOKEN)).send().await.unwrap();
    assert_eq!(basic.status(), StatusCode::OK);
    let page = server.get("/?token=a+very+secret+word").await;
    assert_eq!(page.status(), StatusCode::OK);
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let next = server.http.get(server.url("/queue")).header("Cookie", cookie).send().await.unwrap();
    assert_eq!(next.status(), StatusCode::OK);
    let mut socket = server.socket("?clientId=me&token=a%20very%20secret%20word").await;
    assert_eq!(socket.message().await["data"]["sid"], "me");
    let url = format!("ws://{}/ws?clientId=me", server.address);
    let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status().as_u16() == 401));
    // Nobody can read it, not even those who know it.
    for path in ["/system_stats", "/internal/logs", "/internal/logs/raw", "/history", "/metrics"] {
        let shown = server.http.get(server.url(path)).bearer_auth(TOKEN).send().await.unwrap();
        assert!(!shown.text().await.unwrap().contains(TOKEN), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_another_site_has_let_point_here_is_refused() {
    let ask = async |server: &Running, host: &str| {
        let request =
            server.http.get(server.url("/queue")).header("Host", host).header("Origin", format!("http://{host}"));
        request.send().await.unwrap().status()
    };
    let server = Running::with(|config| config.hosts = vec!["kiln.example".into()]).await;
    for host in ["rebound.example:8188", "127.0.0.1.rebound.example", "localhost.rebound.example"] {
        assert_eq!(ask(&server, host).await, StatusCode::FORBIDDEN, "{host}");
    }
    for host in ["kiln.example", "localhost:1", "127.0.0.1", "[::1]:5", "box.local"] {
        assert_eq!(ask(&server, host).await, StatusCode::OK, "{host}");
    }
    // One other origin is welcome: that is no reason to take any name.
    for (origin, status) in [("https://friend.example", StatusCode::FORBIDDEN), ("*", StatusCode::OK)] {
        let server = Running::with(|config| config.cors = Some(origin.into())).await;
        assert_eq!(ask(&server, "rebound.example:8188").await, status, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_speaks_tls() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let (certificate, key) = (data.join("certificate.pem"), data.join("key.pem"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let server = Running::with(|config| config.tls = Some(Tls { certificate, key })).await;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tls.connect(name, connect(&server).await).await.unwrap();
    let answer = raw(stream, "GET /prompt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("queue_remaining"), "{answer}");
    // Somebody who speaks no TLS ends nothing but their own connection.
    let plain = raw(connect(&server).await, "GET /prompt HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!plain.contains("queue_remaining"));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_hold_the_server_up_are_let_go() {
    let server = Running::with(|config| {
        config.sockets = 3;
        config.patience = Duration::from_millis(400);
    })
    .await;
    let slow = async |text: &str| raw(connect(&server).await, text).await;
    let host = &server.address;
    let head = slow(&format!("GET /prompt HTTP/1.1\r\nHost: {host}\r\nX-Slow: ")).await;
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{head}");
    let body = slow(&format!("POST /prompt HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n{{")).await;
    assert!(body.starts_with("HTTP/1.1 4"), "{body}");
    let mut open = Vec::new();
    for n in 0..3 {
        open.push(server.socket(&format!("?clientId={n}")).await);
    }
    let full = tokio_tungstenite::connect_async(format!("ws://{host}/ws")).await.unwrap_err();
    assert!(matches!(full, Error::Http(response) if response.status().as_u16() == 503));
    drop(open);
    let begun = std::time::Instant::now();
    while tokio_tungstenite::connect_async(format!("ws://{host}/ws")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "places come free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_the_end_where_its_host_is_allowed() {
    let hook = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hook.local_addr().unwrap().to_string();
    let allowed = address.clone();
    let server = Running::with(|config| config.webhook_hosts = vec![allowed]).await;
    let told = tokio::spawn(async move {
        let (mut stream, _) = hook.accept().await.unwrap();
        let mut request = String::new();
        while !request.ends_with('}') {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            request += std::str::from_utf8(&piece[..read]).unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        request
    });
    let post = |url: String| json!({"prompt": saved("x", 1), "extra_data": {"webhook": url}});
    let id = server.queue(post(format!("http://{address}/done?a=b"))).await;
    let request = told.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /done?a=b HTTP/1.1"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["prompt_id"], &body["status"]["completed"]), (&json!(id), &json!(true)));
    assert!(body["outputs"]["2"]["images"].is_array());
    for url in ["http://169.254.169.254/", "file:///etc/passwd", "http://localhost/", "x"] {
        let refused = server.post("/prompt", post(url.into())).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(refused.json::<Value>().await.unwrap()["error"]["type"], "invalid_webhook");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_a_description_of_the_routes_are_there() {
    let server = Running::start().await;
    let id = server.queue(json!({"prompt": saved("x", 1)})).await;
    server.finished(&id).await;
    let metrics = server.get("/metrics").await;
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let metrics = metrics.text().await.unwrap();
    for line in ["kiln_prompts_total{state=\"completed\"} 1", "kiln_prompts_waiting 0", "kiln_history_entries 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let described = server.json("/openapi.json").await;
    assert_eq!(described["openapi"], "3.1.0");
    assert!(described["paths"]["/prompt"]["post"]["requestBody"].is_object());
    assert_eq!(described["paths"]["/history/{prompt_id}"]["get"]["parameters"][0]["in"], "path");
}
