//! Standard output and standard error, written so that a reader who has gone is no failure.
//!
//! Knows texts. `print!` and its like panic when the other end of a pipe is closed (`kiln nodes | head -1`).

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes on standard output, at once.
pub fn say(text: impl Display) {
    write(&mut std::io::stdout().lock(), &text);
}

/// Whether lines on standard error are JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// From now on every line on standard error is a JSON object: when, how bad, what.
pub fn write_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Writes a line on standard error.
pub fn note(line: impl Display) {
    if JSON.load(Ordering::Relaxed) {
        return write(&mut std::io::stderr().lock(), &format_args!("{}\n", json_line(&line.to_string())));
    }
    write(&mut std::io::stderr().lock(), &format_args!("{line}\n"));
}

/// A line as JSON. What libraries warn of, and failures, begin with their level.
fn json_line(line: &str) -> serde_json::Value {
    let levels = [("warning: ", "warn"), ("error: ", "error")];
    let found = levels.iter().find_map(|(word, level)| Some((line.strip_prefix(word)?, *level)));
    let (message, level) = found.unwrap_or((line, "info"));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    serde_json::json!({"timestamp": since.as_millis() as u64, "level": level, "message": message.trim()})
}

fn write(out: &mut dyn Write, text: &dyn Display) {
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}
