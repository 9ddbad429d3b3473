//! Standard output and standard error, written so that a reader who has gone is no failure.
//!
//! Knows texts. `print!` and its like panic when the other end of a pipe is closed (`kiln nodes | head -1`).

use std::fmt::Display;
use std::io::Write;

/// Writes on standard output, at once.
pub fn say(text: impl Display) {
    write(&mut std::io::stdout().lock(), &text);
}

/// Writes a line on standard error.
pub fn note(line: impl Display) {
    write(&mut std::io::stderr().lock(), &format_args!("{line}\n"));
}

fn write(out: &mut dyn Write, text: &dyn Display) {
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}
