//! What a reader should never meet: endless files, `unsafe` where nobody expects it, leftovers.

use crate::{lengths, workspace};
use std::path::Path;

/// No source file is longer than this many lines.
pub const LONGEST_FILE: usize = 500;
/// No function is longer than this many lines.
pub const LONGEST_FUNCTION: usize = 100;
/// The crates that may hold `unsafe`, each in modules made for it.
pub const UNSAFE_CRATES: &[&str] = &["crates/memory/", "crates/kernels/"];
/// Crates that know no file, and the one place in them that does: values that leave memory go there if anywhere.
const FILELESS_CRATES: &[&str] = &["crates/graph/src/", "crates/exec/src/"];
const SPILL_FILE: &str = "crates/exec/src/spill/file.rs";
/// Leftovers that a finished line does not have. (Split, so that this file does not hold them.)
const LEFTOVERS: &[(&str, &str)] =
    &[("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("FIX", "ME"), ("XX", "X")];

/// Every breach, as `file:line: what`.
pub fn check() -> Vec<String> {
    let root = workspace::root();
    let mut files = Vec::new();
    for folder in ["crates", "src", "examples", "tests", "benches", "xtask"] {
        workspace::rust_files(&root.join(folder), &mut files);
    }
    files.iter().flat_map(|file| check_file(&root, file)).collect()
}

fn check_file(root: &Path, file: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(file) else { return vec![format!("{}: unreadable", file.display())] };
    let name = file.strip_prefix(root).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let mut faults: Vec<String> =
        text.lines().enumerate().flat_map(|(i, line)| check_line(&name, i + 1, line)).collect();
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        faults.push(format!("{name}: {lines} lines, more than {LONGEST_FILE}: split it by noun"));
    }
    let long = lengths::functions(&text).into_iter().filter(|function| function.lines > LONGEST_FUNCTION);
    faults.extend(long.map(|function| {
        let lengths::Length { name: function, line, lines } = function;
        format!("{name}:{line}: `{function}` has {lines} lines, more than {LONGEST_FUNCTION}: split it by thought")
    }));
    faults
}

fn check_line(file: &str, number: usize, line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let mut faults: Vec<String> = LEFTOVERS
        .iter()
        .map(|(a, b)| format!("{a}{b}"))
        .filter(|word| line.contains(word.as_str()))
        .map(|word| format!("{file}:{number}: `{word}` is a leftover"))
        .collect();
    let opens = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word));
    if opens && !file.starts_with("xtask/") && !UNSAFE_CRATES.iter().any(|allowed| file.starts_with(allowed)) {
        faults.push(format!("{file}:{number}: `unsafe` belongs into crates/memory or crates/kernels"));
    }
    let fileless = file != SPILL_FILE && FILELESS_CRATES.iter().any(|folder| file.starts_with(folder));
    if fileless && ["std::fs", "File::open", "File::create"].iter().any(|word| code.contains(word)) {
        faults.push(format!("{file}:{number}: files belong behind a `Spill`, or to the embedder"));
    }
    faults
}
