//! Lines: a run's events for a program that reads, one JSON object per line, the summary last.
//!
//! Every line is ComfyUI's message of that type. Three types also say which node and which sockets on the outside:
//! `executed`, told here of every node that ran and not only of those that show something, `dropped` and `reexecuted`.

use std::collections::HashSet;
use std::io::{BufWriter, Stdout, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_exec::{Event, Listener, NodeId, Summary};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Nodes whose `executed` was told because they show something.
type Told = HashSet<NodeId>;

/// How long a line may wait to be seen.
const SOON: Duration = Duration::from_millis(50);

/// Lines on their way to standard output. Written in one go where they come thick and fast, at once at the end of a run.
struct Out {
    told: Told,
    /// The line that is being made.
    line: Vec<u8>,
    to: BufWriter<Stdout>,
    /// Whoever read the lines has gone; the run goes on all the same.
    unread: bool,
}

impl Out {
    fn new() -> Self {
        let to = BufWriter::with_capacity(1 << 16, std::io::stdout());
        Self { told: Told::new(), line: Vec::new(), to, unread: false }
    }

    fn tell(&mut self, event: &Event) {
        if self.unread {
            return;
        }
        self.line.clear();
        if line(event, &mut self.told, &mut self.line) {
            self.line.push(b'\n');
            self.unread = self.to.write_all(&self.line).is_err();
        }
        let ends = matches!(
            event,
            Event::ExecutionSuccess { .. } | Event::ExecutionError(_) | Event::ExecutionInterrupted { .. }
        );
        if ends {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.unread = self.unread || self.to.flush().is_err();
    }
}

/// A listener that writes a line per event on standard output.
pub fn lines() -> Listener {
    let out = Arc::new(Mutex::new(Out::new()));
    let waiting = Arc::downgrade(&out);
    std::thread::spawn(move || {
        while let Some(out) = waiting.upgrade() {
            out.lock().unwrap_or_else(PoisonError::into_inner).flush();
            drop(out);
            std::thread::sleep(SOON);
        }
    });
    Arc::new(move |event: &Event| out.lock().unwrap_or_else(PoisonError::into_inner).tell(event))
}

/// The last line: what the run came to, with exactly these keys.
pub fn summary_line(summary: &Summary) -> Value {
    let Summary { executed, cached, reexecuted, peak_bytes, live_bytes_at_end, .. } = *summary;
    json!({
        "type": "summary",
        "executed": executed,
        "cached": cached,
        "reexecuted": reexecuted,
        "peak_bytes": peak_bytes,
        "live_bytes_at_end": live_bytes_at_end,
    })
}

/// Writes the line for an event, straight from the event; returns false at the end of a node that was told already.
fn line(event: &Event, told: &mut Told, to: &mut Vec<u8>) -> bool {
    let written = match event {
        Event::Finished { prompt_id, node, micros, sockets, bytes } => {
            if !told.is_empty() && told.remove(node) {
                return false;
            }
            let data = Ran { node, output: (), prompt_id, micros: *micros, bytes: *bytes };
            append(to, &Message { ty: "executed", data }) && placed(to, node, "sockets", &Sockets(*sockets))
        }
        Event::Executed { node, sockets, .. } => {
            told.insert(node.clone());
            append(to, event) && placed(to, node, "sockets", &Sockets(*sockets))
        }
        Event::Dropped { node, socket, .. } | Event::Reexecuted { node, socket, .. } => {
            append(to, event) && placed(to, node, "socket", socket)
        }
        other => append(to, other),
    };
    written && !to.is_empty()
}

/// A message of ComfyUI's form.
#[derive(Serialize)]
struct Message<T> {
    #[serde(rename = "type")]
    ty: &'static str,
    data: T,
}

/// The data of `executed` for a node that shows nothing.
#[derive(Serialize)]
struct Ran<'a> {
    node: &'a NodeId,
    output: (),
    prompt_id: &'a str,
    micros: u64,
    bytes: u64,
}

/// The numbers of so many sockets.
struct Sockets(u32);

impl Serialize for Sockets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(0..self.0)
    }
}

fn append(to: &mut Vec<u8>, value: &impl Serialize) -> bool {
    serde_json::to_writer(to, value).is_ok()
}

/// Adds the node and what concerns its sockets to the object that was written last.
fn placed(to: &mut Vec<u8>, node: &NodeId, key: &'static str, sockets: &impl Serialize) -> bool {
    to.pop();
    to.extend_from_slice(b",\"node\":");
    let written = append(to, node);
    to.extend_from_slice(b",\"");
    to.extend_from_slice(key.as_bytes());
    to.extend_from_slice(b"\":");
    let written = written && append(to, sockets);
    to.push(b'}');
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[Event]) -> Vec<String> {
        let mut told = Told::new();
        let written = |event: &Event| {
            let mut text = Vec::new();
            line(event, &mut told, &mut text).then(|| String::from_utf8_lossy(&text).into_owned())
        };
        events.iter().filter_map(written).collect()
    }

    fn finished(node: &str) -> Event {
        Event::Finished { prompt_id: "1".into(), node: node.into(), micros: 5, sockets: 2, bytes: 8 }
    }

    #[test]
    fn every_node_that_ran_is_told_once_with_its_sockets() {
        let shows = Event::Executed {
            node: "b".into(),
            display_node: "b".into(),
            output: Some(json!({ "text": ["x"] })),
            prompt_id: "1".into(),
            sockets: 0,
        };
        assert_eq!(
            told(&[finished("a"), shows, finished("b")]),
            [
                r#"{"type":"executed","data":{"node":"a","output":null,"prompt_id":"1","micros":5,"bytes":8},"node":"a","sockets":[0,1]}"#,
                r#"{"type":"executed","data":{"node":"b","display_node":"b","output":{"text":["x"]},"prompt_id":"1"},"node":"b","sockets":[]}"#,
            ]
        );
    }

    #[test]
    fn what_is_dropped_or_runs_again_is_told_with_its_socket() {
        let events = [
            Event::Dropped { prompt_id: "1".into(), node: "a".into(), socket: 1, bytes: 8 },
            Event::Reexecuted { prompt_id: "1".into(), node: "a".into(), socket: 1, needed_by: "c".into() },
        ];
        assert_eq!(
            told(&events),
            [
                r#"{"type":"dropped","data":{"prompt_id":"1","node":"a","socket":1,"bytes":8},"node":"a","socket":1}"#,
                r#"{"type":"reexecuted","data":{"prompt_id":"1","node":"a","socket":1,"needed_by":"c"},"node":"a","socket":1}"#,
            ]
        );
    }

    #[test]
    fn the_summary_has_exactly_its_keys() {
        let summary = Summary { executed: 3, peak_bytes: 7, expanded: 9, ..Summary::default() };
        assert_eq!(
            summary_line(&summary).to_string(),
            r#"{"type":"summary","executed":3,"cached":0,"reexecuted":0,"peak_bytes":7,"live_bytes_at_end":0}"#
        );
    }
}
