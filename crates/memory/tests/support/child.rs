//! A test that needs a process of its own, with limits of its own: its program once more, running only that test.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::process::{Child, Command, Output, Stdio};

const ROLE: &str = "KILN_TEST_ROLE";

/// What part this process plays, if it is a child.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This program, set to run `test` (with its modules' names) in `role`.
pub fn command(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Runs `test` in `role` and shows what it printed when it failed.
pub fn run(test: &str, role: &str, with: impl FnOnce(&mut Command)) -> Output {
    let mut command = command(test, role);
    with(&mut command);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{:?}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    output
}

/// As [`run`], without waiting for it; its input and output are pipes.
pub fn start(test: &str, role: &str) -> Child {
    command(test, role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}
