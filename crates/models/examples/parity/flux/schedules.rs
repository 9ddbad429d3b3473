//! `schedules_flux`: tables, probes and schedulers of the three families' samplings.

use kiln_models::schedule::{ModelSampling, Scheduler, shifted, steps};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Tensors, Trouble};

const TOLERANCE: f64 = 1e-6;
/// Parts of a run at which percentages were probed.
const PERCENTS: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

pub fn all(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (tensors, params) = (folder.tensors(file)?, folder.entry(file).params);
    let one = |name: &str| {
        let found = found(&tensors, &params, name);
        match (found, tensors.floats(name)) {
            (Ok(found), Ok(expected)) => CaseResult::near(name, &found, &expected, TOLERANCE),
            (Err(trouble), _) | (_, Err(trouble)) => CaseResult::broken(name, trouble),
        }
    };
    Ok(tensors.names().into_iter().map(one).collect())
}

fn sampling(kind: &str, params: &Value) -> Result<ModelSampling, Trouble> {
    let shift = |usual: f64| params.get("zimage_shift").and_then(Value::as_f64).unwrap_or(usual);
    Ok(match kind {
        "flux_default" => ModelSampling::flux(1.15),
        "flux2_default" => ModelSampling::flux(2.02),
        "schnell" => ModelSampling::flow(1.0, 1.0),
        "zimage" => ModelSampling::flow(3.0, 1.0),
        "zimage_shift" => ModelSampling::flow(shift(6.0), 1.0),
        _ => return Err(format!("kind `{kind}` isn't known").into()),
    })
}

fn found(tensors: &Tensors, params: &Value, name: &str) -> Result<Vec<f32>, Trouble> {
    if let Some(rest) = name.strip_prefix("flux.") {
        return of_size(rest, params);
    }
    let (kind, rest) = name.split_once('.').ok_or("KIND.WHAT")?;
    if kind == "flux2scheduler" {
        let (size, count) = rest.rsplit_once('.').ok_or("WxH.N")?;
        let (width, height) = size.split_once('x').ok_or("WxH.N")?;
        return Ok(shifted::flux2(count.parse()?, width.parse()?, height.parse()?)?);
    }
    let sampling = sampling(kind, params)?;
    let levels = &sampling.levels;
    let probes = || tensors.floats(&format!("{kind}.probe.in"));
    Ok(match rest {
        "probe.in" => probes()?,
        "probe.timestep" => probes()?.into_iter().map(|sigma| levels.timestep(sigma)).collect(),
        "probe.sigma" => probes()?.into_iter().map(|t| levels.sigma(t)).collect(),
        "percent_to_sigma" => PERCENTS.iter().map(|percent| levels.percent_to_sigma(*percent) as f32).collect(),
        "table_last" => levels.sigmas().last().copied().into_iter().collect(),
        _ if rest.starts_with("table_every") => {
            let step: usize = rest.trim_start_matches("table_every").parse()?;
            levels.sigmas().iter().step_by(step.max(1)).copied().collect()
        }
        _ if rest.starts_with("basic_scheduler.") => {
            let (head, denoise) = rest.split_once(".denoise").ok_or("no denoise")?;
            let [_, scheduler, count] = head.split('.').collect::<Vec<_>>()[..] else { return Err("no steps".into()) };
            let (count, denoise): (usize, f64) = (count.parse()?, denoise.parse()?);
            steps::sigmas(levels, scheduler.parse()?, count, denoise, false)?
        }
        _ => {
            let (scheduler, count) = rest.rsplit_once('.').ok_or("KIND.SCHEDULER.N")?;
            scheduler.parse::<Scheduler>()?.sigmas(levels, count.parse()?)?
        }
    })
}

/// `WxH.maxM.baseB.SCHEDULER.N`, where the numbers have dots of their own: ModelSamplingFlux.
fn of_size(rest: &str, params: &Value) -> Result<Vec<f32>, Trouble> {
    let (head, count) = rest.rsplit_once('.').ok_or("no steps")?;
    let (size, scheduler) = head.rsplit_once('.').ok_or("no scheduler")?;
    let (image, shifts) = size.split_once(".max").ok_or("no shifts")?;
    let (max, base) = shifts.split_once(".base").ok_or("no base shift")?;
    let (width, height) = image.split_once('x').ok_or("WxH")?;
    let mu = shifted::flux_shift(max.parse()?, base.parse()?, width.parse()?, height.parse()?);
    let expected = params["flux_mu"][size].as_f64().ok_or("no such mu among the parameters")?;
    if (mu - expected).abs() > 1e-12 {
        return Err(format!("mu is {mu} instead of {expected}").into());
    }
    Ok(scheduler.parse::<Scheduler>()?.sigmas(&ModelSampling::flux(mu).levels, count.parse()?)?)
}
