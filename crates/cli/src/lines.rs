//! Lines: a run's events for a program that reads, one JSON object per line, the summary last.
//!
//! Every line is ComfyUI's message of that type. Three types also say which node and which sockets on the outside:
//! `executed`, told here of every node that ran and not only of those that show something, `dropped` and `reexecuted`.

use std::collections::HashSet;
use std::io::{BufWriter, Stdout, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_exec::{Event, Listener, NodeId, Summary};
use serde_json::{Value, json};

/// Nodes whose `executed` was told because they show something.
type Told = HashSet<NodeId>;

/// How long a line may wait to be seen.
const SOON: Duration = Duration::from_millis(50);

/// Lines on their way to standard output. Written in one go where they come thick and fast, at once at the end of a run.
struct Out {
    told: Told,
    to: BufWriter<Stdout>,
}

impl Out {
    fn tell(&mut self, event: &Event) {
        if let Some(line) = line(event, &mut self.told) {
            // Whoever read the lines may have gone; the run goes on all the same.
            let _ = writeln!(self.to, "{line}");
        }
        let ends = matches!(
            event,
            Event::ExecutionSuccess { .. } | Event::ExecutionError(_) | Event::ExecutionInterrupted { .. }
        );
        if ends {
            let _ = self.to.flush();
        }
    }
}

/// A listener that writes a line per event on standard output.
pub fn lines() -> Listener {
    let out = Arc::new(Mutex::new(Out { told: Told::new(), to: BufWriter::with_capacity(1 << 16, std::io::stdout()) }));
    let waiting = Arc::downgrade(&out);
    std::thread::spawn(move || {
        while let Some(out) = waiting.upgrade() {
            let _ = out.lock().unwrap_or_else(PoisonError::into_inner).to.flush();
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

/// The line for an event; none for the end of a node that was told already.
fn line(event: &Event, told: &mut Told) -> Option<Value> {
    let mut line = match event {
        Event::Finished { prompt_id, node, micros, sockets, bytes } => {
            if told.remove(node) {
                return None;
            }
            let data =
                json!({ "node": node, "output": null, "prompt_id": prompt_id, "micros": micros, "bytes": bytes });
            return Some(placed(json!({ "type": "executed", "data": data }), node, "sockets", all(*sockets)));
        }
        other => serde_json::to_value(other).ok()?,
    };
    match event {
        Event::Executed { node, sockets, .. } => {
            told.insert(node.clone());
            line = placed(line, node, "sockets", all(*sockets));
        }
        Event::Dropped { node, socket, .. } | Event::Reexecuted { node, socket, .. } => {
            line = placed(line, node, "socket", json!(socket));
        }
        _ => {}
    }
    Some(line)
}

fn all(sockets: u32) -> Value {
    (0..sockets).collect::<Vec<_>>().into()
}

fn placed(mut line: Value, node: &NodeId, key: &str, sockets: Value) -> Value {
    if let Some(object) = line.as_object_mut() {
        object.insert("node".into(), json!(node));
        object.insert(key.into(), sockets);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[Event]) -> Vec<String> {
        let mut told = Told::new();
        events.iter().filter_map(|event| line(event, &mut told)).map(|line| line.to_string()).collect()
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
