//! Conditionings of every kind on the analytic model. What each case is made of stands in its name.

use kiln_models::conditioning::Conditioning;
use kiln_models::sampling::Guidance;
use serde_json::Value;

use super::numbers;
use super::setup::{Job1, Setup, Trace, filled, tensor};
use crate::case::{CaseResult, Folder, Tensors, Trouble};

const TOLERANCE: f64 = 1e-4;
const TENSORS: &str = "conds.safetensors";
/// The value behind the conditions that hold for a part only.
const BASE: f64 = 0.3;

/// `conds`: the results.
pub fn results(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let setup = Setup::new(&folder.entry(file).params)?;
    let tensors = folder.tensors(file)?;
    let names = tensors.names();
    let cases = names.iter().filter_map(|name| name.strip_prefix("out."));
    let judge = |case: &str| -> Result<CaseResult, Trouble> {
        let Some(trace) = run(&setup, &tensors, case)? else { return Ok(CaseResult::unknown(case)) };
        Ok(CaseResult::compare(case, &trace.latent, &tensors.floats(&format!("out.{case}"))?, TOLERANCE))
    };
    Ok(cases.map(|case| judge(case).unwrap_or_else(|trouble| CaseResult::broken(case, trouble))).collect())
}

/// `conds_meta.json`: level and batch size of each evaluation.
pub fn calls(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let setup = Setup::new(&folder.entry(TENSORS).params)?;
    let tensors = folder.tensors(TENSORS)?;
    let json = folder.json(file)?;
    let judge = |(case, expected): (&String, &Value)| -> Result<CaseResult, Trouble> {
        let Some(trace) = run(&setup, &tensors, case)? else { return Ok(CaseResult::unknown(case)) };
        let expected: Vec<(f32, usize)> = expected
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|call| Some((call[0].as_f64()? as f32, call[1].as_u64()? as usize)))
            .collect();
        let same = |(a, b): (&(f32, usize), &(f32, usize))| (a.0 - b.0).abs() <= 1e-5 * b.0 && a.1 == b.1;
        let right = expected.len() == trace.calls.len() && trace.calls.iter().zip(&expected).all(same);
        Ok(CaseResult::exact(case, right, format!("evaluations {:?}", trace.calls)))
    };
    let cases = json.as_object().ok_or("no object")?.iter();
    Ok(cases.map(|case| judge(case).unwrap_or_else(|trouble| CaseResult::broken(case.0, trouble))).collect())
}

fn run(setup: &Setup, tensors: &Tensors, case: &str) -> Result<Option<Trace>, Trouble> {
    let shape = tensors.shape(&format!("out.{case}"))?;
    let Some((positive, negative)) = conditioned(setup, tensors, case)? else { return Ok(None) };
    let rescale = case.starts_with("rescale_cfg").then(|| numbers(case).last().copied().unwrap_or(0.7));
    let scale = match rescale {
        _ if case.starts_with("cfg1") => 1.0,
        Some(_) => 7.0,
        None => setup.cfg,
    };
    let index = case
        .split_once("inds_")
        .map(|(_, list)| list.split('_').filter_map(|number| number.parse().ok()).collect::<Vec<usize>>());
    let job = Job1 {
        latent: tensor(vec![0.0; shape.iter().product()], &shape)?,
        guidance: Guidance::Cfg { positive, negative, scale, rescale },
        index,
        ..setup.run(setup.sampler.as_deref().unwrap_or("euler"))?
    };
    Ok(Some(job.trace()?))
}

fn conditioned(setup: &Setup, tensors: &Tensors, case: &str) -> Result<Option<(Conditioning, Conditioning)>, Trouble> {
    let (c, n) = (filled(setup.positive, 77)?, numbers(case));
    let base = filled(BASE, 77)?;
    let negative = filled(setup.negative, 77)?;
    let second = || filled(n.get(1).copied().unwrap_or(0.1), 77);
    let pixels = |k: usize| n.get(k).map_or(0, |v| *v as usize);
    let mask = || tensor::<3>(tensors.floats("in.mask")?, &tensors.shape("in.mask")?);
    let kind = case.split(|c: char| c.is_ascii_digit()).next().unwrap_or(case);
    let positive = match kind {
        "combine_" => c.combine(&second()?),
        "area_" => {
            base.combine(&c.set_area([pixels(0), pixels(1), pixels(2), pixels(3)], n.get(4).copied().unwrap_or(1.0)))
        }
        "area_only" => c.set_area([64, 96, 32, 16], 1.0),
        "area_percent_" => {
            let part = |k: usize| n.get(k).copied().unwrap_or(0.0);
            base.combine(&c.set_area_fraction([part(0), part(1), part(2), part(3)], 1.0))
        }
        "area_strength_" => {
            base.combine(&c.set_area([64, 64, 0, 0], 1.0).set_strength(n.first().copied().unwrap_or(1.0)))
        }
        "mask_default_s" => base.combine(&c.set_mask(&mask()?, n.first().copied().unwrap_or(1.0), false)),
        "mask_bounds" => base.combine(&c.set_mask(&mask()?, 1.0, true)),
        "timestep_range_" => {
            let at = |k: usize| n.get(k).copied().unwrap_or(0.0);
            c.set_range(at(0), at(1)).combine(&filled(0.1, 77)?.set_range(at(2), at(3)))
        }
        "average_" => c.average(&second()?, n.get(2).copied().unwrap_or(1.0)),
        "concat_" => c.concat(&second()?),
        "zeroout" => c.zero_out(),
        "two_lengths_" => filled(setup.positive, pixels(0))?.combine(&filled(0.1, pixels(1))?),
        "neg_area" => {
            let area = filled(-0.9, 77)?.set_area([64, 64, 32, 32], 1.0);
            return Ok(Some((c, negative.combine(&area))));
        }
        "cfg" | "batch" | "rescale_cfg_" => c,
        _ => return Ok(None),
    };
    Ok(Some((positive, negative)))
}
