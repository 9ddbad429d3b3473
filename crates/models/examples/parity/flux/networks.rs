//! `net_*`: the networks on sizes, batches, references and prompts of all lengths.

use std::cell::RefCell;

use burn::tensor::Tensor;
use kiln_models::{ActivationTap, ReferenceMethod, flux::FluxInputs};
use serde_json::Value;

use super::common::{flux_config, maybe, zimage_config};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::families::common::tiny_weights;
use crate::nets::recipe::{stored, values};

const TOLERANCE: f64 = 2e-5;

/// One case of a file as its parameters have it.
struct Case<'a> {
    name: &'a str,
    params: &'a Value,
    tensors: &'a Tensors,
}

impl Case<'_> {
    fn input<const D: usize>(&self, what: &str) -> Result<Tensor<D>, Trouble> {
        stored(self.tensors, &format!("{}.in.{what}", self.name))
    }

    fn floats(&self, key: &str) -> Option<Vec<f32>> {
        self.params.get(key)?.as_array()?.iter().map(|n| n.as_f64().map(|n| n as f32)).collect()
    }

    fn times(&self) -> Result<Vec<f32>, Trouble> {
        self.tensors.floats(&format!("{}.in.t", self.name))
    }

    /// The output and whatever activations were recorded.
    fn judge(&self, out: Tensor<4>, seen: Vec<(String, Vec<f32>)>) -> Result<Vec<CaseResult>, Trouble> {
        let mut results = Vec::new();
        for (module, found) in seen {
            let name = format!("{}.act.{module}", self.name);
            if self.tensors.has(&name) {
                results.push(CaseResult::near(name.as_str(), &found, &self.tensors.floats(&name)?, TOLERANCE));
            }
        }
        // What is inside of modules that are one here is there for whoever looks for an error.
        let inside = format!("{}.act.", self.name);
        self.tensors.names().iter().filter(|name| name.starts_with(&inside)).for_each(|name| self.tensors.note(name));
        let name = format!("{}.out", self.name);
        results.push(CaseResult::near(name.as_str(), &values(out)?, &self.tensors.floats(&name)?, TOLERANCE));
        Ok(results)
    }
}

fn cases(
    folder: &Folder,
    file: &str,
    run: impl Fn(&Case<'_>) -> Result<Vec<CaseResult>, Trouble>,
) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let cases = params.get("cases").and_then(Value::as_object).ok_or("params has no cases")?;
    let mut results = Vec::new();
    for (name, params) in cases {
        match run(&Case { name, params, tensors: &tensors }) {
            Ok(found) => results.extend(found),
            Err(trouble) => results.push(CaseResult::broken(name, trouble)),
        }
    }
    Ok(results)
}

fn prefix(params: &Value) -> Result<&str, Trouble> {
    Ok(params.get("prefix").and_then(Value::as_str).ok_or("params has no prefix")?)
}

/// `net_flux1`, `net_schnell`, `net_fill`, `net_flux2`.
pub fn flux(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let weights = tiny_weights(folder, prefix(&params)?)?;
    let network = flux_config(&weights.map().names(), &params["config"])?.init(&weights)?;
    cases(folder, file, |case| {
        let seen = RefCell::new(Vec::new());
        let look = |name: &str, _: &[usize], x: Tensor<1>| {
            if let Ok(values) = values(x) {
                seen.borrow_mut().push((name.to_owned(), values));
            }
        };
        let count = case.params.get("refs").and_then(Value::as_array).map_or(0, Vec::len);
        let references = (0..count).map(|i| stored(case.tensors, &format!("in.ref{i}"))).collect::<Result<_, _>>()?;
        let method = case.params.get("ref_method").and_then(Value::as_str).and_then(ReferenceMethod::from_name);
        let vector = maybe::<2>(case.tensors, &format!("{}.in.y", case.name))?;
        let inputs = FluxInputs {
            vector,
            guidance: case.floats("guidance"),
            references,
            method,
            tap: ActivationTap::new(&look),
        };
        let mut context = case.input::<3>("context")?;
        if let Some(length) = case.params.get("pad_left_to").and_then(Value::as_u64) {
            let [batch, tokens, width] = context.dims();
            let missing = (length as usize).saturating_sub(tokens);
            context = Tensor::cat(vec![Tensor::zeros([batch, missing, width], &context.device()), context], 1);
        }
        let out = network.forward(case.input("x")?, &case.times()?, context, &inputs)?;
        drop(inputs);
        case.judge(out, seen.take())
    })
}

/// `net_zimage`.
pub fn zimage(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let weights = tiny_weights(folder, prefix(&params)?)?;
    let network = zimage_config(&weights.map().names(), &params["config"])?.init(&weights)?;
    cases(folder, file, |case| {
        let seen = RefCell::new(Vec::new());
        let look = |name: &str, _: &[usize], x: Tensor<1>| {
            if let Ok(values) = values(x) {
                seen.borrow_mut().push((name.to_owned(), values));
            }
        };
        let tap = ActivationTap::new(&look);
        let out = network.forward(case.input("x")?, &case.times()?, case.input("context")?, tap)?;
        case.judge(out, seen.take())
    })
}
