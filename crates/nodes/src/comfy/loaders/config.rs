//! The old configuration files beside checkpoints, as far as they still mean something: what the model predicts, and the
//! layer at which its text encoder stops. Everything else is read off the checkpoint.

use std::io::Read;
use std::path::Path;

use kiln_exec::NodeError;
use serde::Deserialize;

/// The largest file that is read; the published ones have two kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// What a configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ModelConfig {
    /// Whether the model predicts velocities.
    pub(super) v_prediction: bool,
    /// The layer at which the text encoder stops, counted from the end.
    pub(super) stop_at: Option<i32>,
}

/// The configurations that ComfyUI brings along, by their names.
const KNOWN: [(&str, ModelConfig); 11] = {
    const PLAIN: ModelConfig = ModelConfig { v_prediction: false, stop_at: None };
    const SKIP: ModelConfig = ModelConfig { v_prediction: false, stop_at: Some(-2) };
    const V: ModelConfig = ModelConfig { v_prediction: true, stop_at: None };
    [
        ("anything_v3.yaml", SKIP),
        ("v1-inference.yaml", PLAIN),
        ("v1-inference_clip_skip_2.yaml", SKIP),
        ("v1-inference_clip_skip_2_fp16.yaml", SKIP),
        ("v1-inference_fp16.yaml", PLAIN),
        ("v1-inpainting-inference.yaml", PLAIN),
        ("v2-inference-v.yaml", V),
        ("v2-inference-v_fp32.yaml", V),
        ("v2-inference.yaml", PLAIN),
        ("v2-inference_fp32.yaml", PLAIN),
        ("v2-inpainting-inference.yaml", PLAIN),
    ]
};

#[derive(Deserialize)]
struct File {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    params: ModelParams,
}

#[derive(Deserialize)]
struct ModelParams {
    #[serde(default)]
    parameterization: Option<String>,
    cond_stage_config: Stage,
}

#[derive(Deserialize)]
struct Stage {
    #[serde(default)]
    params: Option<StageParams>,
}

#[derive(Deserialize)]
struct StageParams {
    #[serde(default)]
    layer_idx: Option<i32>,
}

impl ModelConfig {
    /// The names of those that need no file.
    pub(super) fn known_names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(name, _)| *name)
    }

    /// The one of that name that needs no file.
    pub(super) fn known(name: &str) -> Option<Self> {
        KNOWN.iter().find(|(known, _)| *known == name).map(|(_, config)| *config)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, is longer than 1 MiB, or is no configuration of a model.
    pub(super) fn read(path: &Path) -> Result<Self, NodeError> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(NodeError::new(format!("{}: more than 1 MiB, which is no configuration", path.display())));
        }
        Self::parse(&text).map_err(|error| NodeError::new(format!("{}: {error}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
            with_snippet: false,
        };
        let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |place| place.line());
            format!("line {line}: {}; a configuration has `model.params.cond_stage_config`", error.without_snippet())
        })?;
        let ModelParams { parameterization, cond_stage_config } = file.model.params;
        Ok(Self {
            v_prediction: parameterization.as_deref() == Some("v"),
            stop_at: cond_stage_config.params.and_then(|params| params.layer_idx),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prediction_and_layer_are_read_and_everything_else_is_left_alone() {
        let text = "model:\n  base_learning_rate: 1.0e-4\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n    \
                    parameterization: \"v\"\n    linear_start: 0.00085\n    unet_config:\n      params: {use_fp16: True}\n    \
                    cond_stage_config:\n      target: x\n      params:\n        layer: \"hidden\"\n        layer_idx: -2\n";
        assert_eq!(ModelConfig::parse(text), Ok(ModelConfig { v_prediction: true, stop_at: Some(-2) }));
        let text = "model: {params: {cond_stage_config: {target: x}}}";
        assert_eq!(ModelConfig::parse(text), Ok(ModelConfig::default()));
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_line() {
        for text in ["", "model: 3", "model:\n  params:\n    linear_start: 1\n", "a: &a [*a, *a]", "- x: ["] {
            let error = ModelConfig::parse(text).unwrap_err();
            assert!(error.starts_with("line "), "{error}");
        }
    }
}
