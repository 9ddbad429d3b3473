//! `kiln serve` as a process of its own: killed at many moments, and driven as Python's standard library would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server in a process of its own, in a folder that stays.
struct Process {
    child: Child,
    address: String,
    /// What it has said on standard error since it began to serve.
    said: Arc<Mutex<Vec<String>>>,
}

/// A test that fails leaves no server behind.
impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(["serve", "--port", "0", "--base-directory"]).arg(folder).args(more);
        command.env_remove("KILN_DATA_DIR").current_dir(folder).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("the server does not start: {said}") };
            let line = line.unwrap();
            if let Some((_, address)) = line.split_once("http://") {
                break address.trim().to_owned();
            }
            said += &line;
        };
        // What it says further on is read, so that it never waits for a reader.
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line)));
        Self { child, address, said }
    }

    /// Ends at once, whatever it does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn get(&self, path: &str) -> Value {
        request(&self.address, "GET", path, "").expect("the server answers")
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        request(&self.address, "POST", path, &body.to_string()).expect("the server answers")
    }

    fn wait_until_idle(&self) {
        let begun = Instant::now();
        while self.get("/prompt")["exec_info"]["queue_remaining"] != 0 {
            assert!(begun.elapsed() < PATIENCE, "the queue never ends");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One request over a connection of its own; `None` where the server is gone.
fn request(address: &str, method: &str, path: &str, body: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.contains(" 200 "), "{head}\n{body}");
    serde_json::from_str(body).ok()
}

/// An image of one colour, saved under a name of its own.
fn saved(name: &str, colour: usize) -> Value {
    json!({"prompt": {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 256, "height": 256, "batch_size": 1, "color": colour}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": name}},
    }})
}

/// Posts until the server is gone. What it accepts is known by id.
fn post_on(address: &str, round: usize, accepted: &Mutex<BTreeMap<String, String>>) {
    for number in 0.. {
        let name = format!("r{round}_{number}");
        let Some(answer) = request(address, "POST", "/prompt", &saved(&name, round * 1000 + number).to_string()) else {
            return;
        };
        accepted.lock().unwrap().insert(answer["prompt_id"].as_str().unwrap().to_owned(), name);
        thread::sleep(Duration::from_millis(3));
    }
}

/// How often the server is killed.
fn rounds() -> usize {
    std::env::var("KILN_TEST_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10)
}

#[test]
fn a_server_that_is_killed_at_any_moment_loses_no_accepted_prompt_and_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let accepted = Arc::new(Mutex::new(BTreeMap::new()));
    let mut finished: Vec<(String, Value)> = Vec::new();
    for round in 0..rounds() {
        let server = Process::start(folder.path(), &[]);
        for (id, entry) in &finished {
            assert_eq!(&server.get(&format!("/history/{id}"))[id], entry, "a finished result stays as it was");
        }
        let (address, ids) = (server.address.clone(), Arc::clone(&accepted));
        let poster = thread::spawn(move || post_on(&address, round, &ids));
        thread::sleep(Duration::from_millis(15 + (round as u64 * 37) % 140));
        if let Value::Object(history) = server.get("/history?max_items=5") {
            finished = history.into_iter().collect();
        }
        server.kill();
        poster.join().unwrap();
    }
    let server = Process::start(folder.path(), &[]);
    server.wait_until_idle();
    let history = server.get("/history");
    let accepted = accepted.lock().unwrap();
    assert!(accepted.len() >= rounds(), "{}", accepted.len());
    for (id, name) in accepted.iter() {
        assert_eq!(history[id]["status"]["status_str"], "success", "{name}: {}", history[id]);
        let file = history[id]["outputs"]["2"]["images"][0]["filename"].as_str().unwrap();
        assert!(file.starts_with(name.as_str()), "{file}");
        assert!(folder.path().join("output").join(file).is_file(), "{file}");
    }
    // An answer may have been lost on its way, its prompt not.
    assert!(history.as_object().unwrap().len() >= accepted.len());
    server.kill();
}

#[test]
fn a_second_server_in_the_same_folder_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(["serve", "--port", "0", "--base-directory"]).arg(folder.path()).env_remove("KILN_DATA_DIR");
    let second = command.output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another server uses it") && said.contains("data folder"), "{said}");
    first.kill();
}

#[test]
fn prompts_run_side_by_side_on_several_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("kept");
    let server = Process::start(folder.path(), &["--workers", "3", "--data-dir", &data.to_string_lossy()]);
    let ids: Vec<String> = (0..20)
        .map(|n| server.post("/prompt", &saved(&format!("lane{n}"), n))["prompt_id"].as_str().unwrap().to_owned())
        .collect();
    server.wait_until_idle();
    let history = server.get("/history");
    for id in &ids {
        assert_eq!(history[id]["status"]["status_str"], "success", "{}", history[id]);
    }
    assert!(data.join("kiln.redb").is_file() && !folder.path().join("user").exists());
    server.kill();
}

#[test]
fn a_list_of_model_folders_that_breaks_is_warned_of_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("extra_model_paths.yaml");
    std::fs::create_dir_all(folder.path().join("mine")).unwrap();
    std::fs::write(folder.path().join("mine/a.safetensors"), "").unwrap();
    std::fs::write(&list, "a:\n  loras: mine\n").unwrap();
    let server = Process::start(folder.path(), &["--workers", "2"]);
    assert_eq!(server.get("/models/loras"), json!(["a.safetensors"]));
    std::fs::write(&list, "a:\n  loras: 7 8\n  vae: 7\n").unwrap();
    for _ in 0..3 {
        assert_eq!(server.get("/models/loras"), json!(["a.safetensors"]));
    }
    let begun = Instant::now();
    let warned =
        || server.said.lock().unwrap().iter().filter(|line| line.contains("extra_model_paths")).cloned().collect();
    let lines: Vec<String> = loop {
        let lines: Vec<String> = warned();
        if !lines.is_empty() || begun.elapsed() > PATIENCE {
            break lines;
        }
    };
    assert!(lines.len() == 1 && lines[0].contains("line 3"), "{lines:?}");
    std::fs::write(&list, "").unwrap();
    assert_eq!(server.get("/models/loras"), json!([]));
    server.kill();
}

/// Bytes that a process has in memory.
#[cfg(target_os = "linux")]
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// `KILN_TEST_GROWTH` prompts (3 000 in the issue).
#[cfg(target_os = "linux")]
#[test]
fn a_server_does_not_grow_with_the_prompts_that_it_has_run() {
    let prompts = std::env::var("KILN_TEST_GROWTH").ok().and_then(|number| number.parse().ok()).unwrap_or(600);
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let run = |from: usize, to: usize| {
        for value in from..to {
            let graph = json!({
                "1": {"class_type": "PrimitiveInt", "inputs": {"value": value}},
                "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
            });
            let answer = server.post("/prompt?wait=1", &json!({ "prompt": graph }));
            assert_eq!(answer["outputs"]["2"]["text"][0], value.to_string());
        }
    };
    run(0, 400);
    let before = resident(server.child.id());
    run(400, 400 + prompts);
    let after = resident(server.child.id());
    let grown = after.saturating_sub(before);
    println!("{before} bytes before, {grown} more after {prompts} prompts");
    // 2 %, and what an allocator may take at once.
    assert!(grown <= before / 50 + (2 << 20), "{before} bytes before, {grown} more after {prompts} prompts");
    server.kill();
}
