//! What a server takes for small prompts: from a post to its answer, idle and busy, and prompts per second.
//!
//!     cargo bench -p kiln-server --bench prompts
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use kiln_exec::RunOptions;
use kiln_nodes::files::Folders;
use kiln_nodes::{Environment, Session};
use kiln_server::{Config, Server};
use reqwest::Client;
use serde_json::{Value, json};

const POSTS: usize = 500;

fn tiny(value: usize) -> String {
    let graph = json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": value % 0xff_ffff}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    });
    json!({ "prompt": graph }).to_string()
}

async fn post(http: &Client, url: &str, body: String) -> Duration {
    let since = Instant::now();
    let answer: Value = http.post(url).body(body).send().await.unwrap().json().await.unwrap();
    assert!(answer["prompt_id"].is_string(), "{answer}");
    since.elapsed()
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("{what}: {:.2} ms median, {:.2} ms p99, {:.2} ms most, of {}", at(0.5), at(0.99), at(1.0), times.len());
}

/// Bytes that the process has in memory, where the system says so.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

async fn measure(root: &Path, data: Option<&Path>) {
    println!("{}", if data.is_some() { "-- kept in a file" } else { "-- kept in memory" });
    let session = Session::new(Environment::new(Folders::under(root)), kiln_nodes::registry());
    let config = Config { port: 0, data: data.map(Path::to_path_buf), ..Config::default() };
    let server = Server::bind(config, session, RunOptions::new()).await.unwrap();
    let base = format!("http://{}", server.addresses()[0]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async { drop(stopped.await) }));
    let http = Client::new();
    let (waits, queues) = (format!("{base}/prompt?wait=1"), format!("{base}/prompt"));
    for n in 0..3 * POSTS {
        post(&http, &waits, tiny(n)).await;
    }
    let before = resident();
    let mut idle = Vec::new();
    for n in 0..POSTS {
        idle.push(post(&http, &queues, tiny(1000 + n)).await);
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    tell("post, queue nearly empty", idle);
    let mut busy = Vec::new();
    for n in 0..POSTS {
        busy.push(post(&http, &queues, tiny(10_000 + n)).await);
    }
    tell("post, prompts running", busy);
    post(&http, &waits, tiny(0)).await;
    for clients in [1, 8] {
        let since = Instant::now();
        let work = (0..clients).map(async |client| {
            for n in 0..POSTS / clients {
                post(&http, &waits, tiny(100_000 * (client + 1) + n)).await;
            }
        });
        join_all(work).await;
        let rate = POSTS as f64 / since.elapsed().as_secs_f64();
        println!("prompts from post to end, {clients} clients: {rate:.0} per second");
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        println!(
            "resident: {:.1} MB, grown by {:.1} MB over {} prompts",
            after as f64 / 1e6,
            (after as f64 - before as f64) / 1e6,
            4 * POSTS
        );
    }
    drop(stop);
    serving.await.unwrap().unwrap();
}

fn main() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        measure(root.path(), None).await;
        measure(root.path(), Some(&root.path().join("data"))).await;
    });
}
