//! Noise levels: tables, schedulers, probes, KSampler's cuts, the scheduler nodes.

use kiln_models::sampler::SamplerKind;
use kiln_models::schedule::{Levels, ScheduleError, Scheduler, levels, steps};

use serde_json::Value;

use super::numbers::numbers;
use super::setup::model_sampling;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

const TOLERANCE: f64 = 1e-6;

/// Parts of a run at which percentages were probed.
fn percents(params: &Value) -> Vec<f64> {
    let given = params.get("percents").and_then(Value::as_array);
    given.map_or_else(
        || vec![0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0],
        |list| list.iter().filter_map(Value::as_f64).collect(),
    )
}

/// Every tensor of `schedules`; what it is is in its name.
pub fn schedules(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (tensors, params) = (folder.tensors(file)?, folder.entry(file).params);
    let mut results = Vec::new();
    for name in tensors.names() {
        results
            .extend(judge(&tensors, &params, name).unwrap_or_else(|trouble| Some(CaseResult::broken(name, trouble))));
    }
    Ok(results)
}

fn judge(tensors: &Tensors, params: &Value, name: &str) -> Result<Option<CaseResult>, Trouble> {
    let expected = tensors.floats(name)?;
    let found = if let Some(rest) = name.strip_prefix("get_sigmas_") {
        formula(rest, params)?
    } else if let Some(rest) = name.strip_prefix("ksampler.") {
        ksampler(rest, params)?
    } else if name.ends_with(".probe.sigma") || name.ends_with(".probe.t") {
        return Ok(None);
    } else if let Some((model, what)) = name.split_once(".table.") {
        let levels = self::model(model, params)?;
        if what == "log_sigmas" { levels.log_sigmas().to_vec() } else { levels.sigmas().to_vec() }
    } else if let Some((model, what)) = name.split_once(".probe.") {
        probe(tensors, params, model, what)?
    } else {
        match scheduled(name, params)? {
            Err(ScheduleError::KlOptimal) if expected.iter().any(|v| v.is_nan()) => {
                let refused = CaseResult::exact(name, true, "");
                return Ok(Some(CaseResult { note: "not a number there, refused here".to_owned(), ..refused }));
            }
            other => other?,
        }
    };
    Ok(Some(compare(name, &found, &expected)))
}

fn model(name: &str, params: &Value) -> Result<Levels, Trouble> {
    Ok(model_sampling(name, params)?.levels)
}

/// `MODEL.SCHEDULER.STEPS`.
fn scheduled(name: &str, params: &Value) -> Result<Result<Vec<f32>, ScheduleError>, Trouble> {
    let (rest, steps) = name.rsplit_once('.').ok_or("no steps in the name")?;
    let (model, scheduler) = rest.rsplit_once('.').ok_or("no scheduler in the name")?;
    Ok(scheduler.parse::<Scheduler>()?.sigmas(&self::model(model, params)?, steps.parse()?))
}

/// `SAMPLER.SCHEDULER.STEPS.denoiseD`.
fn ksampler(rest: &str, params: &Value) -> Result<Vec<f32>, Trouble> {
    let (head, denoise) = rest.split_once(".denoise").ok_or("no denoise in the name")?;
    let [sampler, scheduler, count] = head.split('.').collect::<Vec<_>>()[..] else {
        return Err("not SAMPLER.SCHEDULER.STEPS".into());
    };
    let discard = SamplerKind::named(sampler)?.discards_penultimate();
    let name = params.get("model_sampling").and_then(Value::as_str).unwrap_or("sd15");
    Ok(steps::sigmas(&model(name, params)?, scheduler.parse()?, count.parse()?, denoise.parse()?, discard)?)
}

fn probe(tensors: &Tensors, params: &Value, model: &str, what: &str) -> Result<Vec<f32>, Trouble> {
    let levels = self::model(model, params)?;
    let at = |probe: &str| tensors.floats(&format!("{model}.probe.{probe}"));
    Ok(match what {
        "timestep" => at("sigma")?.into_iter().map(|sigma| levels.timestep(sigma)).collect(),
        "sigma_of_t" => at("t")?.into_iter().map(|t| levels.sigma(t)).collect(),
        "percent_to_sigma" => percents(params).iter().map(|p| levels.percent_to_sigma(*p) as f32).collect(),
        _ => return Err(format!("`{what}` isn't known").into()),
    })
}

/// `NAME.N[.MIN.MAX[.rhoR]]`, where the numbers may hold dots themselves.
fn formula(rest: &str, params: &Value) -> Result<Vec<f32>, Trouble> {
    let (name, rest) = rest.split_once('.').ok_or("no steps in the name")?;
    let (n, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let n: usize = n.parse()?;
    let (ends, rho) = rest.split_once(".rho").unwrap_or((rest, "7"));
    let split = |(at, _): (usize, &str)| {
        let (low, high): (f64, f64) = (ends[..at].parse().ok()?, ends[at + 1..].parse().ok()?);
        (low > 0.0 && low < high).then_some((low, high))
    };
    let or = |key: &str, usual: f64| params.get(key).and_then(Value::as_f64).unwrap_or(usual);
    let (min, max) = ends.match_indices('.').find_map(split).unwrap_or((0.1, 10.0));
    Ok(match name {
        "karras" => levels::karras(n, min, max, rho.parse()?)?,
        "exponential" => levels::exponential(n, min, max)?,
        "polyexponential" => levels::polyexponential(n, min, max, rho.parse()?)?,
        "vp" => levels::vp(n, or("beta_d", 19.9), or("beta_min", 0.1), or("eps_s", 1e-3))?,
        "laplace" => levels::laplace(n, min, max, or("mu", 0.0), or("beta", 0.5))?,
        _ => return Err(format!("formula `{name}` ({:?}) isn't known", numbers(rest)).into()),
    })
}

/// Each value relative to its own reference.
fn compare(name: &str, found: &[f32], expected: &[f32]) -> CaseResult {
    if found.len() != expected.len() {
        return CaseResult::broken(name, format!("{} levels instead of {}", found.len(), expected.len()));
    }
    let error = |(a, b): (&f32, &f32)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() / b.abs().max(1e-30) }
    };
    let errors: Vec<f64> = found.iter().zip(expected).map(error).collect();
    let worst = errors.iter().fold(0.0, |worst: f64, e| if e.is_nan() { f64::INFINITY } else { worst.max(*e) });
    let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len().max(1) as f64).sqrt();
    CaseResult::verdict(name.to_owned(), worst, rms, TOLERANCE)
}
