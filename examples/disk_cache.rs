//! Results on disk by content key: what one process has computed, another one finds.
//!
//!     cargo run --release --example disk_cache            # two processes, one after the other, over a new folder
//!     cargo run --release --example disk_cache -- FOLDER  # one process over a folder that stays
//!
//! A result's key covers the node's class, its constants and everything upstream; its bytes are written by the codecs of
//! the engine. What has no codec (models) is not stored; it is not missed either when what it was for is there.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln::exec::{CacheItem, CacheProvider, CachedResult, CodecError, GraphBuilder, Key, Prompt};
use kiln::nodes::files::{DirKind, Folders};
use kiln::nodes::runtime::Session;
use kiln::nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, Environment, KSampler, SaveImage, VAEDecode,
};

/// A folder with one file per result.
struct DiskCache {
    folder: PathBuf,
    /// Numbers for files that are being written.
    next: AtomicU64,
}

impl DiskCache {
    /// Opens or makes the cache in `folder`. Another version of the program may compute other results, so each has its own.
    fn open(folder: &Path) -> io::Result<Self> {
        let folder = folder.join(env!("CARGO_PKG_VERSION"));
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, next: AtomicU64::new(0) })
    }

    fn path(&self, key: &Key) -> PathBuf {
        let hex = key.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        self.folder.join(hex).with_extension("kiln")
    }

    fn read(path: &Path, item: &CacheItem<'_>) -> Result<CachedResult, CodecError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        CachedResult::read(item.codecs, &mut BufReader::new(file), length)
    }

    /// Writes beside the place and renames: whoever looks finds a whole file or none, whatever happens to this process.
    fn write(&self, path: &Path, item: &CacheItem<'_>, result: &CachedResult) -> Result<(), CodecError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{}-{number}.part", std::process::id()));
        let written = File::create_new(&unfinished).map_err(CodecError::from).and_then(|file| {
            let mut to = BufWriter::new(file);
            result.write(item.codecs, &mut to)?;
            to.flush()?;
            // On disk before it has its name, or a power cut could leave a name without content.
            to.get_ref().sync_all()?;
            Ok(fs::rename(&unfinished, path)?)
        });
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }
}

impl CacheProvider for DiskCache {
    fn lookup(&self, item: &CacheItem<'_>) -> Option<CachedResult> {
        let path = self.path(item.key);
        match Self::read(&path, item) {
            Ok(result) => Some(result),
            Err(CodecError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                eprintln!("{}: {error}; {} runs again", path.display(), item.class_type);
                None
            }
        }
    }

    fn store(&self, item: &CacheItem<'_>, result: &CachedResult) {
        let stored = result.outputs.iter().all(|list| item.codecs.cover(list)).then(|| {
            let path = self.path(item.key);
            self.write(&path, item, result)
        });
        if let Some(Err(error)) = stored {
            eprintln!("the result of {} is not stored: {error}", item.class_type);
        }
    }
}

fn graph() -> Prompt {
    let graph = GraphBuilder::new();
    let (model, clip, vae) = graph.add(CheckpointLoaderSimple::node().ckpt_name("fluent-tiny.safetensors"));
    let positive = graph.add(CLIPTextEncode::node().clip(clip.clone()).text("a pear"));
    let negative = graph.add(CLIPTextEncode::node().clip(clip).text(""));
    let latent = graph.add(EmptyLatentImage::node().width(128).height(128).batch_size(1));
    let sampler = KSampler::node().model(model).positive(positive).negative(negative).latent_image(latent);
    let samples = graph.add(sampler.seed(3).steps(8).cfg(4.0).sampler_name("euler").scheduler("normal").denoise(1.0));
    let image = graph.add(VAEDecode::node().samples(samples).vae(vae));
    graph.add(SaveImage::node().images(image).filename_prefix("pear"));
    graph.into_prompt()
}

/// Runs the graph in this process. Returns how many nodes ran.
fn run(folder: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let folders = Folders::under(folder).with_dir(DirKind::Output, folder).with_bundled(assets);
    let session = Session::builder(Environment::new(folders), kiln::nodes::registry())
        .provider(Arc::new(DiskCache::open(folder)?))
        .build();
    let summary = session.start(graph()).run()?.summary;
    println!("process {}: {} nodes ran, {} were known", std::process::id(), summary.executed, summary.cached);
    Ok(summary.executed)
}

/// Runs it in a process of its own, which says by its exit code whether anything ran.
fn in_another_process(folder: &Path) -> io::Result<bool> {
    let status = Command::new(std::env::current_exe()?).arg(folder).status()?;
    match status.code() {
        Some(0) => Ok(false),
        Some(RAN) => Ok(true),
        _ => Err(io::Error::other(format!("the other process ended with {status}"))),
    }
}

/// The exit code of a process in which nodes ran.
const RAN: i32 = 10;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(folder) = std::env::args_os().nth(1) {
        let ran = run(Path::new(&folder))? > 0;
        return Ok(if ran { ExitCode::from(RAN as u8) } else { ExitCode::SUCCESS });
    }
    let folder = std::env::temp_dir().join(format!("kiln-disk-cache-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (first, second) = (in_another_process(&folder)?, in_another_process(&folder)?);
    // A file that was cut is no result: its node runs again, the others are found.
    damage(&folder)?;
    let third = in_another_process(&folder)?;
    fs::remove_dir_all(&folder)?;
    match (first, second, third) {
        (true, false, true) => Ok(ExitCode::SUCCESS),
        _ => Err("the first process and the one after the damage should have run nodes, the second none".into()),
    }
}

/// Cuts every stored file short.
fn damage(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder.join(env!("CARGO_PKG_VERSION")))? {
        let file = File::options().write(true).open(file?.path())?;
        file.set_len(file.metadata()?.len() / 2)?;
    }
    Ok(())
}
