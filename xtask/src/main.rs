//! `cargo run -p xtask -- tidy`, `-- imports`, `-- exports` and `-- same-picture A B --psnr DB`: the checks that are not a
//! compiler's.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xtask::exports::Exports;
use xtask::imports::Plan;

const USAGE: &str = "usage: cargo run -p xtask -- tidy
       cargo run -p xtask -- imports [--root DIR] [CRATE...]   files, arrows and circles; of crates that are named, each arrow
       cargo run -p xtask -- exports [--root DIR] [CRATE...]   how many names each lib.rs exports; of crates that are named, which
       cargo run -p xtask -- same-picture A.png B.png --psnr DB";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["tidy"] => report(&tidy()),
        ["imports", "--root", root, crates @ ..] => report(&each(root.into(), crates, imports)),
        ["imports", crates @ ..] => report(&each(xtask::workspace::root(), crates, imports)),
        ["exports", "--root", root, crates @ ..] => report(&each(root.into(), crates, exports)),
        ["exports", crates @ ..] => report(&each(xtask::workspace::root(), crates, exports)),
        ["same-picture", a, b, "--psnr", least] => report(&same_picture(a, b, least)),
        _ => report(&[USAGE.to_owned()]),
    }
}

fn tidy() -> Vec<String> {
    let imports = xtask::imports::check(&xtask::workspace::root());
    [xtask::layering::check(), imports, xtask::features::check(), xtask::tidy::check()].concat()
}

/// What to show of one package: the root, its folder, its name, and whether it was asked for by name.
type Show = fn(&Path, &str, &str, bool) -> Result<(), String>;

/// Shows every crate in short, or the named ones at length.
fn each(root: PathBuf, names: &[&str], show: Show) -> Vec<String> {
    let packages = match xtask::workspace::packages(&root) {
        Ok(packages) => packages,
        Err(fault) => return vec![fault],
    };
    let named = packages.iter().map(|folder| (folder, folder.rsplit('/').next().filter(|name| !name.is_empty())));
    let named: Vec<(&String, &str)> = named.map(|(folder, name)| (folder, name.unwrap_or("kiln"))).collect();
    let unknown = names.iter().filter(|name| !named.iter().any(|(_, known)| known == *name));
    let mut faults: Vec<String> = unknown.map(|name| format!("no crate `{name}`")).collect();
    for (folder, name) in named.into_iter().filter(|(_, name)| names.is_empty() || names.contains(name)) {
        faults.extend(show(&root, folder, name, !names.is_empty()).err());
    }
    faults
}

fn imports(root: &Path, folder: &str, name: &str, all: bool) -> Result<(), String> {
    let plan = Plan::read(&xtask::workspace::sources(root, folder)?, folder)?;
    let circles = plan.circles();
    let (files, arrows, back, through) = (plan.files.len(), plan.arrows.len(), plan.back_up(), plan.through_root.len());
    println!(
        "{name}: {files} files, {arrows} arrows, {} circles, {back} arrows back up, {through} imports through the root",
        circles.len()
    );
    for (number, circle) in circles.iter().enumerate() {
        println!("  circle {}", number + 1);
        show_each(circle, "    ");
    }
    if all {
        println!("  arrows");
        show_each(plan.arrows(), "    ");
        show_each(&plan.through_root, "  ");
    }
    Ok(())
}

fn show_each<T: std::fmt::Display>(lines: impl IntoIterator<Item = T>, before: &str) {
    for line in lines {
        println!("{before}{line}");
    }
}

fn exports(root: &Path, folder: &str, name: &str, all: bool) -> Result<(), String> {
    let exports = Exports::read(&xtask::workspace::sources(root, folder)?, folder)?;
    println!("{name}: {} names, {} more with the feature `testing`", exports.names.len(), exports.testing.len());
    if all {
        show_each(&exports.names, "  ");
        show_each(&exports.testing, "  testing: ");
    }
    Ok(())
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
