//! The environment: what the embedding program lends to these nodes. Folders, the device, memory budgets, choices.
//!
//! One value per engine, no globals. Knows no node.

use std::sync::Arc;

use burn::tensor::Device;
use kiln_exec::{Cx, Host, NodeError};
use kiln_memory::{
    Budget, Controls, HostPager, Kind, OutOfMemory, Policy, PressureMonitor, Reservation, VramState, available_memory,
    total_memory,
};
use kiln_models::detect::families;
use kiln_models::family::Families;
use kiln_models::tokenizer::Vocabularies;

use crate::files::Folders;

/// Everything that nodes need besides their inputs. Given to an engine as a service of its [`Host`].
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "switches that have nothing to do with each other")]
pub struct Environment {
    folders: Arc<Folders>,
    device: Device,
    memory: Memory,
    previews: bool,
    tiny_previews: bool,
    metadata: bool,
    /// What model files are looked up in.
    families: Arc<Families>,
    background_class: bool,
    /// Read once, when the first prompt is encoded.
    vocabularies: Vocabularies,
}

/// The host's memory: how much, what of it weights may keep, who else needs some.
#[derive(Debug, Clone)]
struct Memory {
    controls: Controls,
    budget: Arc<Budget>,
    /// Held here so that its settings outlive the models.
    pager: HostPager,
    pressure_monitor: Arc<PressureMonitor>,
}

/// Bytes of decoded weights that stay on the CPU unless something else is asked for. The file's own numbers are in the
/// system's cache of it anyway; what stays decoded saves the decoding, which is little beside a step at 512x512 (README,
/// "Less memory than the model").
const DECODED: u64 = 1 << 30;

impl Memory {
    fn new(controls: Controls, budget: Arc<Budget>) -> Self {
        let pager = HostPager::of(&budget);
        let total = total_memory().unwrap_or(u64::MAX);
        pager.set_limit(weights_limit(&controls));
        pager.set_slots(controls.slots);
        pager.set_policy(if controls.dynamic { Policy::Plan } else { Policy::AllResident });
        pager.set_reading(controls.reading());
        pager.set_read_timeout(controls.read_timeout);
        let pressure_monitor = PressureMonitor::new(budget.clone(), controls.reserved(total));
        // A limit that was asked for is one of the whole process.
        let whole = controls.ram_limit.is_some();
        let pressure_monitor = if whole { pressure_monitor.counting_the_process() } else { pressure_monitor };
        let pressure_monitor = Arc::new(pressure_monitor);
        Self { controls, budget, pager, pressure_monitor }
    }
}

/// How many bytes of weights stay decoded on the CPU of this machine.
pub fn weights_limit(controls: &Controls) -> u64 {
    let total = total_memory().unwrap_or(u64::MAX);
    let usual = match controls.state {
        VramState::NoVram => 0,
        VramState::LowVram => controls.weights_limit(total, 0).min(DECODED / 5 * 2),
        VramState::HighVram => total,
        VramState::Disabled | VramState::NormalVram | VramState::Shared => DECODED,
    };
    controls.vram_limit.unwrap_or(usual)
}

impl Environment {
    /// An environment that works in `folders`, on the CPU, with the memory there is ([`Controls`]' defaults), with previews and
    /// with the graph stored in images.
    pub fn new(folders: Folders) -> Self {
        Self {
            folders: Arc::new(folders),
            device: Device::flex(),
            memory: Memory::new(Controls::default(), Budget::unlimited("host memory")),
            previews: true,
            tiny_previews: false,
            metadata: true,
            families: Arc::new(families()),
            vocabularies: Vocabularies::default(),
            background_class: true,
        }
    }

    /// With tensors on another device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// With weights and outputs held to `budget`, which also reports who holds what.
    pub fn with_budget(self, budget: Arc<Budget>) -> Self {
        Self { memory: Memory::new(self.memory.controls, budget), ..self }
    }

    /// Under other memory controls, with a new budget for what they allow. As long as there is no accelerator
    /// the CPU is the device that `vram_limit` and the VRAM states speak of: they bound the decoded weights that stay,
    /// `ram_limit` bounds everything.
    pub fn with_controls(self, controls: Controls) -> Self {
        let budget = Budget::new("host memory", controls.ram_limit.unwrap_or(u64::MAX));
        Self { memory: Memory::new(controls, budget), ..self }
    }

    /// With another table of families: those that Kiln brings along and an app's own, as
    /// [`Families::with`] joins them.
    pub fn with_families(self, families: Families) -> Self {
        Self { families: Arc::new(families), ..self }
    }

    /// With or without small images of every sampling step.
    pub fn with_previews(self, previews: bool) -> Self {
        Self { previews, ..self }
    }

    /// With previews painted by the family's tiny decoder (`taesd_decoder`, `taesdxl_decoder` in the folder
    /// `vae_approx`) where there is one: eight times as wide and high as one pixel per cell, and slower.
    pub fn with_tiny_previews(self, tiny_previews: bool) -> Self {
        Self { tiny_previews, ..self }
    }

    /// With or without the graph stored in the images it makes.
    pub fn with_metadata(self, metadata: bool) -> Self {
        Self { metadata, ..self }
    }

    /// With or without an empty class beside a detector's only one in nodes of packs, which have no input for it. Detectors
    /// were trained with empty classes and find little without one; the packs themselves don't add any.
    pub fn with_background_class(self, background_class: bool) -> Self {
        Self { background_class, ..self }
    }

    /// Where everything lies.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Where tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The budget that weights, outputs and caches count against.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.memory.budget
    }

    /// What decides which weights stay.
    pub fn pager(&self) -> &HostPager {
        &self.memory.pager
    }

    /// The memory controls in force.
    pub fn controls(&self) -> &Controls {
        &self.memory.controls
    }

    /// Who keeps the budget within what the machine can spare. A [`MemoryObserver`](crate::runtime::MemoryObserver) polls it during runs.
    pub fn pressure_monitor(&self) -> &Arc<PressureMonitor> {
        &self.memory.pressure_monitor
    }

    /// Whether sampling shows its steps.
    pub fn previews(&self) -> bool {
        self.previews
    }

    /// The families that model files are looked up in.
    pub fn families(&self) -> &Families {
        &self.families
    }

    /// Whether a tiny decoder paints the previews.
    pub fn tiny_previews(&self) -> bool {
        self.tiny_previews
    }

    /// Whether images carry the graph that made them.
    pub fn metadata(&self) -> bool {
        self.metadata
    }

    /// Whether nodes of packs ask for an empty class beside an only one.
    pub fn background_class(&self) -> bool {
        self.background_class
    }

    /// The words that prompts are cut into, for encoders that bring none along.
    pub fn vocabularies(&self) -> &Vocabularies {
        &self.vocabularies
    }

    /// Room for a computation, on a machine that has `available` bytes left.
    fn room(&self, holder: &str, bytes: u64, available: Option<u64>) -> Result<Reservation, OutOfMemory> {
        let account = self.budget().account(holder, Kind::Activations);
        if let Some(available) = available {
            self.pressure_monitor().adjust(available);
        }
        match account.claim(bytes) {
            Err(short) if available.is_none_or(|available| bytes <= available) => {
                tracing::warn!("{short}; it goes on beyond the limit");
                Ok(account.take(bytes))
            }
            answer => answer,
        }
    }
}

/// The environment of a running node.
pub trait CxExt {
    /// # Errors
    /// When the engine's host lends none.
    fn environment(&self) -> Result<Arc<Environment>, NodeError>;

    /// Room for what a computation (`sampling`, `decoding`) holds while it runs: caches and weights give way to it. Beyond
    /// a limit that was set it is counted all the same, with a warning; results come before limits.
    ///
    /// # Errors
    /// When the machine itself has not so much left: the message names the largest holders and what would help.
    fn room(&self, doing: &str, bytes: u64, instead: &str) -> Result<Reservation, NodeError>;
}

impl CxExt for Cx {
    fn environment(&self) -> Result<Arc<Environment>, NodeError> {
        self.host()
    }

    fn room(&self, doing: &str, bytes: u64, instead: &str) -> Result<Reservation, NodeError> {
        let environment = self.environment()?;
        let holder = format!("{doing} \"{}\"", self.node_id());
        environment.pressure_monitor().count_the_process();
        environment
            .room(&holder, bytes, available_memory())
            .map_err(|short| NodeError::new(format!("{short}. {instead}")))
    }
}

/// The names of all models of `kind`, for a combo; empty without an environment.
pub(crate) fn models(host: &Host, kind: &str) -> Vec<String> {
    host.get::<Environment>().map(|environment| environment.folders().models(kind)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(ram: Option<u64>) -> Environment {
        Environment::new(Folders::under("nowhere")).with_controls(Controls { ram_limit: ram, ..Controls::default() })
    }

    #[test]
    fn a_computation_may_go_beyond_the_limit_but_not_beyond_the_machine() {
        let environment = environment(Some(100 << 20));
        let held = environment.budget().account("KSampler \"3\"", Kind::Outputs).take(60 << 20);
        drop(environment.room("decoding \"6\"", 200 << 20, Some(4 << 30)).unwrap());
        assert_eq!(environment.budget().report().peak, 260 << 20);
        let short = environment.room("decoding \"6\"", 8 << 30, Some(4 << 30)).unwrap_err().to_string();
        for part in ["decoding \"6\" asked for 8.0 GiB of activations", "KSampler \"3\" (outputs, 60.0 MiB)"] {
            assert!(short.contains(part), "{short}");
        }
        drop(held);
    }

    #[test]
    fn each_state_bounds_what_stays_decoded_on_the_cpu() {
        let limit = |controls: Controls| weights_limit(&controls);
        let with = |state| Controls { state, ..Controls::default() };
        assert_eq!(limit(Controls::default()), DECODED);
        assert_eq!(limit(with(VramState::NoVram)), 0);
        assert_eq!(limit(with(VramState::LowVram)), DECODED / 5 * 2);
        assert!(limit(with(VramState::HighVram)) > DECODED);
        assert_eq!(limit(Controls { vram_limit: Some(7), ..with(VramState::HighVram) }), 7);
    }
}
