//! Randomness: equal bits.

use kiln_models::random::{BrownianTree, SeedSequence, TorchGenerator, initial_noise};

use super::numbers::numbers;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

/// Every draw in `noise`; seeds and shapes are in the names.
pub fn noise(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    let mut results = Vec::new();
    for name in tensors.names() {
        results.extend(draw(&tensors, name)?);
    }
    results.extend(sequences(&tensors)?);
    Ok(results)
}

fn draw(tensors: &Tensors, name: &str) -> Result<Option<CaseResult>, Trouble> {
    let shape = tensors.shape(name)?;
    let n: usize = shape.iter().product();
    let Some((kind, rest)) = name.split_once(".seed") else { return Ok(None) };
    let seed: u64 = rest.split('.').next().unwrap_or("").parse()?;
    let mut generator = TorchGenerator::new(seed);
    let found = match kind {
        _ if name.contains(".seq") => return Ok(None),
        "prepare_noise" => {
            let index: Option<Vec<usize>> = name
                .split_once("inds_")
                .map(|(_, list)| list.split('_').filter_map(|number| number.parse().ok()).collect());
            let item = rest_of(&shape);
            equal(
                &initial_noise(seed, shape.first().copied().unwrap_or(0), item, index.as_deref()),
                &tensors.floats(name)?,
            )
        }
        "randn" => equal(&generator.randn(n), &tensors.floats(name)?),
        "rand" => equal(&generator.rand(n), &tensors.floats(name)?),
        "randn_f16" => {
            let found: Vec<f32> = generator.randn_f16(n).iter().map(|v| v.to_f32()).collect();
            equal(&found, &tensors.floats(name)?)
        }
        "randn_f64" => return Ok(Some(doubles(name, &generator.randn_f64(n), tensors.bytes(name)?))),
        "brownian" => return brownian(tensors, name, seed).map(Some),
        _ if kind.starts_with("randint_u") => {
            let bits: u32 = kind.trim_start_matches("randint_u").parse()?;
            let range = (1u64 << bits.min(63)) - u64::from(bits == 31);
            let found = generator.randint(range, n).into_iter().map(|v| v as i64);
            found.eq(tensors.integers(name)?).then_some(()).ok_or_else(|| "other integers".to_owned())
        }
        _ => return Ok(Some(CaseResult::unknown(name))),
    };
    Ok(Some(CaseResult::exact(name, found.is_ok(), found.err().unwrap_or_default())))
}

fn equal(found: &[f32], expected: &[f32]) -> Result<(), String> {
    let same = |(a, b): &(&f32, &f32)| a.to_bits() != b.to_bits();
    let wrong = found.iter().zip(expected).filter(same).count();
    if found.len() == expected.len() && wrong == 0 { Ok(()) } else { Err(format!("{wrong} values have other bits")) }
}

/// The logarithm and sine of f64 come from the platform's library: the last bit may differ.
fn doubles(name: &str, found: &[f64], bytes: &[u8]) -> CaseResult {
    let expected = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok()).map(f64::from_le_bytes);
    let ulps = found.iter().zip(expected).map(|(a, b)| ((a - b) / (b * f64::EPSILON)).abs()).fold(0.0, f64::max);
    CaseResult {
        note: "in units of the last place".to_owned(),
        ..CaseResult::verdict(name.to_owned(), ulps, ulps, 1.0)
    }
}

/// `randn.seedS.seqK.nN`: draws K = 0, 1, ... from one generator.
fn sequences(tensors: &Tensors) -> Result<Vec<CaseResult>, Trouble> {
    let mut draws: Vec<(u64, usize, &str)> = Vec::new();
    for name in tensors.names().into_iter().filter(|name| name.contains(".seq")) {
        if let [seed, place, ..] = numbers(name)[..] {
            draws.push((seed as u64, place as usize, name));
        }
    }
    draws.sort_unstable();
    let mut generator: Option<(u64, TorchGenerator)> = None;
    let mut results = Vec::new();
    for (seed, _, name) in draws {
        if generator.as_ref().is_none_or(|(own, _)| *own != seed) {
            generator = Some((seed, TorchGenerator::new(seed)));
        }
        let expected = tensors.floats(name)?;
        let found = generator.as_mut().map(|(_, g)| g.randn(expected.len())).unwrap_or_default();
        let verdict = equal(&found, &expected);
        results.push(CaseResult::exact(name, verdict.is_ok(), verdict.err().unwrap_or_default()));
    }
    Ok(results)
}

/// Increments of a Brownian path over all of `brownian.sigmas`: between neighbours, and two of its own that start at the
/// top, to 10 and to the second level.
fn brownian(tensors: &Tensors, name: &str, seed: u64) -> Result<CaseResult, Trouble> {
    let shape = tensors.shape(name)?;
    let sigmas = tensors.floats("brownian.sigmas")?;
    let low = sigmas.iter().copied().filter(|sigma| *sigma > 0.0).fold(f32::INFINITY, f32::min);
    let high = sigmas.iter().copied().fold(0.0, f32::max);
    let tree = BrownianTree::new(low, high, seed, rest_of(&shape));
    let pairs: Vec<(f32, f32)> = if name.contains(".steps") {
        sigmas.windows(2).map(|pair| (pair[0], pair[1])).collect()
    } else {
        vec![(high, 10.0), (high, sigmas.get(1).copied().unwrap_or(low))]
    };
    let found: Vec<f32> = pairs.into_iter().flat_map(|(a, b)| tree.step(a, b)).collect();
    let verdict = equal(&found, &tensors.floats(name)?);
    Ok(CaseResult::exact(name, verdict.is_ok(), verdict.err().unwrap_or_default()))
}

/// `seedsequence.json`: entropy, spawn key and pool size are in the keys.
pub fn seed_sequences(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let json = folder.json(file)?;
    let cases = json.as_object().ok_or("no object")?;
    let judge = |(name, words): (&String, &serde_json::Value)| {
        let (before, rest) = name.split_once('[').ok_or("no spawn key")?;
        let (key, after) = rest.split_once(']').ok_or("no spawn key")?;
        let whole = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>();
        let key: Vec<u64> = key.split(',').filter_map(|n| n.trim().parse().ok()).collect();
        let expected: Vec<u64> = words.as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64).collect();
        let found = SeedSequence::new(whole(before)?, &key, whole(after)? as usize).generate_state(expected.len());
        let right = !expected.is_empty() && found.iter().map(|w| u64::from(*w)).eq(expected);
        Ok(CaseResult::exact(name, right, "other words"))
    };
    cases.iter().map(judge).collect()
}

/// Elements of one item of a batch.
fn rest_of(shape: &[usize]) -> usize {
    shape.iter().skip(1).product()
}
