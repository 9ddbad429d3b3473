//! `cargo run -p xtask -- tidy`: every check of the project that is not a compiler's.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("tidy") {
        return report(&[xtask::layering::check(), xtask::tidy::check()].concat());
    }
    eprintln!("usage: cargo run -p xtask -- tidy");
    ExitCode::FAILURE
}

fn report(faults: &[String]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() {
        println!("tidy");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
