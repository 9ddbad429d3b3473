//! Cases without trained weights: randomness, tokens, schedules, samplers, conditioning, image operations.

mod analytic;
mod conds;
mod image;
mod noise;
mod numbers;
mod samplers;
mod schedules;
mod setup;
mod tensors;
mod texts;
mod tokens;
mod variants;

pub use tensors::{host, tensor};

use crate::case::Run;

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "noise.safetensors" => noise::noise,
        "seedsequence.json" => noise::seed_sequences,
        "tokenizer.json" => tokens::prompts,
        "tokens_random.json" => tokens::texts,
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
