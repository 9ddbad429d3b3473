//! What a schedule would move and keep, without moving or keeping anything: the real pager over no memory.
//! Knows sizes and a schedule; reads no weight.

use super::{
    counters::Counters, describe::Map, inner::Pager, pin::Acquisition, plan::Schedule, policy::Policy,
    state::ContentKey,
};
use crate::{
    budget::{Budget, Kind, human_bytes},
    format::{Dtype, TensorSource},
    provider::{NullProvider, ProviderError},
};
use std::fmt;

/// A model by its units' sizes, in order of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The name its weights are held under, as in the schedule.
    pub name: String,
    /// Bytes per unit as it would be kept.
    pub units: Vec<u64>,
}

/// What one run of one prompt moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The first time, with nothing here yet: run by run, bytes moved.
    pub first: Vec<(String, u64)>,
    /// The same again, as when only the text changed.
    pub again: Vec<(String, u64)>,
    /// Who would be where at the end of each run of the repeated prompt.
    pub during: Vec<Map>,
    /// Who would be where after that.
    pub map: Map,
}

impl Outline {
    /// A model of these unit sizes.
    pub fn new(name: impl Into<String>, units: impl Into<Vec<u64>>) -> Self {
        Self { name: name.into(), units: units.into() }
    }

    /// The tensors of a source that `belongs` takes, as they would be kept: decoded to f32. Those that are f32 in their
    /// file are used where they lie and take nothing.
    pub fn of(name: impl Into<String>, source: &dyn TensorSource, belongs: impl Fn(&str) -> bool) -> Self {
        let names = source.names().into_iter().filter(|tensor| belongs(tensor));
        let infos = names.filter_map(|tensor| source.info(tensor)).filter(|info| info.dtype != Dtype::F32);
        Self::new(name, infos.map(|info| info.elements() as u64 * 4).collect::<Vec<_>>())
    }

    fn total(&self) -> u64 {
        self.units.iter().sum()
    }
}

impl Forecast {
    /// Runs `schedule` twice over `models` under `limit` bytes.
    ///
    /// ```
    /// use kiln_memory::{Forecast, Outline, Policy, Schedule};
    /// let gib = |n: u64| vec![n << 24; 64]; // 64 units
    /// let models = [Outline::new("clip", gib(2)), Outline::new("unet", gib(6))];
    /// let prompt = Schedule::new().then("clip", 1).then("unet", 20);
    /// let forecast = Forecast::new(&models, prompt, 7 << 30, Policy::Plan)?;
    /// assert_eq!(forecast.again[1].1, 0); // the UNet stays whole
    /// assert_eq!(forecast.again[0].1, 1 << 30); // half of the text encoder is left to stream
    /// # Ok::<(), kiln_memory::ProviderError>(())
    /// ```
    ///
    /// # Errors
    /// When a unit is larger than this platform's address space.
    pub fn new(models: &[Outline], schedule: Schedule, limit: u64, policy: Policy) -> Result<Self, ProviderError> {
        let pager = Pager::new(NullProvider::default(), limit);
        pager.set_policy(policy);
        let budget = Budget::unlimited("forecast");
        let mut vbars = Vec::new();
        for model in models {
            let size = |bytes: u64| usize::try_from(bytes).map_err(|_| ProviderError::OutOfMemory);
            let vbar = pager.register(budget.account(&model.name, Kind::Weights), size(model.total())?)?;
            let units = model.units.iter().map(|b| vbar.add_unit(size(*b)?)).collect::<Result<Vec<_>, _>>()?;
            vbars.push((model.name.as_str(), vbar, units));
        }
        let runs = schedule.runs.clone();
        pager.set_schedule(schedule.repeating());
        let mut during = Vec::new();
        let mut prompt = || {
            during.clear();
            let run = |run: &crate::pager::Run| {
                let Some((_, vbar, units)) = vbars.iter().find(|(name, ..)| *name == run.model) else {
                    during.push(pager.describe());
                    return (run.model.clone(), 0);
                };
                let before = vbar.counters().moved();
                for unit in (0..run.passes).flat_map(|_| units) {
                    if let Acquisition::Fill(vacant) = vbar.acquire(*unit, ContentKey::UNPATCHED) {
                        drop(vacant.fill(&mut |_| Ok(())));
                    }
                }
                during.push(pager.describe());
                (run.model.clone(), vbar.counters().moved() - before)
            };
            runs.iter().map(run).collect()
        };
        let (first, again) = (prompt(), prompt());
        Ok(Self { first, again, during, map: pager.describe() })
    }

    /// All bytes of a repeated prompt.
    pub fn moved_again(&self) -> u64 {
        self.again.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24} {:>12} {:>12}", "moved by", "first time", "again")?;
        for ((name, first), (_, again)) in self.first.iter().zip(&self.again) {
            writeln!(f, "{name:24} {:>12} {:>12}", human_bytes(*first), human_bytes(*again))?;
        }
        for row in &self.map.rows {
            writeln!(f, "{}: {}", row.name, why(row))?;
        }
        write!(f, "{}", self.map)
    }
}

/// The reason for a model's placement, in a sentence.
fn why(row: &crate::pager::MapRow) -> String {
    let Counters { fills, streams, .. } = row.counters;
    let (kept, total) = (human_bytes(row.resident), human_bytes(row.total));
    match (row.resident == row.total, row.resident, streams) {
        (true, ..) => format!("fits and stays, all {total}"),
        (false, 0, _) if fills == 0 => format!("never stays: others need the room sooner; {total} streamed per pass"),
        (false, 0, _) => "has left: others needed the room".into(),
        _ => format!("{kept} of {total} stay, spread over the pass; the rest is streamed between them"),
    }
}
