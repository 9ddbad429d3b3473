//! `embed`: the text encoders' share of the small pieces: positions of language models, T5's distances, the vision tower's
//! windows, angles and patches.

use kiln_models::llm::{LlmKind, Positions};
use kiln_models::qwen_vision::{Grid, prepared};
use serde_json::Value;

use super::encoders::same_ids;
use super::images::picture;
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{device, values};

const TOLERANCE: f64 = 1e-6;

/// `embed`, as far as there is something for text.
pub fn pieces(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let mut results = Vec::new();
    for (kind, theta) in [(LlmKind::Mistral3, "1000000000.0"), (LlmKind::Qwen3, "1000000.0")] {
        results.extend(row_angles(&tensors, kind, theta)?);
    }
    if tensors.has("t5bucket.delta") {
        let expected = tensors.integers("t5bucket.bucket")?;
        let found =
            tensors.integers("t5bucket.delta")?.into_iter().map(|delta| kiln_models::t5::bucket(delta, 32) as i64);
        let found: Vec<i64> = found.collect();
        results.push(CaseResult::exact("t5bucket", found == expected, "other buckets"));
    }
    if tensors.has("mrope.pos") {
        results.extend(image_angles(&tensors, &params)?);
    }
    for (nth, grid) in params["vision"].as_array().into_iter().flatten().enumerate() {
        results.extend(windows(&tensors, nth, grid)?);
    }
    for (nth, image) in params["preprocess"].as_array().into_iter().flatten().enumerate() {
        results.extend(patches(&tensors, nth, image)?);
    }
    let number = |of: &Value, n: usize| of[n].as_u64().unwrap_or(0) as usize;
    for sizes in params["grids"].as_array().into_iter().flatten() {
        let found = Grid::of_image(number(sizes, 0), number(sizes, 1));
        let right = [2 * found.rows, 2 * found.columns] == [number(sizes, 2), number(sizes, 3)];
        results.push(CaseResult::exact(format!("grid of {sizes}"), right, format!("{found:?}")));
    }
    Ok(results)
}

fn number(of: &Value, n: usize) -> usize {
    of[n].as_u64().unwrap_or(0) as usize
}

/// `llama.dimD.thetaX.{cos,sin}_every37`: both halves, of positions 0, 37, ...
fn row_angles(tensors: &Tensors, kind: LlmKind, theta: &str) -> Result<Vec<CaseResult>, Trouble> {
    let theta = theta.trim_end_matches(".0");
    let mut results = Vec::new();
    for (nth, what) in ["cos", "sin"].into_iter().enumerate() {
        let name = format!("llama.dim128.theta{theta}.{what}_every37");
        if !tensors.has(&name) {
            continue;
        }
        let rows = tensors.shape(&name)?[0];
        let rotary = Positions::new(37 * rows, &[]).rotary(kind, 128);
        let (cos, sin) = rotary.table();
        let table = if nth == 0 { cos } else { sin };
        let found: Vec<f32> = table.chunks_exact(64).step_by(37).flat_map(|row| [row, row].concat()).collect();
        results.push(CaseResult::compare(name.as_str(), &found, &tensors.floats(&name)?, TOLERANCE));
    }
    Ok(results)
}

/// `mrope`: three positions per token.
fn image_angles(tensors: &Tensors, params: &Value) -> Result<Vec<CaseResult>, Trouble> {
    let positions = tensors.floats("mrope.pos")?;
    let count = positions.len() / 3;
    let place = |n: usize| [0, 1, 2].map(|axis| positions[axis * count + n] as u32);
    let rotary = Positions::at((0..count).map(place).collect()).rotary(LlmKind::Qwen25Vl, 128);
    let (cos, sin) = rotary.table();
    let step = params["mrope_row_step"].as_u64().unwrap_or(1).max(1) as usize;
    let compare = |name: &str, table: &[f32]| {
        let found: Vec<f32> = table.chunks_exact(64).step_by(step).flat_map(|row| [row, row].concat()).collect();
        Ok::<_, Trouble>(CaseResult::compare(name, &found, &tensors.floats(name)?, TOLERANCE))
    };
    Ok(vec![compare("mrope.cos", cos)?, compare("mrope.sin", sin)?])
}

/// `vision.i`: the order of cells, where windows end, the angles of patches.
fn windows(tensors: &Tensors, nth: usize, sides: &Value) -> Result<Vec<CaseResult>, Trouble> {
    let grid = Grid { rows: number(sides, 0) / 2, columns: number(sides, 1) / 2 };
    let order: Vec<i64> = grid.window_order().into_iter().map(|cell| cell as i64).collect();
    let mut ends = vec![0];
    for length in grid.window_lengths() {
        ends.push(ends[ends.len() - 1] + length as i64);
    }
    let mut results = vec![
        same_ids(tensors, &format!("vision.{nth}.window_index"), &order)?,
        same_ids(tensors, &format!("vision.{nth}.window_ends"), &ends)?,
    ];
    let name = format!("vision.{nth}.rope");
    if tensors.has(&name) {
        let half = tensors.shape(&name)?[1];
        let rows: Vec<usize> = (0..grid.cells()).collect();
        let rotary = grid.rotary(&rows, 2 * half);
        let (cos, sin) = rotary.table();
        let expected = tensors.floats(&name)?;
        let of = |function: fn(f32) -> f32| expected.iter().map(|angle| function(*angle)).collect::<Vec<f32>>();
        results.push(CaseResult::compare(format!("{name}: cosines"), cos, &of(f32::cos), TOLERANCE));
        results.push(CaseResult::compare(format!("{name}: sines"), sin, &of(f32::sin), TOLERANCE));
    }
    Ok(results)
}

/// `prep.i`: the grid and every Nth patch.
fn patches(tensors: &Tensors, nth: usize, image: &Value) -> Result<Vec<CaseResult>, Trouble> {
    let patches = prepared(&picture(image)?, &device())?;
    let grid = [1, 2 * patches.grid.rows as i64, 2 * patches.grid.columns as i64];
    let step = image["row_step"].as_u64().unwrap_or(1).max(1) as usize;
    let width = patches.features.dims()[1];
    let all = values(patches.features)?;
    let found: Vec<f32> = all.chunks_exact(width).step_by(step).flatten().copied().collect();
    let name = format!("prep.{nth}.patches");
    Ok(vec![
        same_ids(tensors, &format!("prep.{nth}.grid"), &grid)?,
        CaseResult::compare(name.as_str(), &found, &tensors.floats(&name)?, TOLERANCE),
    ])
}
