//! How a program at a terminal ends early: Ctrl-C, and what is said of a failure.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kiln_exec::{Cancel, RunError};

use crate::excerpt::excerpt;
use crate::streams::note;

/// Signals that come this close together are one: some programs send theirs to the process and to its group.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// Lets Ctrl-C stop the run that watches `cancel`. Once per program.
///
/// # Errors
/// When a handler exists already.
pub fn on_ctrl_c(cancel: Cancel) -> Result<(), ctrlc::Error> {
    let asked: OnceLock<Instant> = OnceLock::new();
    ctrlc::set_handler(move || {
        if let Some(first) = asked.get() {
            if first.elapsed() > ONE_PRESS {
                std::process::exit(130);
            }
            return;
        }
        let _ = asked.set(Instant::now());
        note("\nstopping at the next step; press Ctrl-C again to end at once");
        cancel.cancel();
    })
}

/// Says on standard error why nothing came of it, with the lines of the graph's file that it is about, and returns what to exit
/// with: 130 after Ctrl-C, else 1.
pub fn explain_failure(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    if let Some(stopped) = error.downcast_ref::<RunError>().filter(|run| run.is_interrupted()) {
        let node = stopped.node().map(|id| format!(" in {} \"{id}\"", stopped.class_type().unwrap_or("node")));
        note(format_args!("stopped{}; what it was making is not saved", node.unwrap_or_default()));
        return ExitCode::from(130);
    }
    note(format_args!("error: {error}"));
    if let Some(excerpt) = excerpt(error) {
        note(excerpt);
    }
    ExitCode::FAILURE
}
