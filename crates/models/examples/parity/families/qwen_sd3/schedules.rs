//! Noise levels of the families and of the nodes that set others.

use kiln_memory::Dtype;
use kiln_models::schedule::{Levels, ModelSampling, ScheduleError, Scheduler};

use crate::case::{CaseResult, Folder, Tensors, Trouble};

const LEVELS: f64 = 1e-6;
/// Parts of a run at which percentages were probed.
const PERCENTS: [f64; 7] = [0.0, 0.01, 0.1, 0.15, 0.5, 0.9, 1.0];

/// What `qwen_default`, `qwen_auraS`, `sd3_default` and `sd3_shiftS` are.
fn kind(name: &str) -> Result<ModelSampling, Trouble> {
    if let Some(shift) = name.strip_prefix("qwen_aura") {
        return Ok(ModelSampling::flow(shift.parse()?, 1.0));
    }
    if let Some(shift) = name.strip_prefix("sd3_shift") {
        return Ok(ModelSampling::flow(shift.parse()?, 1000.0));
    }
    match name {
        "qwen_default" => Ok(ModelSampling::flux(1.15)),
        "sd3_default" => Ok(ModelSampling::flow(3.0, 1000.0)),
        _ => Err(format!("`{name}` isn't known").into()),
    }
}

/// Every tensor; what it is is in its name, after the kind.
pub fn schedules(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (tensors, params) = (folder.tensors(file)?, folder.entry(file).params);
    let kinds: Vec<&str> = params
        .get("kinds")
        .and_then(|kinds| kinds.as_array())
        .into_iter()
        .flatten()
        .filter_map(|kind| kind.as_str())
        .collect();
    let mut results = Vec::new();
    for name in tensors.names() {
        let Some(kind) = kinds.iter().find(|kind| name.starts_with(&format!("{kind}."))) else { continue };
        match judge(&tensors, kind, &name[kind.len() + 1..]) {
            Ok(result) => results.extend(result),
            Err(trouble) => results.push(CaseResult::broken(name, trouble)),
        }
    }
    Ok(results)
}

fn judge(tensors: &Tensors, kind: &str, what: &str) -> Result<Option<CaseResult>, Trouble> {
    let (name, levels) = (format!("{kind}.{what}"), self::kind(kind)?.levels);
    let expected = expected(tensors, &name)?;
    let found: Vec<f32> = match what {
        "probe.in" => return Ok(None),
        "probe.timestep" => {
            tensors.floats(&format!("{kind}.probe.in"))?.into_iter().map(|sigma| levels.timestep(sigma)).collect()
        }
        "percent_to_sigma" => PERCENTS.iter().map(|percent| levels.percent_to_sigma(*percent) as f32).collect(),
        "table_last" => levels.sigmas().last().copied().into_iter().collect(),
        _ => match scheduled(&levels, what)? {
            Err(ScheduleError::KlOptimal) if expected.iter().any(|v| v.is_nan()) => {
                return Ok(Some(CaseResult::exact(name, true, "")));
            }
            other => other?,
        },
    };
    Ok(Some(CaseResult::near(name, &found, &expected, LEVELS)))
}

/// `table_everyN`, or `SCHEDULER.STEPS`.
fn scheduled(levels: &Levels, what: &str) -> Result<Result<Vec<f32>, ScheduleError>, Trouble> {
    if let Some(step) = what.strip_prefix("table_every") {
        return Ok(Ok(levels.sigmas().iter().copied().step_by(step.parse::<usize>()?.max(1)).collect()));
    }
    let (scheduler, steps) = what.rsplit_once('.').ok_or("no steps in the name")?;
    Ok(scheduler.parse::<Scheduler>()?.sigmas(levels, steps.parse()?))
}

fn expected(tensors: &Tensors, name: &str) -> Result<Vec<f32>, Trouble> {
    if tensors.dtype(name)? != Dtype::F64 {
        return tensors.floats(name);
    }
    let number = |chunk: &[u8]| chunk.try_into().map(f64::from_le_bytes).unwrap_or_default() as f32;
    Ok(tensors.bytes(name)?.chunks_exact(8).map(number).collect())
}
