//! The hub's handle: what others ask of it. Cloned freely; sends commands and waits for nothing.

use std::sync::Arc;

use axum::extract::ws::{Message, Utf8Bytes};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::frame::{PreviewFrame, text, text_frame};
use super::live::Live;

/// What the hub is asked for.
pub(super) enum Command {
    Join { sid: Arc<str>, reply: oneshot::Sender<Joined> },
    Leave { sid: Arc<str>, serial: u64 },
    Flags { sid: Arc<str>, serial: u64, previews_with_metadata: bool },
    Status { remaining: usize },
    All(Utf8Bytes),
    To { sid: Arc<str>, text: Utf8Bytes },
    Told { sid: Arc<str>, prompt: Arc<str>, text: Utf8Bytes, keep: Keep },
    Step { sid: Arc<str>, text: Utf8Bytes, preview: Option<PreviewFrame> },
    Line { sid: Arc<str>, frame: Message },
    Ended { prompt: Arc<str> },
    Log(LogLine),
    Lines { reply: oneshot::Sender<Vec<LogLine>> },
    Subscribe { sid: Arc<str>, enabled: bool },
    Close,
}

/// A line of the log, as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogLine {
    /// When, as ISO 8601.
    #[serde(rename = "t")]
    pub(crate) time: String,
    /// What, with the end of the line.
    #[serde(rename = "m")]
    pub(crate) text: String,
}

/// What a message of a prompt that runs means for a client that connects again.
pub(crate) enum Keep {
    /// It is sent again.
    Always,
    /// The last one that says how far all nodes are is sent again.
    Nodes,
    /// The last one that names a node at work is sent again.
    Work(Arc<str>),
}

/// A socket that has joined.
pub(crate) struct Joined {
    /// Which of all sockets it is.
    pub(crate) serial: u64,
    /// What it has to send. Ends when the hub lets go of it.
    pub(crate) messages: mpsc::Receiver<Message>,
}

/// Sends to clients.
#[derive(Clone)]
pub(crate) struct Hub(pub(super) mpsc::UnboundedSender<Command>, pub(super) Arc<Live>);

impl Hub {
    /// What runs, node by node.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.1
    }

    /// A socket joins under an id, in the place of another one of that id. `None` when the server ends.
    pub(crate) async fn join(&self, sid: Arc<str>) -> Option<Joined> {
        let (reply, joined) = oneshot::channel();
        self.send(Command::Join { sid, reply });
        joined.await.ok()
    }

    /// A socket is gone.
    pub(crate) fn leave(&self, sid: Arc<str>, serial: u64) {
        self.send(Command::Leave { sid, serial });
    }

    /// What a socket's client can read.
    pub(crate) fn set_flags(&self, sid: Arc<str>, serial: u64, previews_with_metadata: bool) {
        self.send(Command::Flags { sid, serial, previews_with_metadata });
    }

    /// The queue has changed: so many prompts run or wait.
    pub(crate) fn status(&self, remaining: usize) {
        self.send(Command::Status { remaining });
    }

    /// Something that concerns everybody.
    pub(crate) fn to_all(&self, message: impl Into<Utf8Bytes>) {
        self.send(Command::All(message.into()));
    }

    /// Something for one client.
    pub(crate) fn to(&self, sid: &Arc<str>, message: impl Into<Utf8Bytes>) {
        self.send(Command::To { sid: Arc::clone(sid), text: message.into() });
    }

    /// What a prompt that runs has to say to its client.
    pub(crate) fn told(&self, sid: &Arc<str>, prompt: &Arc<str>, message: impl Into<Utf8Bytes>, keep: Keep) {
        let (sid, prompt) = (Arc::clone(sid), Arc::clone(prompt));
        self.send(Command::Told { sid, prompt, text: message.into(), keep });
    }

    /// A line of text that stands at a node.
    pub(crate) fn line(&self, sid: &Arc<str>, node: &str, line: &str) {
        self.send(Command::Line { sid: Arc::clone(sid), frame: text_frame(node, line) });
    }

    /// A step of progress, with or without a picture.
    pub(crate) fn step(&self, sid: &Arc<str>, message: impl Into<Utf8Bytes>, preview: Option<PreviewFrame>) {
        self.send(Command::Step { sid: Arc::clone(sid), text: message.into(), preview });
    }

    /// The last message of a prompt; no node of it is at work any more.
    pub(crate) fn prompt_ended(&self, sid: Option<&Arc<str>>, prompt: &Arc<str>) {
        self.send(Command::Ended { prompt: Arc::clone(prompt) });
        if let Some(sid) = sid {
            self.to(sid, text("executing", serde_json::json!({"node": null, "prompt_id": prompt})));
        }
    }

    /// A line for the log, and for clients that read it.
    pub(crate) fn log(&self, text: impl Into<String>) {
        let text = text.into() + "\n";
        self.send(Command::Log(LogLine { time: jiff::Timestamp::now().to_string(), text }));
    }

    /// The last lines of the log.
    pub(crate) async fn log_lines(&self) -> Vec<LogLine> {
        let (reply, lines) = oneshot::channel();
        self.send(Command::Lines { reply });
        lines.await.unwrap_or_default()
    }

    /// A client hears of new lines of the log, or no more.
    pub(crate) fn subscribe(&self, sid: Arc<str>, enabled: bool) {
        self.send(Command::Subscribe { sid, enabled });
    }

    /// Closes every socket after what was sent until now.
    pub(crate) fn close(&self) {
        self.send(Command::Close);
    }

    fn send(&self, command: Command) {
        // Without a hub the server has ended, and nobody is there to hear.
        let _ = self.0.send(command);
    }
}
