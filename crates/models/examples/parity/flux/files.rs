//! Files of narrow numbers: codes of eight bits in three markings, and GGUF.

use std::path::Path;
use std::sync::Arc;

use kiln_memory::{
    Budget, Dtype, KeyMap, MemorySource, Rounding, TensorShapes, TensorSource, apply_scales, decode_f32, open_weights,
};
use kiln_models::{
    ModelWeights,
    flux::{self, Flux, FluxInputs},
};

use super::common::{flux_config, maybe};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{stored, values};

const VALUES: f64 = 1e-6;
const OUTPUTS: f64 = 2e-5;

fn source(path: &Path) -> Result<Arc<dyn TensorSource>, Trouble> {
    Ok(apply_scales(open_weights(path)?))
}

fn network(folder: &Folder, file: &str) -> Result<Flux, Trouble> {
    let source = source(&folder.path().join(file))?;
    let map = flux::original(&TensorShapes::of(&*source), "");
    let weights = ModelWeights::new(source, map, "parity", &Budget::unlimited("parity"));
    Ok(flux_config(&weights.map().names(), &folder.entry(file).params["config"])?.init(&weights)?)
}

/// `fp8_file_*`, `flux1.gguf`: inputs of other cases, which open as the network that their parameters tell.
pub fn opens(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (network, expected) = (network(folder, file)?, folder.entry(file).params["config"].clone());
    let right = expected["hidden_size"] == network.config().hidden && expected["depth"] == network.config().double;
    Ok(vec![CaseResult::exact("opens", right, format!("{:?}", network.config()))])
}

/// The network of `file` on the inputs below `prefix`.
fn output(folder: &Folder, file: &str, tensors: &Tensors, prefix: &str, at: [f32; 2]) -> Result<Vec<f32>, Trouble> {
    let network = network(folder, file)?;
    let [time, guidance] = at;
    let vector = maybe::<2>(tensors, &format!("{prefix}in.y"))?;
    let inputs = FluxInputs { vector, guidance: Some(vec![guidance]), ..FluxInputs::default() };
    let (x, context) = (stored(tensors, &format!("{prefix}in.x"))?, stored(tensors, &format!("{prefix}in.context"))?);
    values(network.forward(x, &[time], context, &inputs)?)
}

fn level(folder: &Folder, file: &str) -> [f32; 2] {
    let entry = folder.entry(file);
    ["t", "guidance"].map(|key| entry.number(key).unwrap_or_default() as f32)
}

/// Codes, rounding, weights, and the networks of all files.
pub fn fp8(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (tensors, at) = (folder.tensors(file)?, level(folder, file));
    let mut results = vec![];
    for (name, dtype) in [("e4m3fn", Dtype::F8E4M3), ("e5m2", Dtype::F8E5M2)] {
        results.push(codes(&tensors, name, dtype)?);
    }
    let x = tensors.floats("round.x")?;
    for (name, kind, largest) in [
        ("e4m3fn_saturated", (Dtype::F8E4M3, Rounding::F8E4M3), 448.0),
        ("e5m2", (Dtype::F8E5M2, Rounding::F8E5M2), 57344.0),
    ] {
        // The reference bounds what lies beyond the largest number before it rounds.
        let bounded = x.iter().map(|value| value.clamp(-largest, largest)).collect();
        results.push(rounds(&tensors, name, kind, bounded)?);
    }
    let files = [
        ("scaled_fp8", "fp8_file_scaled_fp8.safetensors"),
        ("metadata", "fp8_file_metadata.safetensors"),
        ("metadata", "fp8_file_comfy_quant.safetensors"),
    ];
    for (kind, weights) in files {
        let expected = tensors.floats(&format!("{kind}.out_dequantised_first"))?;
        let found = output(folder, weights, &tensors, &format!("{kind}."), at)?;
        results.push(CaseResult::near(weights, &found, &expected, OUTPUTS));
        results.extend(dequantised(folder, weights, &tensors, &format!("{kind}.dequantised_every4."))?);
    }
    // What a loader makes of biases that it rounds too; they are kept here.
    tensors.note("scaled_fp8.out");
    results.push(CaseResult::near(
        "metadata.out",
        &output(folder, files[1].1, &tensors, "metadata.", at)?,
        &tensors.floats("metadata.out")?,
        OUTPUTS,
    ));
    Ok(results)
}

/// What weights are when they are rounded to a narrow type is what its codes stand for.
fn rounds(tensors: &Tensors, name: &str, kind: (Dtype, Rounding), x: Vec<f32>) -> Result<CaseResult, Trouble> {
    let name = format!("round.{name}");
    let mut expected = vec![0.0; x.len()];
    decode_f32(kind.0, tensors.bytes(&name)?, &mut expected)?;
    let mut source = MemorySource::new("round");
    source.insert_f32("x", &[x.len()], x.clone())?;
    let map = KeyMap::under(&TensorShapes::of(&source), "");
    let weights = ModelWeights::new(Arc::new(source), map, "parity", &Budget::unlimited("parity"));
    let found = weights.with_rounding(kind.1).weights().weight("x")?.read()?;
    let same = |(found, expected): (&f32, &f32)| found == expected || (found.is_nan() && expected.is_nan());
    let wrong = found.iter().zip(&expected).position(|pair| !same(pair));
    let note = wrong.map(|at| format!("{} is {}, not {}", x[at], found[at], expected[at]));
    Ok(CaseResult::exact(name, wrong.is_none(), note.unwrap_or_default()))
}

fn codes(tensors: &Tensors, name: &str, dtype: Dtype) -> Result<CaseResult, Trouble> {
    let expected = tensors.floats(&format!("codes.{name}"))?;
    let bytes: Vec<u8> = (0..=255).collect();
    let mut found = vec![0.0; 256];
    decode_f32(dtype, &bytes, &mut found)?;
    let same = |(found, expected): &(&f32, &f32)| match found {
        found if found.is_nan() => **expected == -1.0,
        found if found.is_infinite() => **expected == 1e30f32.copysign(**found),
        found => *found == *expected,
    };
    let wrong = found.iter().zip(&expected).position(|pair| !same(&pair));
    Ok(CaseResult::exact(format!("codes.{name}"), wrong.is_none(), format!("code {wrong:?}")))
}

fn dequantised(folder: &Folder, file: &str, tensors: &Tensors, prefix: &str) -> Result<Vec<CaseResult>, Trouble> {
    let source = source(&folder.path().join(file))?;
    let one = |name: &str| {
        let key = name.strip_prefix(prefix).unwrap_or_default();
        let shape = source.info(key).map(|info| info.shape.clone()).unwrap_or_default();
        let mut all = vec![0.0; shape.iter().product()];
        source.read_f32(key, &mut all)?;
        let rows: Vec<f32> = all.chunks(shape[1]).step_by(4).flatten().copied().collect();
        Ok(CaseResult::near(format!("{file}: {key}"), &rows, &tensors.floats(name)?, VALUES))
    };
    tensors.names().into_iter().filter(|name| name.starts_with(prefix)).map(one).collect()
}

/// Blocks of every type, and the network of `flux1.gguf`.
pub fn gguf(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    let mut results = Vec::new();
    for name in tensors.names() {
        let Some(kind) = name.strip_prefix("blocks.").and_then(|name| name.strip_suffix(".bytes")) else { continue };
        let expected = tensors.floats(&format!("blocks.{kind}.values"))?;
        let dtype = named(kind).ok_or_else(|| format!("type {kind} isn't known"))?;
        let mut found = vec![0.0; expected.len()];
        decode_f32(dtype, tensors.bytes(name)?, &mut found)?;
        results.push(CaseResult::near(kind, &found, &expected, VALUES));
    }
    let out = output(folder, "flux1.gguf", &tensors, "", level(folder, file))?;
    results.push(CaseResult::near("out", &out, &tensors.floats("out")?, OUTPUTS));
    Ok(results)
}

fn named(kind: &str) -> Option<Dtype> {
    use Dtype as D;
    const ALL: [Dtype; 13] = [
        D::Q4_0,
        D::Q4_1,
        D::Q5_0,
        D::Q5_1,
        D::Q8_0,
        D::BF16,
        D::Q2K,
        D::Q3K,
        D::Q4K,
        D::Q5K,
        D::Q6K,
        D::Iq4Nl,
        D::Iq4Xs,
    ];
    ALL.into_iter().find(|dtype| dtype.name() == kind)
}
