//! The hub's task: owns the table of sockets.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use axum::extract::ws::{Message, Utf8Bytes};
use serde_json::json;
use tokio::sync::mpsc;

use super::frame::{PreviewFrame, text};
use super::handle::{Command, Hub, Joined, LogLine};
use super::past::Past;
use crate::config::Log;

/// So many messages may wait for a slow client; one more, and its socket is closed.
const WAITING: usize = 4096;
/// So many may wait before steps of progress and pictures are left out.
const PATIENT: usize = 256;

/// So many lines of the log are kept.
const LINES: usize = 300;

/// A connected client.
struct Socket {
    serial: u64,
    to: mpsc::Sender<Message>,
    previews_with_metadata: bool,
}

impl Socket {
    fn is_behind(&self) -> bool {
        self.to.max_capacity() - self.to.capacity() > PATIENT
    }

    /// `false` when the client does not keep up, or is gone.
    fn send(&self, message: Message) -> bool {
        self.to.try_send(message).is_ok()
    }
}

/// What the task owns.
#[derive(Default)]
struct Table {
    sockets: HashMap<Arc<str>, Socket>,
    /// Sockets whose id another one has taken: they stay open and hear nothing.
    replaced: HashMap<u64, Socket>,
    /// Counts sockets.
    joined: u64,
    /// What the last status said.
    remaining: usize,
    /// What running prompts have said, by prompt.
    past: HashMap<Arc<str>, Past>,
    /// The last lines of the log.
    lines: VecDeque<LogLine>,
    /// Who reads the log.
    readers: HashSet<Arc<str>>,
    /// And who else, outside of the server.
    log: Option<Log>,
}

/// Starts the hub. Lines of its log go to `log`, too.
pub(crate) fn start(log: Option<Log>) -> Hub {
    let (send, mut commands) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut table = Table { log, ..Table::default() };
        while let Some(command) = commands.recv().await {
            table.obey(command);
        }
    });
    Hub(send, Arc::default())
}

impl Table {
    fn obey(&mut self, command: Command) {
        match command {
            Command::Join { sid, reply } => {
                // A client that has gone meanwhile leaves again by itself.
                let _ = reply.send(self.join(sid));
            }
            Command::Leave { sid, serial } => {
                self.replaced.remove(&serial);
                if self.sockets.get(&sid).is_some_and(|socket| socket.serial == serial) {
                    self.sockets.remove(&sid);
                    self.readers.remove(&sid);
                }
            }
            Command::Flags { sid, serial, previews_with_metadata } => {
                if let Some(socket) = self.sockets.get_mut(&sid).filter(|socket| socket.serial == serial) {
                    socket.previews_with_metadata = previews_with_metadata;
                }
            }
            Command::Status { remaining } => {
                self.remaining = remaining;
                self.tell_all(&text("status", json!({"status": status(remaining)})));
            }
            Command::All(text) => self.tell_all(&text),
            Command::To { sid, text } => self.to(&sid, Message::Text(text)),
            Command::Step { sid, text, preview } => self.step(&sid, text, preview.as_ref()),
            Command::Told { sid, prompt, text, keep } => {
                let past = self.past.entry(prompt).or_insert_with(|| Past::of(Arc::clone(&sid)));
                past.add(&text, keep);
                self.to(&sid, Message::Text(text));
            }
            Command::Line { sid, frame } => {
                if self.sockets.get(&sid).is_some_and(|socket| !socket.is_behind()) {
                    self.to(&sid, frame);
                }
            }
            Command::Ended { prompt } => _ = self.past.remove(&prompt),
            Command::Log(line) => self.log(line),
            Command::Lines { reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.lines.iter().cloned().collect());
            }
            Command::Subscribe { sid, enabled } => {
                if enabled && self.sockets.contains_key(&sid) {
                    self.readers.insert(sid);
                } else {
                    self.readers.remove(&sid);
                }
            }
            Command::Close => {
                self.sockets.clear();
                self.replaced.clear();
            }
        }
    }

    fn join(&mut self, sid: Arc<str>) -> Joined {
        let (to, messages) = mpsc::channel(WAITING);
        self.joined += 1;
        let serial = self.joined;
        let socket = Socket { serial, to, previews_with_metadata: false };
        socket.send(Message::Text(text("status", json!({"status": status(self.remaining), "sid": sid}))));
        for message in self.past.values().filter(|past| past.is_of(&sid)).flat_map(Past::messages) {
            socket.send(Message::Text(message));
        }
        if let Some(before) = self.sockets.insert(sid, socket) {
            self.replaced.insert(before.serial, before);
        }
        Joined { serial, messages }
    }

    fn tell_all(&mut self, text: &Utf8Bytes) {
        self.sockets.retain(|_, socket| socket.send(Message::Text(text.clone())));
    }

    fn to(&mut self, sid: &str, message: Message) {
        if self.sockets.get(sid).is_some_and(|socket| !socket.send(message)) {
            tracing::warn!("a client that reads too slowly was disconnected");
            self.sockets.remove(sid);
        }
    }

    fn log(&mut self, line: LogLine) {
        if let Some(log) = &self.log {
            log.write(line.text.trim_end());
        }
        if !self.readers.is_empty() {
            let message = text("logs", json!({"entries": [line], "size": null}));
            for sid in self.readers.clone() {
                self.to(&sid, Message::Text(message.clone()));
            }
        }
        self.lines.push_back(line);
        if self.lines.len() > LINES {
            self.lines.pop_front();
        }
    }

    /// New clients get the picture before the step's text, old ones after it.
    fn step(&mut self, sid: &str, text: Utf8Bytes, preview: Option<&PreviewFrame>) {
        let is_result = preview.is_some_and(|preview| preview.is_result);
        let Some(socket) = self.sockets.get(sid).filter(|socket| is_result || !socket.is_behind()) else { return };
        let with_metadata = socket.previews_with_metadata;
        let picture = preview.map(|preview| preview.message(with_metadata));
        let (first, last) = if with_metadata { (picture, None) } else { (None, picture) };
        for message in first.into_iter().chain([Message::Text(text)]).chain(last) {
            self.to(sid, message);
        }
    }
}

fn status(remaining: usize) -> serde_json::Value {
    json!({"exec_info": {"queue_remaining": remaining}})
}
