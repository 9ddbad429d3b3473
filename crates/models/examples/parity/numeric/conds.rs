//! Conditionings of every kind on the analytic model. What each case is made of stands in its name.

use kiln_models::conditioning::Conditioning;
use kiln_models::sampling::Guidance;
use serde_json::Value;

use super::numbers::numbers;
use super::setup::{Job1, Setup, Trace, filled};
use super::tensors::tensor;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

const TOLERANCE: f64 = 1e-4;
const TENSORS: &str = "conds.safetensors";

/// A folder's cases, and the values that don't stand in their names.
struct Cases {
    setup: Setup,
    tensors: Tensors,
    /// Fills the conditions behind those that hold for a part only.
    base: f64,
    /// Fills a second condition whose name doesn't say.
    second: f64,
    /// Fills the area in the negative list.
    negative_area: f64,
    /// The scale of guidance that is rescaled.
    rescaled_cfg: f64,
    /// Width, height, x and y of the area alone: that of the case that has it with a base.
    area: [usize; 4],
}

impl Cases {
    /// Parameters of the index; the rest as in the README where it says nothing.
    fn new(folder: &Folder) -> Result<Self, Trouble> {
        let (entry, tensors) = (folder.entry(TENSORS), folder.tensors(TENSORS)?);
        let or = |key: &str, usual: f64| entry.number(key).unwrap_or(usual);
        let area = tensors.names().into_iter().find_map(|name| {
            let n = numbers(name.strip_prefix("out.area_")?.split_once("_at_x").map(|_| name)?);
            Some([0, 1, 2, 3].map(|k| n.get(k).map_or(0, |v| *v as usize)))
        });
        Ok(Self {
            setup: Setup::new(&entry.params)?,
            base: or("base", 0.3),
            second: or("second", 0.1),
            negative_area: or("negative_area", -0.9),
            rescaled_cfg: or("rescale_cfg", 7.0),
            area: area.unwrap_or([64, 96, 32, 16]),
            tensors,
        })
    }
}

/// `conds`: the results.
pub fn results(folder: &Folder, _: &str) -> Result<Vec<CaseResult>, Trouble> {
    let cases = Cases::new(folder)?;
    let tensors = &cases.tensors;
    let names = tensors.names();
    let all = names.iter().filter_map(|name| name.strip_prefix("out."));
    let judge = |case: &str| -> Result<CaseResult, Trouble> {
        let Some(trace) = run(&cases, case)? else { return Ok(CaseResult::unknown(case)) };
        Ok(CaseResult::compare(case, &trace.latent, &tensors.floats(&format!("out.{case}"))?, TOLERANCE))
    };
    Ok(all.map(|case| judge(case).unwrap_or_else(|trouble| CaseResult::broken(case, trouble))).collect())
}

/// `conds_meta.json`: level and batch size of each evaluation.
pub fn calls(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let cases = Cases::new(folder)?;
    let json = folder.json(file)?;
    let judge = |(case, expected): (&String, &Value)| -> Result<CaseResult, Trouble> {
        let Some(trace) = run(&cases, case)? else { return Ok(CaseResult::unknown(case)) };
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
    let all = json.as_object().ok_or("no object")?.iter();
    Ok(all.map(|case| judge(case).unwrap_or_else(|trouble| CaseResult::broken(case.0, trouble))).collect())
}

fn run(cases: &Cases, case: &str) -> Result<Option<Trace>, Trouble> {
    let setup = &cases.setup;
    let shape = cases.tensors.shape(&format!("out.{case}"))?;
    let Some((positive, negative)) = conditioned(cases, case)? else { return Ok(None) };
    let rescale = case.starts_with("rescale_cfg").then(|| numbers(case).last().copied().unwrap_or(0.7));
    let scale = match rescale {
        _ if case.starts_with("cfg1") => 1.0,
        Some(_) => cases.rescaled_cfg,
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

fn conditioned(cases: &Cases, case: &str) -> Result<Option<(Conditioning, Conditioning)>, Trouble> {
    let Cases { setup, tensors, .. } = cases;
    let (c, n) = (filled(setup.positive, 77)?, numbers(case));
    let base = filled(cases.base, 77)?;
    let negative = filled(setup.negative, 77)?;
    let second = || filled(n.get(1).copied().unwrap_or(cases.second), 77);
    let pixels = |k: usize| n.get(k).map_or(0, |v| *v as usize);
    let mask = || tensor::<3>(tensors.floats("in.mask")?, &tensors.shape("in.mask")?);
    let kind = case.split(|c: char| c.is_ascii_digit() || c == '-').next().unwrap_or(case);
    let positive = match kind {
        "combine_" => c.combine(&second()?),
        "area_" => {
            base.combine(&c.set_area([pixels(0), pixels(1), pixels(2), pixels(3)], n.get(4).copied().unwrap_or(1.0)))
        }
        "area_only" => c.set_area(cases.area, 1.0),
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
            c.set_range(at(0), at(1)).combine(&filled(cases.second, 77)?.set_range(at(2), at(3)))
        }
        "average_" => c.average(&second()?, n.get(2).copied().unwrap_or(1.0)),
        "concat_" => c.concat(&second()?),
        "zeroout" => c.zero_out(),
        "two_lengths_" => filled(setup.positive, pixels(0))?.combine(&filled(cases.second, pixels(1))?),
        "neg_area" => {
            let area = filled(cases.negative_area, 77)?.set_area([64, 64, 32, 32], 1.0);
            return Ok(Some((c, negative.combine(&area))));
        }
        "cfg" | "batch" | "rescale_cfg_" => c,
        _ => return Ok(None),
    };
    Ok(Some((positive, negative)))
}
