//! Ctrl-C: asks the run to stop at its next step; a second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use kiln_exec::Cancel;

/// Lets Ctrl-C stop the run that watches `cancel`. Once per program.
///
/// # Errors
/// When a handler exists already.
pub fn on_ctrl_c(cancel: Cancel) -> Result<(), ctrlc::Error> {
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping at the next step; press Ctrl-C again to end at once");
        cancel.cancel();
    })
}
