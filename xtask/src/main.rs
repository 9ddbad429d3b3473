//! `cargo run -p xtask -- tidy` and `-- same-picture A B --psnr DB`: the checks that are not a compiler's.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- tidy
       cargo run -p xtask -- same-picture A.png B.png --psnr DB";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["tidy"] => report(&[xtask::layering::check(), xtask::tidy::check()].concat()),
        ["same-picture", a, b, "--psnr", least] => report(&same_picture(a, b, least)),
        _ => report(&[USAGE.to_owned()]),
    }
}

fn same_picture(a: &str, b: &str, least: &str) -> Vec<String> {
    let Ok(least) = least.parse::<f64>() else { return vec![USAGE.to_owned()] };
    match xtask::picture::psnr(a.as_ref(), b.as_ref()) {
        Ok(found) if found >= least => {
            println!("{a} and {b}: {found:.1} dB");
            Vec::new()
        }
        Ok(found) => vec![format!("{a} and {b}: {found:.1} dB, less than {least}")],
        Err(error) => vec![error],
    }
}

fn report(faults: &[String]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
