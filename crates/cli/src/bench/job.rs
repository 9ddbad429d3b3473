//! The job of a bench: a picture is made once, with a clock beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_exec::{CachePolicy, Cancel, Event, Prompt, RunError, RunOptions};
use kiln_graph::PromptError;
use kiln_memory::human_bytes;
use kiln_models::RandomCheckpoint;
use kiln_nodes::files::Folders;
use kiln_nodes::{Environment, Session};
use serde_json::json;

use super::clock::Moment;
use super::measured::Measured;
use super::meter::{Meter, Watch};
use super::which::Bench;
use crate::streams::note;

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Random weights can't be written.
    #[error("{}: can't write {size} of random weights: {source}; name another folder with TMPDIR, or a checkpoint with --ckpt", file.display())]
    Weights {
        /// Where.
        file: PathBuf,
        /// How many.
        size: String,
        /// Why.
        source: io::Error,
    },
    /// There is no such file.
    #[error("{}: there is no such checkpoint", file.display())]
    Missing {
        /// Which.
        file: PathBuf,
    },
    /// The file does not fit the graph.
    #[error(transparent)]
    Graph(#[from] PromptError),
    /// The run failed, or was stopped.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Bench {
    /// Makes the picture with the weights of `checkpoint` (else the bundled ones of `assets`, or random ones, written once
    /// into the folder for temporary files) in a session of `environment`'s making, and says what it took.
    ///
    /// # Errors
    /// [`BenchError`] when the weights can't be written, when the file is no such model, or when the run ends early.
    pub fn run(
        self,
        checkpoint: Option<&Path>,
        assets: &Path,
        steps: u32,
        environment: impl FnOnce(Folders) -> Environment,
        cancel: &Cancel,
    ) -> Result<Measured, BenchError> {
        let file = match checkpoint {
            Some(file) => file.to_path_buf(),
            None => self.weights(assets)?,
        };
        if !file.is_file() {
            return Err(BenchError::Missing { file });
        }
        let root = std::env::temp_dir().join(format!("kiln-bench-{}", std::process::id()));
        let mut folders = Folders::under(&root);
        folders.add_model_file("checkpoints", &file);
        let session = Session::builder(environment(folders), kiln_nodes::registry()).cache(CachePolicy::None).build();
        let measured = self.measure(&session, &file, steps, cancel);
        // What the picture left.
        let _ = std::fs::remove_dir_all(&root);
        measured
    }

    fn measure(self, session: &Session, file: &Path, steps: u32, cancel: &Cancel) -> Result<Measured, BenchError> {
        let mut prompt = self.prompt(file, steps);
        let validated = session.validate(&mut prompt)?;
        let meter = Arc::new(Meter::new("5"));
        let (heard, budget, memory) = (meter.clone(), session.environment().budget().clone(), Arc::default());
        let at_end: Arc<std::sync::Mutex<Option<kiln_memory::Report>>> = Arc::clone(&memory);
        let (watch, begun) = (Watch::begin(), Moment::now());
        let run = session.start(Arc::new(prompt)).options(RunOptions::new()).cancelled_by(cancel).validated(validated);
        let ran = run
            .on_event(move |event| {
                heard.hear(event);
                if let Event::ExecutionSuccess { .. } = event {
                    *at_end.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(budget.report());
                }
            })
            .run();
        let (whole, peak) = (Moment::now().since(&begun), watch.end());
        ran?;
        let memory = memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let memory = memory.unwrap_or_else(|| session.environment().budget().report());
        // The first text waits for the vocabulary.
        let clip = [meter.node("2"), meter.node("3")].map(|passed| passed.wall);
        let clip = clip.into_iter().fold(f64::INFINITY, f64::min);
        Ok(Measured::new(self, whole, &meter.steps(), meter.node("6"), clip, peak, memory))
    }

    /// The classic graph.
    fn prompt(self, file: &Path, steps: u32) -> Prompt {
        let (side, cfg) = self.size();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let text = "a red apple on a wooden table, soft light, high detail";
        let sampler = json!({"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0],
            "seed": 42, "steps": steps, "cfg": cfg, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0});
        let graph = json!({
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}},
            "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": text}},
            "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "blurry"}},
            "4": {"class_type": "EmptyLatentImage", "inputs": {"width": side, "height": side, "batch_size": 1}},
            "5": {"class_type": "KSampler", "inputs": sampler},
            "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
            "7": {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}}
        });
        Prompt::from_value(graph).unwrap_or_default()
    }

    /// The weights where no file is named.
    fn weights(self, assets: &Path) -> Result<PathBuf, BenchError> {
        let random = match self {
            Self::Main => return Ok(assets.join("fluent-tiny.safetensors")),
            Self::Sd15 => RandomCheckpoint::Sd15,
            Self::Sdxl => RandomCheckpoint::Sdxl,
        };
        let file = std::env::temp_dir().join(format!("kiln-bench-{}.safetensors", self.name()));
        if std::fs::metadata(&file).is_ok_and(|there| there.len() == random.bytes()) {
            return Ok(file);
        }
        let size = human_bytes(random.bytes());
        note(format_args!("writing {size} of random weights: {}", file.display()));
        // Under another name until it is whole.
        let part = file.with_extension(format!("part-{}", std::process::id()));
        let written = random.write(&part).and_then(|()| std::fs::rename(&part, &file));
        match written {
            Ok(()) => Ok(file),
            Err(source) => {
                let _ = std::fs::remove_file(&part);
                Err(BenchError::Weights { file, size, source })
            }
        }
    }
}
