//! Lines on the screen and the sum below them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for a terminal")]

use std::process::ExitCode;

use crate::case::{CaseResult, Status};

/// How many cases ended how.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
    unknown: usize,
}

impl Report {
    /// Prints a case and counts it.
    pub fn add(&mut self, result: CaseResult) {
        let verdict = match &result.status {
            Status::Ok => {
                self.passed += 1;
                "ok".to_owned()
            }
            Status::Failed => {
                self.failed += 1;
                "FAILED".to_owned()
            }
            Status::Skipped(why) => {
                self.skipped += 1;
                format!("skipped: {why}")
            }
            Status::Unknown => {
                self.unknown += 1;
                "unknown".to_owned()
            }
        };
        let note = if result.note.is_empty() { String::new() } else { format!("  ({})", result.note) };
        if matches!(result.status, Status::Ok | Status::Failed) {
            let CaseResult { name, max_rel, rms_rel, tolerance, .. } = result;
            println!("{name:<72} max {max_rel:>8.1e}  rms {rms_rel:>8.1e}  of {tolerance:>7.0e}  {verdict}{note}");
        } else {
            println!("{:<72} {verdict}{note}", result.name);
        }
    }

    /// Prints the sum; a failed case, or something unknown, makes a failed program.
    pub fn finish(self) -> ExitCode {
        if self.skipped > 0 {
            println!("{} skipped", self.skipped);
        }
        println!("{} passed, {} failed, {} unknown", self.passed, self.failed, self.unknown);
        if self.failed + self.unknown > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// A line for the reader.
pub fn say(text: &str) {
    println!("{text}");
}

/// A line for whoever looks after errors.
pub fn complain(text: &str) {
    eprintln!("{text}");
}
