//! Command-line options that the command and the example share: folders, memory, and how the engine runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use kiln_exec::{CachePolicy, FileSpill, LateEdges, OnFailure, Order, Retention, RunOptions, Spill};
use kiln_nodes::Environment;
use kiln_nodes::files::{DirKind, FileError, Folders};

use crate::memory::MemoryArgs;
use crate::streams::note;

/// Where files lie, and how much memory there may be.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Folders")]
pub struct EnvironmentArgs {
    /// Root of models, input, output and temp.
    #[arg(long, value_name = "DIR")]
    pub base_directory: Option<PathBuf>,
    /// Where images go.
    #[arg(long, visible_aliases = ["output", "out"], value_name = "DIR")]
    pub output_directory: Option<PathBuf>,
    /// Where LoadImage looks.
    #[arg(long, value_name = "DIR")]
    pub input_directory: Option<PathBuf>,
    /// Where previews go: the folder `temp` in this one.
    #[arg(long, value_name = "DIR")]
    pub temp_directory: Option<PathBuf>,
    /// Another folder of models, with ComfyUI's sub-folders.
    #[arg(long, value_name = "DIR")]
    pub models_directory: Option<PathBuf>,
    /// A YAML file that names model folders of other programs, as ComfyUI's `extra_model_paths.yaml`, which is read by
    /// itself where it lies in the base directory. May stand several times.
    #[arg(long, value_name = "FILE")]
    pub extra_model_paths_config: Vec<PathBuf>,
    /// Memory.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// A checkpoint that lies outside the folders, known by its file name.
    #[arg(skip)]
    pub checkpoint: Option<PathBuf>,
}

impl EnvironmentArgs {
    /// The environment these options describe. `root` holds everything that is not named, `assets` the bundled models. Flags that
    /// have no use here are warned of on standard error.
    ///
    /// # Errors
    /// A file of extra model paths can't be used: its name, the line, and why.
    pub fn environment(&self, root: &std::path::Path, assets: &std::path::Path) -> Result<Environment, FileError> {
        let root = self.base_directory.as_deref().unwrap_or(root);
        let mut folders = Folders::of_installation(root)?.with_bundled(assets);
        if let Some(models) = &self.models_directory {
            folders.add_models_root(models);
        }
        for file in &self.extra_model_paths_config {
            folders.add_extra_paths(file)?;
        }
        if let Some(checkpoint) = &self.checkpoint {
            folders.add_model_file("checkpoints", checkpoint);
        }
        for (dir, folder) in [(DirKind::Output, &self.output_directory), (DirKind::Input, &self.input_directory)] {
            if let Some(folder) = folder {
                folders = folders.with_dir(dir, folder);
            }
        }
        if let Some(folder) = &self.temp_directory {
            folders = folders.with_dir(DirKind::Temp, folder.join("temp"));
        }
        let (controls, warnings) = self.memory.controls();
        for warning in warnings {
            note(format_args!("warning: {warning}"));
        }
        Ok(Environment::new(folders).with_controls(controls))
    }
}

/// How the engine runs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// How long outputs live within a run.
    #[arg(long, value_enum, default_value = "2")]
    pub retention: RetentionArg,
    /// What happens when an expansion links to an output that was dropped.
    #[arg(long, value_enum, default_value = "reexecute")]
    pub late_edges: LateEdgesArg,
    /// What outlives a run: `classic`, `none`, `lru=N`, `bytes=1G` or `ram=HEADROOM`.
    #[arg(long, value_name = "POLICY", default_value = "classic", value_parser = cache, group = "caching")]
    cache: CacheArg,
    #[command(flatten)]
    comfy_cache: ComfyCache,
    /// One node at a time, in the same order every time.
    #[arg(long)]
    pub deterministic: bool,
    /// ComfyUI's order among ready nodes in place of the one that keeps memory low.
    #[arg(long)]
    pub comfy_order: bool,
    /// When a node fails, run what does not depend on it all the same.
    #[arg(long)]
    pub keep_going: bool,
    /// A folder for what nobody reads now: results that the cache keeps, outputs that must not be computed twice. Images,
    /// latents, masks and conditionings are read back when they are needed. Default: they stay in memory.
    #[arg(long, value_name = "DIR")]
    pub spill: Option<PathBuf>,
    /// How long a node may take to come back after a cancel, before the run ends without it.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub grace: f64,
    /// Expansions within expansions, at most.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub max_depth: u32,
    /// Nodes known at one time, at most.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub max_nodes: u32,
}

/// Reads seconds.
///
/// # Errors
/// Not a number, negative, or too large to wait for.
pub fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if (0.0..1e9).contains(&seconds) { Ok(seconds) } else { Err(format!("`{text}` seconds are too many, or too few")) }
}

/// ComfyUI's spellings of `--cache`.
#[derive(Args, Clone, Debug, Default)]
struct ComfyCache {
    #[arg(long = "cache-classic", hide = true, group = "caching")]
    classic: bool,
    #[arg(long = "cache-none", hide = true, group = "caching")]
    none: bool,
    #[arg(long = "cache-lru", hide = true, group = "caching", value_name = "N")]
    lru: Option<usize>,
    /// Headroom in GB; a second number, for what this prompt does not use, is taken and changes nothing: it goes first anyway.
    #[arg(long = "cache-ram", hide = true, group = "caching", value_name = "GB", num_args = 0..=2, default_missing_value = "4")]
    ram: Option<Vec<f64>>,
}

/// `--retention`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetentionArg {
    /// Everything to the end of the prompt.
    #[value(name = "0")]
    Keep,
    /// Drop what was never referred to.
    #[value(name = "1")]
    Unreferenced,
    /// Drop whatever nothing that may still run can read.
    #[default]
    #[value(name = "2")]
    Unreadable,
    /// Count only nodes that wait for an output now.
    Eager,
    /// `2` until the first expansion, then `0`.
    Static,
}

/// `--late-edges`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LateEdgesArg {
    /// Run the node again.
    #[default]
    Reexecute,
    /// Refuse links to nodes that don't connect to the expanding one.
    Restrict,
}

/// `--cache`.
#[derive(Clone, Debug, Default)]
pub struct CacheArg(pub CachePolicy);

impl EngineArgs {
    /// What outlives a run.
    pub fn cache(&self) -> CachePolicy {
        match &self.comfy_cache {
            ComfyCache { none: true, .. } => CachePolicy::None,
            ComfyCache { lru: Some(0), .. } => CachePolicy::Classic,
            ComfyCache { lru: Some(n), .. } => CachePolicy::Lru(*n),
            ComfyCache { ram: Some(gigabytes), .. } if !gigabytes.is_empty() => {
                under_pressure((gigabytes[0] * (1_u64 << 30) as f64) as u64)
            }
            _ => self.cache.0.clone(),
        }
    }

    /// The options of one run.
    pub fn run_options(&self) -> RunOptions {
        let retention = match self.retention {
            RetentionArg::Keep => Retention::Keep,
            RetentionArg::Unreferenced => Retention::Unreferenced,
            RetentionArg::Unreadable => Retention::Unreadable,
            RetentionArg::Eager => Retention::Eager,
            RetentionArg::Static => Retention::StaticOnly,
        };
        let late_edges = match self.late_edges {
            LateEdgesArg::Reexecute => LateEdges::Reexecute,
            LateEdgesArg::Restrict => LateEdges::Restrict,
        };
        let order = if self.comfy_order { Order::Comfy } else { Order::Peak };
        let on_failure = if self.keep_going { OnFailure::Continue } else { OnFailure::Stop };
        let options = RunOptions::new()
            .with_retention(retention)
            .with_late_edges(late_edges)
            .with_order(order)
            .with_on_failure(on_failure)
            .with_grace(Duration::from_secs_f64(self.grace))
            .with_deterministic(self.deterministic);
        RunOptions { max_depth: self.max_depth, max_nodes: self.max_nodes, ..options }
    }

    /// Where what nobody reads now goes.
    pub fn spill(&self) -> Option<Arc<dyn Spill>> {
        self.spill.as_ref().map(|folder| -> Arc<dyn Spill> { Arc::new(FileSpill::new(folder)) })
    }
}

/// Reads `600M`, `2.5G`, `1048576`: bytes, with K, M, G or T for powers of 1024.
///
/// # Errors
/// Not a number, negative, or too large to count.
pub fn bytes(text: &str) -> Result<u64, String> {
    let trimmed = text.trim().trim_end_matches(['b', 'B']).trim_end_matches('i');
    let unit = trimmed.chars().last().map_or(1, |last| match last.to_ascii_uppercase() {
        'K' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        'T' => 1_u64 << 40,
        _ => 1,
    });
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let count: f64 = digits.parse().map_err(|_| format!("`{text}` is no number of bytes; write 600M or 2.5G"))?;
    let bytes = count * unit as f64;
    if !(0.0..1.8e19).contains(&bytes) {
        return Err(format!("`{text}` is no number of bytes that memory can have"));
    }
    Ok(bytes as u64)
}

fn cache(text: &str) -> Result<CacheArg, String> {
    let (name, value) = text.split_once('=').or_else(|| text.split_once(':')).unwrap_or((text, ""));
    let policy = match name {
        "classic" => CachePolicy::Classic,
        "none" => CachePolicy::None,
        "lru" => CachePolicy::Lru(value.parse().map_err(|_| "write lru=20, the number of results to keep".to_owned())?),
        "bytes" => CachePolicy::Bytes(bytes(value)?),
        "ram" => under_pressure(if value.is_empty() { 4 << 30 } else { bytes(value)? }),
        _ => return Err(format!("`{name}` is no cache policy: classic, none, lru=N, bytes=1G or ram=4G")),
    };
    Ok(CacheArg(policy))
}

fn under_pressure(headroom: u64) -> CachePolicy {
    let available = Arc::new(|| kiln_memory::available_memory().unwrap_or(u64::MAX));
    CachePolicy::RamPressure { headroom, available }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = ["512", "600M", "2.5G", "1GiB", "3 K"].map(|text| bytes(text).ok());
        assert_eq!(read, [Some(512), Some(629_145_600), Some(2_684_354_560), Some(1 << 30), Some(3072)]);
    }

    #[test]
    fn what_is_no_size_is_refused_in_words() {
        for text in ["", "G", "-1G", "nan", "1e30G", "ten"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn comfyuis_spellings_of_the_cache_are_taken() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            engine: EngineArgs,
        }
        let read = |line: &str| {
            let line = <Line as clap::Parser>::try_parse_from(std::iter::once("kiln").chain(line.split(' ')));
            line.map(|line| format!("{:?}", line.engine.cache())).map_err(|error| error.to_string())
        };
        for (line, policy) in [
            ("--cache-classic", "Classic"),
            ("--cache-none", "None"),
            ("--cache-lru 7", "Lru(7)"),
            ("--cache-ram", "RamPressure(4294967296)"),
            ("--cache-ram 0.5", "RamPressure(536870912)"),
            ("--cache-ram 0.5 64", "RamPressure(536870912)"),
            ("--cache lru=3", "Lru(3)"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(policy), "{line}");
        }
        assert!(read("--cache none --cache-lru 3").is_err_and(|error| error.contains("cannot be used with")));
    }

    #[test]
    fn every_cache_policy_has_its_word() {
        assert!(matches!(cache("lru=3").map(|c| c.0), Ok(CachePolicy::Lru(3))));
        assert!(matches!(cache("bytes=1K").map(|c| c.0), Ok(CachePolicy::Bytes(1024))));
        assert!(matches!(cache("none").map(|c| c.0), Ok(CachePolicy::None)));
        assert!(cache("lru").is_err() && cache("fifo").is_err());
    }
}
