//! PyTorch's times for the same networks, where a Python with torch, diffusers and transformers is there.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::which::Bench;

/// What PyTorch runs.
const SCRIPT: &str = include_str!("../../benches/torch/networks.py");

/// PyTorch's times, in seconds.
#[derive(Debug, Clone, Deserialize)]
pub struct Torch {
    /// Of a step after the first.
    #[serde(rename = "unet_step_s")]
    pub unet_step: f64,
    /// Of a decoded image.
    #[serde(rename = "vae_decode_s")]
    pub vae_decode: f64,
    /// Of 77 tokens.
    #[serde(rename = "clip_s")]
    pub clip: f64,
    /// Which PyTorch.
    pub version: String,
    /// How many threads it had.
    pub threads: usize,
}

/// Why there are no times of PyTorch.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// There is no Python.
    #[error("--against-torch: can't run `{python}`: {source}; name another one with --python")]
    Start {
        /// Which was tried.
        python: String,
        /// Why.
        source: std::io::Error,
    },
    /// It lacks a package, or failed.
    #[error("--against-torch: `{python}` failed: {words}; it needs torch, diffusers and transformers")]
    Failed {
        /// Which was tried.
        python: String,
        /// Its last words.
        words: String,
    },
}

impl Torch {
    /// Lets `python` run the networks of `bench` as often as the bench does, on as many threads and the same set.
    ///
    /// # Errors
    /// [`TorchError`] when it can't be started, or lacks what it needs.
    pub fn measure(bench: Bench, python: &str, steps: u32, threads: usize, isa: &str) -> Result<Self, TorchError> {
        let failed = |words: String| TorchError::Failed { python: python.into(), words };
        let start = |source| TorchError::Start { python: python.into(), source };
        let mut command = Command::new(python);
        command.args(["-", bench.name(), &steps.to_string(), &threads.to_string()]);
        if isa == "avx2" {
            command.envs([("ATEN_CPU_CAPABILITY", "avx2"), ("ONEDNN_MAX_CPU_ISA", "AVX2")]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().map_err(start)?;
        if let Some(mut script) = running.stdin.take() {
            // A Python that does not listen says why.
            let _ = script.write_all(SCRIPT.as_bytes());
        }
        let ended = running.wait_with_output().map_err(start)?;
        let said = String::from_utf8_lossy(&ended.stderr);
        if !ended.status.success() {
            return Err(failed(said.trim().lines().last().unwrap_or("it said nothing").to_owned()));
        }
        let out = String::from_utf8_lossy(&ended.stdout);
        let last = out.trim().lines().last().unwrap_or_default();
        serde_json::from_str(last).map_err(|error| failed(format!("{error} in `{last}`")))
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { unet_step, vae_decode, clip, version, threads } = self;
        json!({"unet_step_s": unet_step, "vae_decode_s": vae_decode, "clip_s": clip, "version": version, "threads": threads})
    }
}
