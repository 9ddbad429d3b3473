//! Cases without trained weights: randomness, tokens, schedules, samplers, conditioning, image operations.

mod analytic;
mod conds;
mod image;
mod noise;
mod samplers;
mod schedules;
mod setup;
mod texts;
mod tokens;
mod variants;

pub use setup::{host, tensor};

use crate::case::{CaseResult, Run, Status};

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "noise.safetensors" => noise::noise,
        "seedsequence.json" => noise::seed_sequences,
        "tokenizer.json" => tokens::prompts,
        "schedules.safetensors" => schedules::schedules,
        "fake_denoise.safetensors" => analytic::checks,
        "samplers_variants.safetensors" => variants::variants,
        "samplers_meta.json" => samplers::calls,
        "conds.safetensors" => conds::results,
        "conds_meta.json" => conds::calls,
        "imageops.safetensors" => image::operations,
        "clip_l_sd15.safetensors" => texts::clip_l,
        "sdxl.safetensors" => texts::sdxl,
        "ksampler_sd15.safetensors" => texts::whole_runs,
        _ if file.starts_with("samplers_") && file.ends_with(".safetensors") => samplers::results,
        _ => return None,
    })
}

/// One verdict for several comparisons: the worst of each error.
pub fn merged(name: impl Into<String>, parts: Vec<CaseResult>) -> CaseResult {
    let tolerance = parts.iter().map(|p| p.tolerance).fold(0.0, f64::max);
    let worst = |part: fn(&CaseResult) -> f64| parts.iter().map(part).fold(0.0, f64::max);
    let mut all = CaseResult::verdict(name.into(), worst(|p| p.max_rel), worst(|p| p.rms_rel), tolerance);
    for part in parts {
        if part.status == Status::Failed {
            all.status = Status::Failed;
            let note = if part.note.is_empty() { "too far off" } else { &part.note };
            all.note = format!("{}{}: {note}; ", all.note, part.name);
        }
    }
    all
}

/// The numbers in a name, in order: `area_64x96_at_x32` holds 64, 96 and 32, `combine_0.9_-0.1` 0.9 and -0.1.
pub fn numbers(name: &str) -> Vec<f64> {
    let digits = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    name.split(|c| !digits(c)).map(|part| part.trim_matches('.')).filter_map(|part| part.parse().ok()).collect()
}
