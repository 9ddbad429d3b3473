//! Forward passes of the tiny networks.

use burn::tensor::Tensor;
use kiln_models::{
    ActivationTap, ReferenceMethod,
    mmdit::{self, Mmdit, MmditConfig},
    qwen_image::{self, QwenImage, QwenImageConfig},
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::families::common::{sizes, tapped, text, tiny};
use crate::nets::recipe::{stored, values};

/// Some ten layers.
const NET: f64 = 2e-5;

/// The tiny network of Stable Diffusion 3 below `prefix`.
pub fn tiny_mmdit(folder: &Folder, prefix: &str) -> Result<Mmdit, Trouble> {
    let weights = tiny(folder, "tiny_keys.json", prefix, mmdit::keys)?;
    Ok(MmditConfig::from_names(&weights.map().names())?.init(&weights)?)
}

/// The tiny network of Qwen-Image of these parameters.
pub fn tiny_qwen(folder: &Folder, params: &Value) -> Result<QwenImage, Trouble> {
    let weights = tiny(folder, "tiny_keys.json", text(params, "prefix")?, qwen_image::keys)?;
    let axes = sizes(params.pointer("/config/axes_dims_rope").unwrap_or(&Value::Null));
    let axes = axes.try_into().map_err(|axes| format!("three axes, found {axes:?}"))?;
    Ok(QwenImageConfig::from_names(&weights.map().names())?.with_axes(axes)?.init(&weights)?)
}

fn cases(params: &Value) -> Result<Vec<(&String, &Value)>, Trouble> {
    Ok(params.get("cases").and_then(Value::as_object).ok_or("no cases among the parameters")?.iter().collect())
}

/// Output and activations of each case: `run` gets the case's tensors, its parameters, and a tap.
fn outputs(
    folder: &Folder,
    file: &str,
    run: impl Fn(&Tensors, &str, &Value, ActivationTap<'_>) -> Result<Tensor<4>, Trouble>,
) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let mut results = Vec::new();
    for (case, given) in cases(&params)? {
        let prefix = format!("{case}.act.");
        let stored = tensors.names().iter().any(|name| name.starts_with(&prefix));
        let output = if stored {
            let (acts, output) = tapped(&tensors, &prefix, NET, |tap| run(&tensors, case, given, tap))?;
            results.extend(acts);
            output
        } else {
            run(&tensors, case, given, ActivationTap::default())?
        };
        let name = format!("{case}.out");
        results.push(CaseResult::near(name.as_str(), &values(output)?, &tensors.floats(&name)?, NET));
    }
    Ok(results)
}

/// `net_sd3*`: with and without pooled prompt, odd sizes, batches.
pub fn mmdit(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let net = tiny_mmdit(folder, text(&params, "prefix")?)?;
    outputs(folder, file, |tensors, case, _, tap| {
        let name = |end: &str| format!("{case}.in.{end}");
        let y = tensors.has(&name("y")).then(|| stored::<2>(tensors, &name("y"))).transpose()?;
        let pass = mmdit::Pass { vector: y.as_ref(), tap, ..mmdit::Pass::default() };
        let (x, context) = (stored(tensors, &name("x"))?, stored(tensors, &name("context"))?);
        Ok(net.forward(x, &tensors.floats(&name("t"))?, context, &pass)?)
    })
}

/// `net_qwen*`: references by every method, odd sizes, batches.
pub fn qwen_image(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let net = tiny_qwen(folder, &params)?;
    outputs(folder, file, |tensors, case, given, tap| {
        let name = |end: &str| format!("{case}.in.{end}");
        let there = (0..).map(|n| name(&format!("ref{n}"))).take_while(|name| tensors.has(name));
        let references = there.map(|name| stored::<4>(tensors, &name)).collect::<Result<Vec<_>, _>>()?;
        let method = given.get("ref_method").and_then(Value::as_str);
        let method = method.map(|method| ReferenceMethod::from_name(method).ok_or("an unknown method")).transpose()?;
        let pass = qwen_image::Pass { references: &references, method, tap, ..qwen_image::Pass::default() };
        let (x, context) = (stored(tensors, &name("x"))?, stored(tensors, &name("context"))?);
        Ok(net.forward(x, &tensors.floats(&name("t"))?, context, &pass)?)
    })
}
