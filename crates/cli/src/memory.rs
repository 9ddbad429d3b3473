//! Memory on the command line: every flag of ComfyUI's that is about memory, and two limits of Kiln's own.
//!
//! Knows spellings and texts; what a flag means is `kiln_memory::Controls`' matter.

use clap::Args;
use kiln_memory::{Applied, Controls};

/// How much memory there may be, and what stays in it. Shared by the command and the main example.
///
/// As long as Kiln computes on the CPU, the CPU is the device: `--vram-limit` and the VRAM states bound the decoded
/// weights that stay in its memory.
// Switches of a command line are independent of each other: a bool each.
#[allow(clippy::struct_excessive_bools)]
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Memory")]
pub struct MemoryArgs {
    /// Weights that stay on the computing device, at most: `600M`, `6G`, `0.5` (GB). On the CPU these are weights decoded for
    /// computing, 1 GB unless said otherwise; the rest is decoded again at each use. Images stay the same.
    #[arg(long, value_name = "SIZE", value_parser = checked("--vram-limit"))]
    pub vram_limit: Option<String>,
    /// Memory of the whole process: weights, results, what computing needs, and what the program holds besides. On the CPU it
    /// bounds what --vram-limit bounds, too: the smaller one holds. Mapped files don't count, they are the system's to drop.
    #[arg(long, value_name = "SIZE", value_parser = checked("--ram-limit"))]
    pub ram_limit: Option<String>,
    /// Memory left to other programs, in GB as ComfyUI counts (or `600M`). On the CPU: of the host's.
    #[arg(long, value_name = "GB", visible_alias = "vram-headroom", value_parser = checked("--reserve-vram"))]
    pub reserve_vram: Option<String>,
    /// Everything on the accelerator, text encoders and results too.
    #[arg(long, group = "vram")]
    pub gpu_only: bool,
    /// Weights stay on the device; on the CPU all of them stay decoded, which takes up to four times the file.
    #[arg(long, group = "vram")]
    pub highvram: bool,
    /// What happens anyway: weights stay while computing leaves room.
    #[arg(long, group = "vram", hide = true)]
    pub normalvram: bool,
    /// Two fifths of the usual may stay.
    #[arg(long, group = "vram")]
    pub lowvram: bool,
    /// No weights stay; each is brought for each use.
    #[arg(long, group = "vram")]
    pub novram: bool,
    /// Everything on the CPU.
    #[arg(long, group = "vram")]
    pub cpu: bool,
    /// The autoencoder on the CPU.
    #[arg(long)]
    pub cpu_vae: bool,
    /// Let go of all weights when a run is over.
    #[arg(long)]
    pub disable_smart_memory: bool,
    /// Bring weights ahead of their use, through so many slots (2 unless said otherwise).
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "2", value_parser = checked("--async-offload"))]
    pub async_offload: Option<String>,
    /// Bring weights only when they are used.
    #[arg(long, conflicts_with = "async_offload")]
    pub disable_async_offload: bool,
    /// No page-locked staging memory (with an accelerator).
    #[arg(long)]
    pub disable_pinned_memory: bool,
    /// Read streamed weights from disk rather than keep them in host memory, where both would do (with an accelerator; the
    /// CPU reads them from the file anyway, past the system's cache where that can't hold it).
    #[arg(long)]
    pub fast_disk: bool,
    /// A disk or network drive that gives nothing for so long is given up, and the run ends with an error: 120 unless said
    /// otherwise, 0 to wait for ever.
    #[arg(long, value_name = "SECONDS", value_parser = checked("--read-timeout"))]
    pub read_timeout: Option<String>,
    /// What comes first stays, nothing gives way to anything, instead of a plan made from what will run.
    #[arg(long)]
    pub disable_dynamic_vram: bool,
    /// Say after each node who holds how much, and at the end how the weights of each model fared.
    #[arg(long)]
    pub memory_report: bool,
    #[command(flatten)]
    others: Others,
}

/// Spellings of ComfyUI's that change nothing here, or undo a default.
#[allow(clippy::struct_excessive_bools)]
#[derive(Args, Clone, Debug, Default)]
struct Others {
    #[arg(long, hide = true)]
    enable_dynamic_vram: bool,
    #[arg(long, hide = true)]
    disable_fast_disk: bool,
    #[arg(long, hide = true)]
    disable_mmap: bool,
    #[arg(long, hide = true)]
    high_ram: bool,
    #[arg(long, hide = true)]
    disable_nvml_pressure: bool,
    #[arg(long, hide = true)]
    disable_cuda_graphs: bool,
    #[arg(long, hide = true)]
    cuda_malloc: bool,
    #[arg(long, hide = true)]
    disable_cuda_malloc: bool,
    #[arg(long, hide = true, value_name = "ID")]
    cuda_device: Option<String>,
    #[arg(long, hide = true, value_name = "ID")]
    default_device: Option<String>,
    #[arg(long, hide = true, value_name = "ID", num_args = 0..=1, default_missing_value = "-1", allow_hyphen_values = true)]
    directml: Option<String>,
}

impl MemoryArgs {
    /// What these flags ask for, and a warning for each that has no use here.
    pub fn controls(&self) -> (Controls, Vec<String>) {
        let (mut controls, mut warnings) = (Controls::default(), Vec::new());
        for (flag, value) in self.given() {
            match controls.set(flag, value) {
                Ok(Applied::Done) => {}
                Ok(Applied::Unused(why)) => warnings.push(format!("{flag} has no use here: {why}")),
                Err(error) => warnings.push(error.to_string()),
            }
        }
        (controls, warnings)
    }

    fn given(&self) -> Vec<(&'static str, Option<&str>)> {
        let o = &self.others;
        let switches = [
            ("--gpu-only", self.gpu_only),
            ("--highvram", self.highvram),
            ("--normalvram", self.normalvram),
            ("--lowvram", self.lowvram),
            ("--novram", self.novram),
            ("--cpu", self.cpu),
            ("--cpu-vae", self.cpu_vae),
            ("--disable-smart-memory", self.disable_smart_memory),
            ("--disable-async-offload", self.disable_async_offload),
            ("--disable-pinned-memory", self.disable_pinned_memory),
            ("--fast-disk", self.fast_disk),
            ("--disable-fast-disk", o.disable_fast_disk),
            ("--disable-dynamic-vram", self.disable_dynamic_vram),
            ("--enable-dynamic-vram", o.enable_dynamic_vram),
            ("--disable-mmap", o.disable_mmap),
            ("--high-ram", o.high_ram),
            ("--disable-nvml-pressure", o.disable_nvml_pressure),
            ("--disable-cuda-graphs", o.disable_cuda_graphs),
            ("--cuda-malloc", o.cuda_malloc),
            ("--disable-cuda-malloc", o.disable_cuda_malloc),
        ];
        let values = [
            ("--vram-limit", &self.vram_limit),
            ("--ram-limit", &self.ram_limit),
            ("--reserve-vram", &self.reserve_vram),
            ("--async-offload", &self.async_offload),
            ("--read-timeout", &self.read_timeout),
            ("--cuda-device", &o.cuda_device),
            ("--default-device", &o.default_device),
            ("--directml", &o.directml),
        ];
        let switched = switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| (flag, None));
        switched.chain(values.into_iter().filter_map(|(flag, value)| Some((flag, Some(value.as_deref()?))))).collect()
    }
}

/// Refuses a value that the controls would refuse, before anything runs.
fn checked(flag: &'static str) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| match Controls::default().set(flag, Some(text)) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;
    use kiln_memory::VramState;
    use std::time::Duration;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        memory: MemoryArgs,
    }

    fn read(line: &str) -> Result<(Controls, Vec<String>), clap::Error> {
        Line::try_parse_from(std::iter::once("kiln").chain(line.split_whitespace())).map(|l| l.memory.controls())
    }

    fn controls(line: &str) -> Controls {
        let (controls, warnings) = read(line).unwrap();
        assert!(warnings.is_empty(), "{line}: {warnings:?}");
        controls
    }

    #[test]
    fn every_flag_reaches_the_controls() {
        let default = Controls::default();
        assert_eq!(controls(""), default);
        for (line, wanted) in [
            ("--vram-limit 6G", Controls { vram_limit: Some(6 << 30), ..default.clone() }),
            ("--vram-limit 0.5", Controls { vram_limit: Some(1 << 29), ..default.clone() }),
            ("--ram-limit 600M", Controls { ram_limit: Some(600 << 20), ..default.clone() }),
            ("--reserve-vram 0.5", Controls { reserve: Some(1 << 29), ..default.clone() }),
            ("--vram-headroom 600M", Controls { reserve: Some(600 << 20), ..default.clone() }),
            ("--gpu-only", Controls { state: VramState::HighVram, gpu_only: true, ..default.clone() }),
            ("--highvram", Controls { state: VramState::HighVram, ..default.clone() }),
            ("--normalvram", default.clone()),
            ("--lowvram", Controls { state: VramState::LowVram, ..default.clone() }),
            ("--novram", Controls { state: VramState::NoVram, ..default.clone() }),
            ("--cpu", Controls { state: VramState::Disabled, ..default.clone() }),
            ("--cpu-vae", Controls { cpu_vae: true, ..default.clone() }),
            ("--disable-smart-memory", Controls { smart: false, ..default.clone() }),
            ("--async-offload", default.clone()),
            ("--async-offload 4", Controls { slots: 4, ..default.clone() }),
            ("--disable-async-offload", Controls { slots: 0, ..default.clone() }),
            ("--disable-pinned-memory", Controls { pinned: false, ..default.clone() }),
            ("--fast-disk", Controls { fast_disk: true, ..default.clone() }),
            ("--fast-disk --disable-fast-disk", default.clone()),
            ("--read-timeout 7", Controls { read_timeout: Some(Duration::from_secs(7)), ..default.clone() }),
            ("--read-timeout 0", Controls { read_timeout: None, ..default.clone() }),
            ("--disable-dynamic-vram", Controls { dynamic: false, ..default.clone() }),
            ("--enable-dynamic-vram", default.clone()),
        ] {
            assert_eq!(controls(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_has_no_use_here_is_taken_with_a_warning() {
        for flag in ["--disable-mmap", "--high-ram", "--cuda-device 1", "--directml", "--disable-cuda-malloc"] {
            let (controls, warnings) = read(flag).unwrap();
            assert_eq!(controls, Controls::default(), "{flag}");
            assert_eq!(warnings.len(), 1, "{flag}");
            assert!(warnings[0].starts_with(flag.split(' ').next().unwrap()), "{warnings:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_runs() {
        for line in
            ["--vram-limit lots", "--ram-limit=-1G", "--reserve-vram x", "--async-offload many", "--read-timeout soon"]
        {
            let flag = line.split([' ', '=']).next().unwrap();
            assert!(read(line).unwrap_err().to_string().contains(flag), "{line}");
        }
        for line in ["--lowvram --highvram", "--cpu --gpu-only", "--async-offload 3 --disable-async-offload"] {
            assert!(read(line).unwrap_err().to_string().contains("cannot be used with"), "{line}");
        }
    }
}
