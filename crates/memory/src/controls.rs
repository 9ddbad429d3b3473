//! ComfyUI's memory controls: its flags, its states, its numbers, as limits and placements. Knows arithmetic only.

use crate::{
    format::{READ_TIMEOUT, Reading},
    pager::{Pager, Policy},
    provider::Provider,
};
use std::{fmt, time::Duration};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// ComfyUI's VRAM states. Each is a limit and a placement here, not a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VramState {
    /// There is no device: everything on the CPU.
    Disabled,
    /// Weights never stay on the device.
    NoVram,
    /// Weights stay in two fifths of the device at most (ComfyUI's weight ratio of 0.4).
    LowVram,
    /// Weights stay while activations leave room.
    #[default]
    NormalVram,
    /// Weights stay on the device and are not given up for the host.
    HighVram,
    /// Device and host share one memory.
    Shared,
}

/// Where something is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// The accelerator.
    Device,
    /// The host.
    Host,
}

/// What became of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It changed the controls.
    Done,
    /// ComfyUI knows it, and it has no use here; the text says why, for a warning.
    Unused(&'static str),
}

/// A flag that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Nobody knows it.
    #[error("{0} is not a memory flag")]
    Unknown(String),
    /// It wants a number and got something else, or nothing.
    #[error("{flag} wants {wants}, got `{found}`")]
    Value {
        /// The flag.
        flag: String,
        /// What it wants.
        wants: &'static str,
        /// What it got.
        found: String,
    },
}

/// All memory controls together.
///
/// ```
/// use kiln_memory::{Controls, Placement};
/// let mut controls = Controls::default();
/// controls.set("--lowvram", None)?;
/// controls.set("--reserve-vram", Some("1.5"))?;
/// assert_eq!(controls.reserved(24 << 30), 3 << 29);
/// assert_eq!(controls.text_encoder(), Placement::Host);
/// # Ok::<(), kiln_memory::ControlError>(())
/// ```
// Command-line switches are independent of each other: a bool each.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, PartialEq)]
pub struct Controls {
    /// The state that was asked for.
    pub state: VramState,
    /// At most so many bytes of the device for weights.
    pub vram_limit: Option<u64>,
    /// At most so many bytes of the host.
    pub ram_limit: Option<u64>,
    /// Bytes of the device left to others, instead of the usual.
    pub reserve: Option<u64>,
    /// Everything on the device, text encoders and results too.
    pub gpu_only: bool,
    /// The autoencoder on the host.
    pub cpu_vae: bool,
    /// Keep models that may be used again. Off: they go when their run ends.
    pub smart: bool,
    /// Streamed weights overlap with computing through so many slots; 0 is off.
    pub slots: u64,
    /// Staging memory may be page-locked.
    pub pinned: bool,
    /// Read streamed weights from disk rather than keep them in host memory when both would do.
    pub fast_disk: bool,
    /// How long a disk may give nothing before a read is given up and its run ends with an error; `None`: for ever.
    pub read_timeout: Option<Duration>,
    /// Residency per weight. Off: a model is on the device whole or not at all.
    pub dynamic: bool,
    /// Whether this is Windows, where the desktop takes more.
    pub windows: bool,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            state: VramState::default(),
            vram_limit: None,
            ram_limit: None,
            reserve: None,
            gpu_only: false,
            cpu_vae: false,
            smart: true,
            slots: 2,
            pinned: true,
            fast_disk: false,
            read_timeout: Some(READ_TIMEOUT),
            dynamic: true,
            windows: cfg!(windows),
        }
    }
}

impl Controls {
    /// Applies one command-line flag in ComfyUI's spelling (or Kiln's own `--vram-limit`, `--ram-limit`, `--read-timeout`).
    ///
    /// # Errors
    /// [`ControlError`] for a flag that nobody knows and for a value that isn't what the flag wants.
    pub fn set(&mut self, flag: &str, value: Option<&str>) -> Result<Applied, ControlError> {
        match flag {
            "--cpu" => self.state = VramState::Disabled,
            "--novram" => self.state = VramState::NoVram,
            "--lowvram" => self.state = VramState::LowVram,
            "--normalvram" => self.state = VramState::NormalVram,
            "--highvram" => self.state = VramState::HighVram,
            "--gpu-only" => (self.gpu_only, self.state) = (true, VramState::HighVram),
            "--cpu-vae" => self.cpu_vae = true,
            "--vram-limit" => self.vram_limit = Some(size(flag, value)?),
            "--ram-limit" => self.ram_limit = Some(size(flag, value)?),
            "--reserve-vram" | "--vram-headroom" => self.reserve = Some(gigabytes(flag, value)?),
            "--disable-smart-memory" => self.smart = false,
            "--async-offload" => self.slots = value.map_or(Ok(2), |v| count(flag, v))?,
            "--disable-async-offload" => self.slots = 0,
            "--disable-pinned-memory" => self.pinned = false,
            "--fast-disk" => self.fast_disk = true,
            "--disable-fast-disk" => self.fast_disk = false,
            "--read-timeout" => self.read_timeout = seconds(flag, value)?,
            "--enable-dynamic-vram" => self.dynamic = true,
            "--disable-dynamic-vram" => self.dynamic = false,
            other => return unused(other),
        }
        Ok(Applied::Done)
    }

    /// Bytes of a device of `total` bytes that are left to others: 400 MB, 600 MB on Windows, 100 MB more there from
    /// cards of more than 15 GB on.
    pub fn reserved(&self, total: u64) -> u64 {
        let windows = if total > 15 * 1024 * MIB { 700 * MIB } else { 600 * MIB };
        self.reserve.unwrap_or(if self.windows { windows } else { 400 * MIB })
    }

    /// What a computation is given at least, until its peak has been measured: 0.8 GiB and the reserve.
    pub fn minimum_inference(&self, total: u64) -> u64 {
        GIB / 5 * 4 + self.reserved(total)
    }

    /// How many bytes of weights may stay on a device of `total` bytes, of which `activations` are needed to compute.
    pub fn weights_limit(&self, total: u64, activations: u64) -> u64 {
        let left = total.saturating_sub(self.reserved(total)).saturating_sub(activations);
        let allowed = match self.state {
            VramState::Disabled | VramState::NoVram => 0,
            VramState::LowVram => left.min(total / 5 * 2).min(total.saturating_sub(self.minimum_inference(total))),
            VramState::NormalVram | VramState::HighVram | VramState::Shared => left,
        };
        allowed.min(self.vram_limit.unwrap_or(u64::MAX))
    }

    /// What has to be free before models that need `required` bytes are loaded: `required` × 1.1, and the larger of the
    /// minimum and what the computation needs with the reserve.
    pub fn free_before_loading(&self, total: u64, required: u64, activations: u64) -> u64 {
        let extra = self.minimum_inference(total).max(activations + self.reserved(total));
        required + required / 10 + extra
    }

    /// What is left for weights when `free` bytes of the device are, of which a computation needs `required`: at least the
    /// weight ratio's share of what is free beside the least that a computation is given, and less what the model
    /// has there already.
    pub fn low_vram_budget(&self, total: u64, free: u64, required: u64, loaded: u64) -> u64 {
        let share = (free / 5 * 2).min(free.saturating_sub(self.minimum_inference(total)));
        free.saturating_sub(required).max(share).saturating_sub(loaded)
    }

    /// What stays, for the pager: by plan, or without residency per weight what came first.
    pub fn policy(&self) -> Policy {
        if self.dynamic { Policy::Plan } else { Policy::AllResident }
    }

    /// How weight files are read: past the system's cache with `--fast-disk`, else as there is room.
    pub fn reading(&self) -> Reading {
        if self.fast_disk { Reading::PastCache } else { Reading::Auto }
    }

    /// Puts a device of `total` bytes, of which computing needs `activations`, under these controls: limit, slots,
    /// policy, and how files are read.
    pub fn apply<P: Provider>(&self, pager: &Pager<P>, total: u64, activations: u64) {
        pager.set_policy(self.policy());
        pager.set_slots(self.slots);
        pager.set_reading(self.reading());
        pager.set_read_timeout(self.read_timeout);
        pager.set_limit(self.weights_limit(total, activations));
    }

    /// Where the diffusion model is loaded at first: on the device if there is one and all of it fits what is free there.
    pub fn unet(&self, size: u64, free: u64) -> Placement {
        match self.state {
            VramState::Disabled | VramState::NoVram => Placement::Host,
            VramState::HighVram | VramState::Shared => Placement::Device,
            _ if self.smart && size < free => Placement::Device,
            _ => Placement::Host,
        }
    }

    /// Where the diffusion model's weights are when it doesn't run.
    pub fn unet_offload(&self) -> Placement {
        if self.state == VramState::HighVram { Placement::Device } else { Placement::Host }
    }

    /// Where text encoders run.
    pub fn text_encoder(&self) -> Placement {
        match self.state {
            _ if self.gpu_only => Placement::Device,
            VramState::NormalVram | VramState::HighVram => Placement::Device,
            VramState::Disabled | VramState::NoVram | VramState::LowVram | VramState::Shared => Placement::Host,
        }
    }

    /// Where text encoders' and autoencoders' weights are when they don't run, and results between nodes.
    pub fn offload(&self) -> Placement {
        if self.gpu_only { Placement::Device } else { Placement::Host }
    }

    /// Where the autoencoder runs.
    pub fn vae(&self) -> Placement {
        if self.cpu_vae || self.state == VramState::Disabled { Placement::Host } else { Placement::Device }
    }

    /// How much of a host of `ram` bytes may be page-locked: 95 %, 45 % on Windows.
    pub fn pinned_cap(&self, ram: u64) -> u64 {
        let percent = if self.windows { 45 } else { 95 };
        if self.pinned { ram / 100 * percent } else { 0 }
    }
}

fn unused(flag: &str) -> Result<Applied, ControlError> {
    const NO_USE: [(&str, &str); 9] = [
        ("--disable-mmap", "weights are used straight from the map; without it they would be copied"),
        ("--high-ram", "host memory is used as far as --ram-limit allows"),
        ("--disable-nvml-pressure", "no poller of that kind is used"),
        ("--disable-cuda-graphs", "no graphs are captured"),
        ("--disable-cuda-malloc", "the allocator is the backend's own"),
        ("--cuda-malloc", "the allocator is the backend's own"),
        ("--cuda-device", "choose the device when building the program's device table"),
        ("--default-device", "choose the device when building the program's device table"),
        ("--directml", "there is no such backend"),
    ];
    let known = NO_USE.iter().find(|(name, _)| *name == flag);
    known.map(|(_, why)| Applied::Unused(why)).ok_or_else(|| ControlError::Unknown(flag.to_owned()))
}

fn wrong(flag: &str, wants: &'static str, found: Option<&str>) -> ControlError {
    ControlError::Value { flag: flag.to_owned(), wants, found: found.unwrap_or("nothing").to_owned() }
}

fn count(flag: &str, value: &str) -> Result<u64, ControlError> {
    value.parse().map_err(|_| wrong(flag, "a number of slots", Some(value)))
}

/// Seconds; 0 is for ever.
fn seconds(flag: &str, value: Option<&str>) -> Result<Option<Duration>, ControlError> {
    let number = value.and_then(|v| v.parse::<f64>().ok()).filter(|n| (0.0..1e9).contains(n));
    let number = number.ok_or_else(|| wrong(flag, "a number of seconds", value))?;
    Ok((number > 0.0).then(|| Duration::from_secs_f64(number)))
}

/// GB as ComfyUI counts them: 1024³; or a size with a unit.
fn gigabytes(flag: &str, value: Option<&str>) -> Result<u64, ControlError> {
    if value.is_some_and(|v| v.ends_with(|c: char| c.is_ascii_alphabetic()) && !v.eq_ignore_ascii_case("nan")) {
        return size(flag, value);
    }
    let number = value.and_then(|v| v.parse::<f64>().ok()).filter(|n| (0.0..1e9).contains(n));
    number.map(|n| (n * GIB as f64) as u64).ok_or_else(|| wrong(flag, "a number of GB", value))
}

/// A size with a unit: `600M`, `2.5G`; without one it is bytes from 1024 on, and GB below, as ComfyUI's numbers are.
fn size(flag: &str, value: Option<&str>) -> Result<u64, ControlError> {
    let text = value.unwrap_or_default().trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        "" if digits.parse::<f64>().is_ok_and(|n| n < 1024.0) => Some(GIB),
        "" => Some(1),
        "K" => Some(1024),
        "M" => Some(MIB),
        "G" => Some(GIB),
        "T" => Some(1024 * GIB),
        _ => None,
    };
    let number = digits.parse::<f64>().ok().filter(|n| (0.0..1e15).contains(n));
    let bytes = number.zip(unit).map(|(n, unit)| (n * unit as f64) as u64);
    bytes.ok_or_else(|| wrong(flag, "a size like 600M or 2.5G", value))
}

impl fmt::Display for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} slots", self.state, self.slots)?;
        for (name, limit) in [("device", self.vram_limit), ("host", self.ram_limit), ("reserved", self.reserve)] {
            if let Some(limit) = limit {
                write!(f, ", {name} {}", crate::budget::human_bytes(limit))?;
            }
        }
        Ok(())
    }
}
