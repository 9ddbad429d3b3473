//! Many clients at once, and requests that nobody would write.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Running, saved};

/// A number that the environment may make larger.
fn count(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

/// A graph without files.
fn shown(value: usize) -> Value {
    json!({
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": value}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    })
}

/// `KILN_TEST_CLIENTS` clients (50 in the issue), `KILN_TEST_PROMPTS` prompts (1 000 there).
#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_clients_gets_exactly_its_own_events_in_their_order() {
    let (clients, prompts) = (count("KILN_TEST_CLIENTS", 12), count("KILN_TEST_PROMPTS", 120));
    let server = Running::start().await;
    let each = prompts / clients;
    let work = (0..clients).map(async |client| {
        let sid = format!("client{client}");
        let mut socket = server.socket(&format!("?clientId={sid}")).await;
        let mut own = Vec::new();
        for n in 0..each {
            let value = client * 10_000 + n;
            own.push((server.queue(json!({"prompt": shown(value), "client_id": sid})).await, value));
        }
        let mut heard: HashMap<String, Vec<Value>> = HashMap::new();
        let mut order = Vec::new();
        while order.len() < each {
            let message = socket.message().await;
            let data = &message["data"];
            let Some(id) = data["prompt_id"].as_str().map(str::to_owned) else { continue };
            if message["type"] == "executing" && data["node"].is_null() {
                order.push(id.clone());
            }
            heard.entry(id).or_default().push(message);
        }
        assert_eq!(order, own.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), "in the order of the posts");
        assert_eq!(heard.len(), each, "of its own prompts only");
        for (id, value) in &own {
            check(&heard[id], *value);
        }
    });
    futures::future::join_all(work).await;
}

/// From the start to the end without a gap: each message once, and in ComfyUI's order.
fn check(messages: &[Value], value: usize) {
    let kinds: Vec<&str> = messages.iter().filter_map(|message| message["type"].as_str()).collect();
    assert_eq!(kinds.first(), Some(&"execution_start"), "{kinds:?}");
    assert_eq!(kinds[kinds.len() - 2..], ["execution_success", "executing"], "{kinds:?}");
    for once in ["execution_start", "execution_cached", "execution_success", "executed"] {
        assert_eq!(kinds.iter().filter(|kind| **kind == once).count(), 1, "{kinds:?}");
    }
    let executed = messages.iter().find(|message| message["type"] == "executed").unwrap();
    assert_eq!(executed["data"]["output"]["text"][0], value.to_string(), "{executed}");
}

/// Numbers by chance, the same ones every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn text(&mut self) -> String {
        let pieces =
            ["", "a", "..", "/", "%2e%2e", "%00", "é", "input", "checkpoints", "0", "-1", "{}", "x.png", "default"];
        (0..self.below(4)).map(|_| self.of(&pieces)).collect()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(20) as i64 - 5),
            3 => json!(0.5),
            4 | 5 => self.text().into(),
            6 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let keys = [
                    "prompt",
                    "prompt_id",
                    "number",
                    "front",
                    "client_id",
                    "extra_data",
                    "extra_pnginfo",
                    "delete",
                    "clear",
                    "move",
                    "pause",
                    "class_type",
                    "inputs",
                    "1",
                    "2",
                    "nodes",
                    "links",
                    "partial_execution_targets",
                    "job_ids",
                    "username",
                    "enabled",
                    "clientId",
                    "webhook",
                    "preview_method",
                    "workflow",
                    "id",
                ];
                (0..self.below(5))
                    .map(|_| (self.of(&keys).to_owned(), self.value(depth - 1)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
        }
    }

    /// Mostly a graph that is nearly right.
    fn body(&mut self) -> Vec<u8> {
        match self.below(6) {
            0 => Vec::new(),
            1 => (0..self.below(40)).map(|_| self.below(256) as u8).collect(),
            2 => self.value(4).to_string().into_bytes(),
            3 => {
                let mut text = json!({"prompt": saved("f", 1), "extra_data": self.value(2)}).to_string().into_bytes();
                let place = self.below(text.len());
                text[place] = self.below(256) as u8;
                text
            }
            4 => json!({"prompt": {"1": self.value(3), "2": self.value(3)}, "number": self.value(0)})
                .to_string()
                .into_bytes(),
            _ => {
                let mut prompt = json!({"prompt": shown(1)});
                let place = [
                    "/prompt/1",
                    "/prompt/1/inputs",
                    "/prompt/1/inputs/value",
                    "/prompt/2/inputs/source",
                    "/prompt/2/class_type",
                ];
                *prompt.pointer_mut(self.of(&place)).unwrap() = self.value(2);
                prompt.to_string().into_bytes()
            }
        }
    }

    fn path(&mut self) -> String {
        let known = [
            "/",
            "/ws",
            "/prompt",
            "/queue",
            "/history",
            "/interrupt",
            "/free",
            "/jobs",
            "/jobs/cancel",
            "/features",
            "/system_stats",
            "/models",
            "/embeddings",
            "/experiment/models",
            "/extensions",
            "/i18n",
            "/view",
            "/upload/image",
            "/upload/mask",
            "/users",
            "/settings",
            "/userdata",
            "/v2/userdata",
            "/metrics",
            "/openapi.json",
            "/internal/logs",
            "/internal/logs/raw",
            "/internal/logs/subscribe",
            "/internal/folder_paths",
            "/templates/index.json",
            "/workflow_templates",
            "/object_info/KSampler",
            "/global_subgraphs",
        ];
        let with_name = [
            "/history/",
            "/jobs/",
            "/models/",
            "/experiment/models/",
            "/experiment/models/preview/loras/0/",
            "/settings/",
            "/userdata/",
            "/view_metadata/",
            "/internal/files/",
            "/templates/",
            "/docs/",
            "/object_info/",
            "/userdata/a/move/",
        ];
        let mut path = if self.below(8) == 0 { "/api".to_owned() } else { String::new() };
        if self.below(2) == 0 {
            path += self.of(&known);
        } else {
            path += self.of(&with_name);
            path += &self.text();
        }
        let keys = [
            "filename",
            "type",
            "subfolder",
            "preview",
            "channel",
            "max_items",
            "offset",
            "limit",
            "status",
            "sort_by",
            "dir",
            "path",
            "clientId",
            "recurse",
            "full_info",
            "split",
            "overwrite",
            "token",
        ];
        for n in 0..self.below(4) {
            path += if n == 0 { "?" } else { "&" };
            path += self.of(&keys);
            path += "=";
            path += &self.text();
        }
        path
    }

    fn headers(&mut self) -> Vec<(&'static str, String)> {
        let known = [
            ("Content-Type", "multipart/form-data; boundary=x"),
            ("Content-Type", "application/json"),
            ("Range", "bytes=5-1"),
            ("Range", "bytes=0-"),
            ("If-None-Match", "*"),
            ("Comfy-User", "../x"),
            ("Accept-Encoding", "gzip;q=0, br"),
            ("Authorization", "Basic x"),
            ("Cookie", "kiln-token=%"),
            ("Upgrade", "websocket"),
            ("Expect", "100-continue"),
        ];
        (0..self.below(4)).map(|_| self.of(&known)).map(|(name, value)| (name, value.to_owned())).collect()
    }
}

/// `KILN_TEST_REQUESTS` requests (100 000 in the issue).
#[tokio::test(flavor = "multi_thread")]
async fn no_request_by_chance_breaks_anything() {
    let requests = count("KILN_TEST_REQUESTS", 3000);
    let server = Running::with(|config| config.max_upload = 100_000).await;
    let methods = [
        Method::GET,
        Method::POST,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let mut chance = Chance(0x5eed);
    for number in 0..requests {
        let (method, path) = (methods[chance.below(methods.len())].clone(), chance.path());
        let (headers, body) = (chance.headers(), chance.body());
        let told = format!("request {number}: {method} {path} {headers:?} {:?}", String::from_utf8_lossy(&body));
        if chance.below(10) == 0 {
            raw(&server, &mut chance, &method, &path, &body).await;
            continue;
        }
        let mut request = server.http.request(method, server.url(&path)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{told}: {error:?}"));
        let status = response.status().as_u16();
        assert!(status < 500 || status == 503, "{told}: {status} {:?}", response.text().await);
    }
    // The queue may have been paused by chance.
    server.post("/queue", json!({"pause": false, "clear": true})).await;
    let id = server.queue(json!({"prompt": saved("after", 1), "number": -1000})).await;
    assert_eq!(server.finished(&id).await["status"]["completed"], true);
}

/// A request that no client's library would send: bytes in the wrong place. Whatever comes back, it is no 500.
async fn raw(server: &Running, chance: &mut Chance, method: &Method, path: &str, body: &[u8]) {
    let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n",
        server.address
    );
    let mut bytes = [head.as_bytes(), body].concat();
    for _ in 0..chance.below(3) {
        let place = chance.below(bytes.len());
        bytes[place] = chance.below(256) as u8;
    }
    // Both may fail where the server has closed already.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(std::time::Duration::from_mins(1), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 500"), "{:?}", String::from_utf8_lossy(&bytes));
}
