//! What a bench measured: a table for people, one object for programs.

use std::fmt;

use kiln_memory::{Report, human_bytes};
use serde_json::{Value, json};

use super::clock::Passed;
use super::torch::Torch;
use super::which::Bench;

/// Holders that are named.
const MOST_HOLDERS: usize = 8;

/// What a picture took.
pub struct Measured {
    bench: Bench,
    /// All of it, opening the checkpoint and saving the picture included.
    whole: Passed,
    /// A later step, the median.
    step: Passed,
    /// The first one, from the beginning of its node.
    first_step: Passed,
    vae_decode: Passed,
    clip: f64,
    /// Memory of the process's own at most, in bytes.
    peak: u64,
    memory: Report,
    threads: usize,
    isa: &'static str,
    /// The same by PyTorch.
    pub torch: Option<Torch>,
}

impl Measured {
    pub(super) fn new(
        bench: Bench,
        whole: Passed,
        steps: &[Passed],
        vae_decode: Passed,
        clip: f64,
        peak: u64,
        memory: Report,
    ) -> Self {
        let first_step = steps.first().copied().unwrap_or_default();
        let later = if steps.len() > 1 { &steps[1..] } else { steps };
        let step = Passed {
            wall: median(later.iter().map(|step| step.wall)),
            processor: median(later.iter().map(|step| step.processor)),
            system: median(later.iter().map(|step| step.system)),
        };
        let (threads, isa) = (rayon::current_num_threads(), kiln_kernels::Isa::best().name());
        Self { bench, whole, step, first_step, vae_decode, clip, peak, memory, threads, isa, torch: None }
    }

    /// How much of the processor's time was the system's.
    pub fn system_share(&self) -> f64 {
        if self.whole.processor > 0.0 { self.whole.system / self.whole.processor } else { 0.0 }
    }

    /// One object: seconds, megabytes of 10^6 bytes.
    pub fn to_json(&self) -> Value {
        let rounded = |x: f64| (x * 1e6).round() / 1e6;
        let mut all = json!({
            "bench": self.bench.name(),
            "unet_step_s": rounded(self.step.wall),
            "unet_step_cpu_s": rounded(self.step.processor),
            "unet_first_step_s": rounded(self.first_step.wall),
            "vae_decode_s": rounded(self.vae_decode.wall),
            "vae_decode_cpu_s": rounded(self.vae_decode.processor),
            "clip_s": rounded(self.clip),
            "total_s": rounded(self.whole.wall),
            "total_cpu_s": rounded(self.whole.processor),
            "peak_anon_mb": (self.peak as f64 / 1e5).round() / 10.0,
            "system_share": rounded(self.system_share()),
            "threads": self.threads,
            "isa": self.isa,
        });
        let holders = self.memory.rows.iter().filter(|row| row.peak > 0);
        all["peak_by_holder"] = holders.map(|row| (format!("{} ({})", row.owner, row.kind), json!(row.peak))).collect();
        if let Some(torch) = &self.torch {
            all["torch"] = torch.to_json();
        }
        all
    }

    /// Rows of the table: what, seconds on the wall, seconds of the processor, PyTorch's seconds.
    fn rows(&self) -> [(&'static str, f64, Option<f64>, Option<f64>); 5] {
        let torch = self.torch.as_ref();
        [
            ("a step", self.step.wall, Some(self.step.processor), torch.map(|torch| torch.unet_step)),
            ("the first step", self.first_step.wall, Some(self.first_step.processor), None),
            ("VAE decode", self.vae_decode.wall, Some(self.vae_decode.processor), torch.map(|torch| torch.vae_decode)),
            ("a text", self.clip, None, torch.map(|torch| torch.clip)),
            ("all of it", self.whole.wall, Some(self.whole.processor), None),
        ]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} threads, {}", self.bench.name(), self.threads, self.isa)?;
        write!(f, "{:<16} {:>10} {:>12}", "", "seconds", "processor")?;
        writeln!(f, "{}", if self.torch.is_some() { "    PyTorch    ratio" } else { "" })?;
        for (what, wall, processor, torch) in self.rows() {
            let processor = processor.map_or_else(String::new, |seconds| format!("{seconds:.3}"));
            write!(f, "{what:<16} {wall:>10.3} {processor:>12}")?;
            match torch {
                Some(torch) => writeln!(f, " {torch:>10.3} {:>8.2}", wall / torch.max(1e-9))?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "{:<16} {:>9.1}%", "the system", self.system_share() * 100.0)?;
        writeln!(f, "{:<16} {:>10}  of its own at most", "memory", human_bytes(self.peak))?;
        let mut holders: Vec<_> = self.memory.rows.iter().filter(|row| row.peak > 0).collect();
        holders.sort_by_key(|row| std::cmp::Reverse(row.peak));
        for row in holders.iter().take(MOST_HOLDERS) {
            writeln!(f, "{:<16} {:>10}  {} ({})", "", human_bytes(row.peak), row.owner, row.kind)?;
        }
        if let Some(torch) = &self.torch {
            writeln!(f, "PyTorch {}, {} threads", torch.version, torch.threads)?;
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
