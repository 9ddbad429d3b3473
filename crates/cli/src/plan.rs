//! The plan of an image: what of a weight file would stay in memory, what would be brought for each use, and why, before
//! anything runs.
//!
//! Knows sizes and a schedule; opens headers only.

use std::fmt;
use std::path::Path;

use kiln_memory::{Controls, Forecast, Map, Policy, ProviderError, Schedule, human_bytes};
use kiln_models::sampler::SamplerKind;
use kiln_models::{Component, Inventory, ModelError};
use kiln_nodes::runtime::weights_limit;

/// The image that is planned for.
#[derive(Debug, Clone)]
pub struct ImageRequest {
    /// Sampling steps.
    pub steps: u32,
    /// The sampler; some evaluate the model twice or three times per step.
    pub sampler: SamplerKind,
    /// Images at once.
    pub batch: u32,
}

/// What would happen to the weights of a file.
pub struct Plan {
    file: String,
    contents: Inventory,
    limit: u64,
    image: ImageRequest,
    /// Per part: how many passes it makes.
    passes: Vec<u32>,
    forecast: Forecast,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Of the file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A weight is larger than any memory of this platform.
    #[error("this file can't be used on this platform: {0}")]
    Platform(#[from] ProviderError),
}

impl Plan {
    /// The plan for an image from `file` under these memory controls.
    ///
    /// # Errors
    /// [`PlanError`], when the file can't be opened or holds no network that is known.
    pub fn new(file: &Path, controls: &Controls, image: ImageRequest) -> Result<Self, PlanError> {
        let contents = Inventory::of(file)?;
        let limit = weights_limit(controls).min(controls.ram_limit.unwrap_or(u64::MAX));
        let passes: Vec<u32> = contents.parts.iter().map(|part| image.passes(part.role)).collect();
        let schedule = contents
            .parts
            .iter()
            .zip(&passes)
            .fold(Schedule::new(), |schedule, (part, passes)| schedule.then(part.outline.name.clone(), *passes));
        let outlines: Vec<_> = contents.parts.iter().map(|part| part.outline.clone()).collect();
        let policy = if controls.dynamic { Policy::Plan } else { Policy::AllResident };
        let forecast = Forecast::new(&outlines, schedule, limit, policy)?;
        Ok(Self { file: file.display().to_string(), contents, limit, image, passes, forecast })
    }
}

impl ImageRequest {
    fn passes(&self, role: &str) -> u32 {
        match role {
            "unet" | "controlnet" => self.sampler.passes(self.steps),
            // Two texts.
            "clip" => 2,
            "vae" => self.batch,
            _ => 1,
        }
    }
}

/// Bytes of a model that are here.
fn resident(map: &Map, name: &str) -> u64 {
    map.rows.iter().filter(|row| row.name == name).map(|row| row.resident).sum()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.contents.family.map_or_else(String::new, |family| format!("{family}, "));
        let stored: u64 = self.contents.parts.iter().map(|part| part.stored).sum();
        writeln!(f, "{}: {kind}{} of weights in the file", self.file, human_bytes(stored))?;
        let ImageRequest { steps, sampler, batch } = &self.image;
        let images = if *batch == 1 { "one image".to_owned() } else { format!("{batch} images") };
        writeln!(
            f,
            "at most {} of them decoded in memory; {steps} steps of {}, {images}",
            human_bytes(self.limit),
            sampler.name()
        )?;
        self.table(f)?;
        writeln!(f)?;
        for i in 0..self.passes.len() {
            writeln!(f, "{}: {}", self.contents.parts[i].outline.name, self.reason(i))?;
        }
        self.totals(f)
    }
}

impl Plan {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.contents.parts.iter().map(|part| part.outline.name.chars().count()).max().unwrap_or(0).max(4);
        let heads = ["in the file", "decoded", "passes", "stay", "brought a pass"];
        write!(f, "\n{:width$}", "")?;
        heads.iter().try_for_each(|head| write!(f, "  {head:>14}"))?;
        writeln!(f)?;
        for (i, part) in self.contents.parts.iter().enumerate() {
            let passes = self.passes[i].to_string();
            let cells = [
                human_bytes(part.stored),
                human_bytes(part.decoded()),
                passes,
                human_bytes(self.kept(i)),
                human_bytes(self.brought(i)),
            ];
            write!(f, "{:width$}", part.outline.name)?;
            cells.iter().try_for_each(|cell| write!(f, "  {cell:>14}"))?;
            writeln!(f)?;
        }
        Ok(())
    }

    /// Bytes that are here while the part runs. What is in memory is counted in whole pages.
    fn kept(&self, i: usize) -> u64 {
        let part = &self.contents.parts[i];
        self.forecast.during.get(i).map_or(0, |map| resident(map, &part.outline.name)).min(part.decoded())
    }

    /// Bytes brought in each pass of an image after the first.
    fn brought(&self, i: usize) -> u64 {
        self.forecast.again.get(i).map_or(0, |(_, bytes)| bytes / u64::from(self.passes[i].max(1)))
    }

    /// Why a part is where it is, in a sentence.
    fn reason(&self, i: usize) -> String {
        let part = &self.contents.parts[i];
        let (kept, decoded, passes) = (self.kept(i), part.decoded(), self.passes[i]);
        let stays = resident(&self.forecast.map, &part.outline.name).min(decoded);
        let own = own_words(part);
        let placed = if decoded == 0 {
            "nothing of it has to be decoded".to_owned()
        } else if kept == decoded && stays == decoded {
            "fits, and stays from image to image".to_owned()
        } else if kept == decoded {
            let gone = human_bytes(decoded - stays);
            format!(
                "fits while it runs; {gone} of it give way to what is used sooner, and come again for the next image"
            )
        } else if self.limit == 0 {
            "nothing may stay: each weight is brought for each use".to_owned()
        } else if kept == 0 {
            "no room for it beside what is used sooner: each weight is brought for each use".to_owned()
        } else if passes > 1 {
            format!(
                "larger than its room: {} stay, spread evenly over a pass; the rest is brought between them, in each of \
                 {passes} passes",
                human_bytes(kept)
            )
        } else {
            format!("{} find room beside what is used sooner; the rest is brought for its one use", human_bytes(kept))
        };
        format!("{placed}{own}")
    }

    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |runs: &[(String, u64)]| runs.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let (first, again) = (human_bytes(sum(&self.forecast.first)), human_bytes(sum(&self.forecast.again)));
        writeln!(f, "\nfirst image: {first} decoded; with another text: {again}")?;
        let Some(unet) = self.contents.parts.iter().position(|part| part.role == "unet") else { return Ok(()) };
        let part = &self.contents.parts[unet];
        let per_step = self.brought(unet) * u64::from(self.passes[unet]) / u64::from(self.image.steps.max(1));
        let file = (per_step as f64 * part.stored as f64 / part.decoded().max(1) as f64) as u64;
        writeln!(f, "a step: {} decoded, {} of the file read", human_bytes(per_step), human_bytes(file))
    }
}

/// What a part has beside the weights that are decoded.
fn own_words(part: &Component) -> String {
    let words =
        |bytes: u64, what: &str| if bytes > 0 { format!(" ({} {what})", human_bytes(bytes)) } else { String::new() };
    let tables = words(part.tables, "are tables of which single rows are taken from the file");
    tables + &words(part.in_place, "are used where they lie in the file")
}
