//! A server on a port of its own, with folders of its own and the testing nodes, and clients of it.

use std::path::Path;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use kiln_exec::{Host, Registry, RunOptions};
use kiln_nodes::{Environment, Session, files::Folders};
use kiln_server::{Config, Server};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that ends with this value.
pub(crate) struct Running {
    pub(crate) root: TempDir,
    pub(crate) address: String,
    pub(crate) http: Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

fn registry() -> Registry {
    let mut registry = kiln_nodes::registry();
    kiln_testing_nodes::register(&mut registry);
    registry
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(tempfile::tempdir().unwrap(), change).await
    }

    /// A server in folders that are there already.
    pub(crate) async fn at(root: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let environment = Environment::new(Folders::of_installation(root.path()).unwrap());
        let host = kiln_testing_nodes::lend(Host::new());
        let session = Session::builder(environment, registry()).host(host).build();
        let mut config = Config { port: 0, user_directory: root.path().join("user"), ..Config::default() };
        change(&mut config);
        let server = Server::bind(config, session, RunOptions::new()).await.unwrap();
        let address = server.addresses()[0].to_string();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move { server.run(async { drop(stopped.await) }).await.unwrap() });
        let http = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { root, address, http, stop: Some(stop), serving }
    }

    /// Ends the server in good order.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(PATIENCE, &mut self.serving).await.expect("the server does not end").unwrap();
        self.root
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// As Python's clients do: without a content type.
    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Response {
        self.http.post(self.url(path)).body(body.to_string()).send().await.unwrap()
    }

    /// Posts a prompt that must be accepted, and returns its id.
    pub(crate) async fn queue(&self, body: Value) -> String {
        let response = self.post("/prompt", &body).await;
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["prompt_id"].as_str().unwrap().to_owned()
    }

    /// Waits until the history has a prompt, and returns its entry.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        let begun = tokio::time::Instant::now();
        loop {
            let mut entry = self.json(&format!("/history/{id}")).await;
            if let Some(entry) = entry.get_mut(id) {
                return entry.take();
            }
            assert!(begun.elapsed() < PATIENCE, "{id} never ends");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn output(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.root.path()).join("output").join(name)
    }

    pub(crate) async fn socket(&self, query: &str) -> Socket {
        let url = format!("ws://{}/ws{query}", self.address);
        Socket(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }
}

/// A websocket client.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// The next message, binary ones too.
    pub(crate) async fn frame(&mut self) -> Option<Message> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("no message comes")? {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return Some(message),
                Err(_) => return None,
            }
        }
    }

    /// The next message, which must be text.
    pub(crate) async fn message(&mut self) -> Value {
        let frame = self.frame().await.expect("the socket is closed");
        serde_json::from_str(frame.to_text().unwrap()).unwrap()
    }

    /// All messages up to the last one of a prompt, that one included.
    pub(crate) async fn until_end(&mut self, id: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await;
            let data = &message["data"];
            let end = message["type"] == "executing" && data["node"].is_null() && data["prompt_id"] == id;
            messages.push(message);
            if end {
                return messages;
            }
        }
    }

    pub(crate) async fn say(&mut self, message: impl ToString) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }
}

/// A graph of two nodes: an image of one colour, saved.
pub(crate) fn saved(prefix: &str, colour: i64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 8, "batch_size": 1, "color": colour}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    })
}

/// A graph that takes so many seconds.
pub(crate) fn slow(seconds: f64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "TestSleep", "inputs": {"value": ["1", 0], "seconds": seconds}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    })
}
