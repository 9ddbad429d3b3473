//! Compares this crate with a folder of reference numbers: one line per case, a sum at the end.
//!
//!     cargo run --release -p kiln-models --example parity -- DIR [ONLY...]
//!
//! `DIR` holds `index.json` and the files it lists, or `cases.json` and whole runs of the bundled model, or both (the
//! runs then lie in a folder of `DIR`). With `ONLY`, files whose name contains none of these words are left out. Ends with a
//! status other than 0 when a case fails, or when there is a file or a tensor that nobody knows.
//!
//! Parameters (seeds, steps, prompts, shapes, ...) come from the folder: index.json, the files' metadata, the names of
//! tensors. Where all of these are silent, what the folder's README says holds.

#![allow(unreachable_pub, reason = "a program: `pub` means to its other modules")]

mod case;
mod families;
mod flux;
mod nets;
mod numeric;
mod prompts;
mod report;
mod runs;
mod vision;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case::{CaseResult, Folder, Run, Status, Trouble, guarded};
use report::Report;

const USAGE: &str = "parity DIR [ONLY...]

Compares kiln-models with the reference numbers in DIR (index.json with safetensors files, or cases.json with whole
runs). ONLY: run the files whose names contain one of these words.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        report::say(USAGE);
        return ExitCode::SUCCESS;
    }
    let Some((folder, only)) = arguments.split_first() else {
        report::complain(USAGE);
        return ExitCode::from(2);
    };
    match run(Path::new(folder), only) {
        Ok(report) => report.finish(),
        Err(trouble) => {
            report::complain(&format!("error: {trouble}"));
            ExitCode::from(2)
        }
    }
}

fn run(path: &Path, only: &[String]) -> Result<Report, Trouble> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| name.contains(word.as_str()));
    let mut report = Report::default();
    let indexed = path.join("index.json").is_file();
    if indexed {
        let folder = Folder::open(path)?;
        for file in folder.files().filter(|file| wanted(file)) {
            one_file(&folder, file, &mut report);
        }
    }
    let runs = folders_of_runs(path)?;
    if !indexed && runs.is_empty() {
        return Err(format!("{} holds neither index.json nor cases.json", path.display()).into());
    }
    for folder in runs {
        let name = folder.file_name().map_or_else(|| "runs".to_owned(), |name| name.to_string_lossy().into_owned());
        if wanted(&name) {
            runs::all(&folder, &name, &mut |result| report.add(result));
        }
    }
    Ok(report)
}

/// Everything that anybody knows to do with one file.
fn one_file(folder: &Folder, file: &str, report: &mut Report) {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let own = flux::case(file).filter(|_| flux::is_here(folder));
    let own = own.or_else(|| families::case(folder, file)).or_else(|| vision::case(file));
    let shared = if own.is_some() { [None, None] } else { [numeric::case(file), nets::case(file)] };
    let judges: Vec<Run> = shared.into_iter().chain([own, prompts::case(file)]).flatten().collect();
    if judges.is_empty() {
        report.add(CaseResult::unknown(stem));
    }
    let mut whole = true;
    for judge in judges {
        match guarded(|| judge(folder, file)) {
            Ok(results) if results.is_empty() => report.add(CaseResult::broken(stem, "no case was found in it")),
            Ok(results) => {
                whole &= results.iter().all(|result| result.status != Status::Unknown);
                for result in results {
                    report.add(CaseResult { name: format!("{stem}/{}", result.name), ..result });
                }
            }
            Err(trouble) => {
                whole = false;
                report.add(CaseResult::broken(stem, trouble));
            }
        }
    }
    let left = folder.left_over(file);
    for name in left.iter().filter(|_| whole) {
        report.add(CaseResult::unknown(format!("{stem}/{name}")));
    }
}

/// The folder itself, if it has a cases.json, and those directly below it that have one.
fn folders_of_runs(path: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut below: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    below.sort();
    let all = std::iter::once(path.to_path_buf()).chain(below);
    Ok(all.filter(|folder| folder.join("cases.json").is_file()).collect())
}
