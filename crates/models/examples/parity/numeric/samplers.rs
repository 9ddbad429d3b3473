//! Every sampler on the analytic model: result, what the callback saw, which levels were evaluated.

use serde_json::Value;

use super::setup::Setup;
use crate::case::{CaseResult, Folder, Status, Trouble};

/// Dozens of steps in f32.
const TOLERANCE: f64 = 1e-4;
/// Its step size follows an error estimate, which amplifies rounding.
const ADAPTIVE: f64 = 1e-3;

pub fn tolerance(sampler: &str) -> f64 {
    if sampler == "dpm_adaptive" { ADAPTIVE } else { TOLERANCE }
}

/// `samplers_*`: `NAME.out`, and `NAME.x`, `NAME.denoised` as the callback saw them.
pub fn results(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let setup = Setup::new(&folder.entry(file).params)?;
    let tensors = folder.tensors(file)?;
    let names = tensors.names();
    let samplers = names.iter().filter_map(|name| name.strip_suffix(".out"));
    let judge = |sampler: &str| -> Result<CaseResult, Trouble> {
        let trace = setup.run(sampler)?.trace()?;
        let mut parts = Vec::new();
        for (what, found) in [("out", &trace.latent), ("x", &trace.x), ("denoised", &trace.denoised)] {
            let name = format!("{sampler}.{what}");
            if tensors.has(&name) {
                parts.push(CaseResult::compare(what, found, &tensors.floats(&name)?, tolerance(sampler)));
            }
        }
        Ok(merged(sampler, parts))
    };
    Ok(samplers.map(|sampler| judge(sampler).unwrap_or_else(|trouble| CaseResult::broken(sampler, trouble))).collect())
}

/// `samplers_meta.json`: the evaluations of each sampler, `MODEL.SCHEDULER.SAMPLER`.
pub fn calls(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let json = folder.json(file)?;
    let cases = json.as_object().ok_or("no object")?;
    let setups = setups(folder);
    let judge = |(name, expected): (&String, &Value)| {
        let run = setups.iter().find_map(|(prefix, setup)| Some((setup, name.strip_prefix(prefix.as_str())?)));
        let Some((setup, sampler)) = run else {
            return Ok(CaseResult::skipped(name, "no file of samplers has these parameters"));
        };
        let trace = setup.run(sampler)?.trace()?;
        let sigmas: Vec<f32> =
            expected["call_sigmas"].as_array().into_iter().flatten().filter_map(|v| Some(v.as_f64()? as f32)).collect();
        let found: Vec<f32> = trace.calls.iter().map(|call| call.0).collect();
        let tolerance = if sampler == "dpm_adaptive" { 1e-2 } else { 1e-5 };
        let worst = found.iter().zip(&sigmas).map(|(a, b)| f64::from((a - b).abs() / b.abs())).fold(0.0, f64::max);
        let mut result = CaseResult::verdict(name.clone(), worst, worst, tolerance);
        let batch = expected["call_batch"].as_u64().unwrap_or(0) as usize;
        let faults = [
            (found.len() != sigmas.len(), format!("{} evaluations instead of {}", found.len(), sigmas.len())),
            (trace.calls.iter().any(|call| call.1 != batch), format!("a batch isn't {batch}")),
            (
                expected["steps_reported"].as_u64() != Some(trace.shown as u64),
                format!("{} callbacks instead of {}", trace.shown, expected["steps_reported"]),
            ),
        ];
        for (_, fault) in faults.into_iter().filter(|(wrong, _)| *wrong) {
            result = CaseResult::broken(name, fault);
        }
        Ok::<_, Trouble>(result)
    };
    Ok(cases.iter().map(|case| judge(case).unwrap_or_else(|trouble| CaseResult::broken(case.0, trouble))).collect())
}

/// Parameters of each file of samplers, by the prefix its names have in the meta file.
fn setups(folder: &Folder) -> Vec<(String, Setup)> {
    let files = folder.files().filter(|file| file.starts_with("samplers_") && file.ends_with(".safetensors"));
    let setup = |file: &str| {
        let params = folder.entry(file).params;
        let model = params["model_sampling"].as_str()?.to_owned();
        let shift = params["shift"].as_f64().map_or_else(String::new, |shift| format!("_shift{shift}"));
        let scheduler = params["scheduler"].as_str()?.to_owned();
        let setup = Setup::new(&params).ok().filter(|_| !file.contains("variants"))?;
        Some((format!("{model}{shift}.{scheduler}."), setup))
    };
    files.filter_map(setup).collect()
}

/// One verdict for several comparisons: the worst of each error.
fn merged(name: impl Into<String>, parts: Vec<CaseResult>) -> CaseResult {
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
