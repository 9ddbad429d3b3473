//! The plan of a graph: who would hold how much weight memory while it runs, and what would be brought again and again.
//!
//! Knows sizes and the graph's schedule; opens headers only.

use std::collections::HashMap;
use std::fmt;

use kiln_exec::Registry;
use kiln_graph::{NodeDefs, Prompt};
use kiln_memory::{Controls, Forecast, Policy, ProviderError, Schedule, human_bytes};
use kiln_models::{Component, Inventory};
use kiln_nodes::files::Folders;
use kiln_nodes::runtime::{ModelSchedule, weights_limit};

use crate::named_files::named_files;

/// Who would hold what while a graph runs.
pub struct GraphPlan {
    file: String,
    limit: u64,
    rows: Vec<Holder>,
    /// The most that all of them hold at once.
    peak: u64,
    first: u64,
    again: u64,
    /// Models that the graph uses and whose files can't be looked into.
    unknown: Vec<String>,
}

/// The weights of one network.
struct Holder {
    name: String,
    stored: u64,
    decoded: u64,
    passes: u64,
    /// The most of it that is here at once.
    held: u64,
    /// Bytes brought when the graph runs again with another text.
    brought: u64,
}

impl GraphPlan {
    /// The plan of a prompt from `file` under these memory controls.
    ///
    /// # Errors
    /// When a weight is larger than any memory of this platform.
    pub fn new(
        file: &str,
        prompt: &Prompt,
        registry: &Registry,
        definitions: &NodeDefs,
        folders: &Folders,
        controls: &Controls,
    ) -> Result<Self, ProviderError> {
        let files = named_files(prompt, definitions, folders);
        let contents = files.iter().filter(|file| file.is_model).filter_map(|file| Inventory::of(&file.path).ok());
        let mut known: HashMap<String, Component> = HashMap::new();
        known.extend(contents.flat_map(|found| found.parts).map(|part| (part.outline.name.clone(), part)));
        let all = ModelSchedule::of(registry, prompt).schedule(&[]);
        let is_known = |run: &&kiln_memory::Run| known.contains_key(&run.model);
        let mut unknown: Vec<String> =
            all.runs.iter().filter(|run| !is_known(run)).map(|run| run.model.clone()).collect();
        unknown.sort();
        unknown.dedup();
        let runs = all.runs.iter().filter(is_known);
        let schedule = runs.fold(Schedule::new(), |schedule, run| schedule.then(&run.model, run.passes));
        let mut used: Vec<&Component> = Vec::new();
        for part in schedule.runs.iter().filter_map(|run| known.get(&run.model)) {
            if !used.iter().any(|known| known.outline.name == part.outline.name) {
                used.push(part);
            }
        }
        let limit = weights_limit(controls).min(controls.ram_limit.unwrap_or(u64::MAX));
        let policy = if controls.dynamic { Policy::Plan } else { Policy::AllResident };
        let outlines: Vec<_> = used.iter().map(|part| part.outline.clone()).collect();
        let forecast = Forecast::new(&outlines, schedule.clone(), limit, policy)?;
        let rows = used.into_iter().map(|part| Holder::of(part, &schedule, &forecast)).collect();
        let sum = |moved: &[(String, u64)]| moved.iter().map(|(_, bytes)| bytes).sum();
        let peak = forecast.during.iter().map(|map| map.rows.iter().map(|row| row.resident).sum()).max().unwrap_or(0);
        let (first, again) = (sum(&forecast.first), sum(&forecast.again));
        Ok(Self { file: file.to_owned(), limit, rows, peak, first, again, unknown })
    }
}

impl Holder {
    fn of(part: &Component, schedule: &Schedule, forecast: &Forecast) -> Self {
        let name = &part.outline.name;
        let resident =
            |map: &kiln_memory::Map| map.rows.iter().find(|row| row.name == *name).map_or(0, |row| row.resident);
        let passes = schedule.runs.iter().filter(|run| run.model == *name).map(|run| u64::from(run.passes)).sum();
        let brought = forecast.again.iter().filter(|(model, _)| model == name).map(|(_, bytes)| bytes).sum();
        let held = forecast.during.iter().map(resident).max().unwrap_or(0).min(part.decoded());
        Self { name: name.clone(), stored: part.stored, decoded: part.decoded(), passes, held, brought }
    }

    fn cells(&self) -> [String; 5] {
        let Self { stored, decoded, passes, held, brought, .. } = *self;
        [human_bytes(stored), human_bytes(decoded), passes.to_string(), human_bytes(held), human_bytes(brought)]
    }
}

impl fmt::Display for GraphPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() && self.unknown.is_empty() {
            return writeln!(f, "{}: no node of it runs a model", self.file);
        }
        writeln!(f, "{}: at most {} of weights decoded in memory", self.file, human_bytes(self.limit))?;
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(6);
        let heads = ["in the file", "decoded", "passes", "holds at most", "brought again"];
        write!(f, "\n{:width$}", "holder")?;
        heads.iter().try_for_each(|head| write!(f, "  {head:>14}"))?;
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:width$}", row.name)?;
            row.cells().iter().try_for_each(|cell| write!(f, "  {cell:>14}"))?;
            writeln!(f)?;
        }
        writeln!(f, "\nall weights at once: {} at most", human_bytes(self.peak))?;
        let (first, again) = (human_bytes(self.first), human_bytes(self.again));
        writeln!(f, "first run: {first} decoded; with another text: {again}")?;
        if !self.unknown.is_empty() {
            writeln!(f, "not counted, no such file or no network that is known: {}", self.unknown.join(", "))?;
        }
        writeln!(
            f,
            "images, latents and what computing holds come on top; `kiln run --memory-report` says how much they took"
        )
    }
}
