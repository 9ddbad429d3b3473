//! A check-up: is this machine ready to run graphs, what is wrong with it, and how to mend it.
//!
//! Changes nothing but a file that it removes again. Knows the environment; runs no graph.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use kiln_kernels::Isa;
use kiln_memory::{available_memory, human_bytes, total_memory};
use kiln_nodes::Environment;
use kiln_nodes::files::{DirKind, Folders};
use kiln_nodes::runtime::weights_limit;
use serde_json::{Value, json};

use crate::shelves::Shelves;

/// Less memory than this is a reason to say so.
const LITTLE_MEMORY: u64 = 2 << 30;
/// Less room on a disk than this, too.
const LITTLE_DISK: u64 = 1 << 30;
/// Unusable files that are named.
const MOST_FILES: usize = 8;

/// How a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and could be better.
    Odd,
    /// It does not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub topic: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub says: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default)]
pub struct CheckUp {
    findings: Vec<Finding>,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Odd => "note",
            Self::Wrong => "wrong",
        }
    }
}

impl CheckUp {
    /// Looks at the machine and at the folders of an environment.
    pub fn of(environment: &Environment, data: &Path) -> Self {
        let mut found = Self::default();
        found.processor();
        found.memory(environment);
        found.models(environment.folders());
        found.folders(environment.folders(), data);
        found
    }

    /// Adds something that was looked at elsewhere.
    pub fn add(&mut self, topic: &'static str, verdict: Verdict, says: impl Into<String>, remedy: Option<&str>) {
        self.findings.push(Finding { topic, verdict, says: says.into(), remedy: remedy.map(str::to_owned) });
    }

    /// The worst verdict.
    pub fn worst(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Fine)
    }

    /// The findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The same for a program that reads.
    pub fn to_json(&self) -> Value {
        let row =
            |f: &Finding| json!({"topic": f.topic, "verdict": f.verdict.word(), "says": f.says, "remedy": f.remedy});
        self.findings.iter().map(row).collect()
    }

    fn processor(&mut self) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let name = processor_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let cores = if cores == 1 { "one core".to_owned() } else { format!("{cores} cores") };
        let threads = match std::env::var("RAYON_NUM_THREADS") {
            Ok(threads) if !threads.is_empty() => format!(", RAYON_NUM_THREADS is {threads}"),
            _ => String::new(),
        };
        self.add("processor", Verdict::Fine, format!("{name}, {cores}{threads}"), None);
        let all: Vec<&str> = Isa::all().iter().map(|isa| isa.name()).collect();
        let all = all.join(", ");
        match Isa::of_environment() {
            Ok(chosen) => {
                let why = if chosen.is_some() { ", as KILN_ISA says" } else { "" };
                let says = format!("{} in use{why}; there are {all}", Isa::best().name());
                let slow = Isa::all().last().is_some_and(|isa| *isa == Isa::PORTABLE);
                let remedy =
                    "kernels are several times faster with AVX2 and FMA or AVX-512; does a virtual machine hide them?";
                self.add(
                    "instruction sets",
                    if slow { Verdict::Odd } else { Verdict::Fine },
                    says,
                    slow.then_some(remedy),
                );
            }
            Err(wrong) => {
                let remedy = format!("unset KILN_ISA, or set it to one of {all}");
                self.add("instruction sets", Verdict::Wrong, format!("KILN_ISA: {wrong}"), Some(&remedy));
            }
        }
        self.add("devices", Verdict::Fine, "the CPU, in f32; this version uses no accelerator", None);
    }

    fn memory(&mut self, environment: &Environment) {
        let (total, free) = (total_memory(), available_memory());
        let says = match (total, free) {
            (Some(total), Some(free)) => format!("{} of {} free", human_bytes(free), human_bytes(total)),
            _ => "this system does not say how much there is".into(),
        };
        let little = free.is_some_and(|free| free < LITTLE_MEMORY);
        let remedy = "close other programs, or bound what Kiln holds with --ram-limit; smaller pictures take less";
        self.add("memory", if little { Verdict::Odd } else { Verdict::Fine }, says, little.then_some(remedy));
        let limit = weights_limit(environment.controls());
        let says =
            format!("at most {} of decoded weights stay; the rest is brought when it is used", human_bytes(limit));
        self.add("weights", Verdict::Fine, says, None);
    }

    fn models(&mut self, folders: &Folders) {
        let shelves = Shelves::of(folders, None);
        let (count, bytes) = shelves.total();
        let places = folders.model_folders("checkpoints");
        let places: Vec<String> = places.iter().map(|folder| folder.display().to_string()).collect();
        let says = format!("{count} files, {}; checkpoints are searched in {}", human_bytes(bytes), places.join(", "));
        let none = count == 0;
        let remedy = "put files into these folders, or name others with --base-directory, --models-directory or an extra_model_paths.yaml";
        self.add("models", if none { Verdict::Odd } else { Verdict::Fine }, says, none.then_some(remedy));
        for (path, error) in shelves.unusable().take(MOST_FILES) {
            let says = if error.contains(&*path.to_string_lossy()) {
                error.to_owned()
            } else {
                format!("{}: {error}", path.display())
            };
            self.add(
                "models",
                Verdict::Wrong,
                says,
                Some("fetch the file again, or move it out of the models' folders"),
            );
        }
    }

    fn folders(&mut self, folders: &Folders, data: &Path) {
        let rows = [
            ("output folder", folders.dir(DirKind::Output)),
            ("temporary files", folders.dir(DirKind::Temp)),
            ("data folder", data),
        ];
        for (topic, folder) in rows {
            self.written(topic, folder);
        }
        let input = folders.dir(DirKind::Input);
        let there = if input.is_dir() { "" } else { " (not there yet: put pictures for LoadImage into it)" };
        self.add("input folder", Verdict::Fine, format!("{}{there}", input.display()), None);
    }

    /// A folder that is written into, or will be as soon as it is made.
    fn written(&mut self, topic: &'static str, folder: &Path) {
        let at = folder.display();
        let here = match writable(folder) {
            Ok(here) => here,
            Err((here, error)) => {
                let remedy = format!(
                    "let this user write into {}, or name another folder (kiln run --help, \"Folders\")",
                    here.display()
                );
                return self.add(topic, Verdict::Wrong, format!("{at}: can't be written into: {error}"), Some(&remedy));
            }
        };
        let yet = if here == folder { "" } else { ", made when it is needed" };
        match room(&here) {
            Some(room) if room < LITTLE_DISK => {
                let says = format!("{at}: only {} left on its disk", human_bytes(room));
                self.add(topic, Verdict::Odd, says, Some("make room, or name a folder on another disk"));
            }
            Some(room) => self.add(topic, Verdict::Fine, format!("{at}{yet}; {} left", human_bytes(room)), None),
            None => self.add(topic, Verdict::Fine, format!("{at}{yet}"), None),
        }
    }
}

impl fmt::Display for CheckUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.findings.iter().map(|finding| finding.topic.len()).max().unwrap_or(0);
        for Finding { topic, verdict, says, remedy } in &self.findings {
            writeln!(f, "{:<5}  {topic:<width$}  {says}", verdict.word())?;
            if let Some(remedy) = remedy {
                writeln!(f, "{:<5}  {:<width$}  -> {remedy}", "", "")?;
            }
        }
        Ok(())
    }
}

/// Tries a file in a folder, or in the nearest one above it that is there. Returns that one.
fn writable(folder: &Path) -> Result<PathBuf, (PathBuf, io::Error)> {
    let there = folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let there = match there {
        Some(there) if !there.as_os_str().is_empty() => there.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let probe = there.join(format!(".kiln-write-test-{}", std::process::id()));
    match std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => Ok(there),
        Err(error) => Err((there, error)),
    }
}

/// Bytes that are left on the disk of a folder, where the system says so.
#[cfg(unix)]
fn room(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn room(_: &Path) -> Option<u64> {
    None
}

/// What the processor calls itself, where the system says so.
fn processor_name() -> Option<String> {
    let table = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = table.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
