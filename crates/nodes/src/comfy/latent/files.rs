//! Latents as files: safetensors with one tensor, the graph in the metadata.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData};
use kiln_exec::{
    ConstantInputs, Cx, Execute, ExtraPngInfo, Fingerprint, Host, Node, NodeError, SubmittedPrompt, Ui, WithUi, json,
};
use kiln_memory::{TensorSource, WeightFile};
use safetensors::tensor::{Dtype, TensorView};

use crate::comfy::image::save::shown;
use crate::files::{DirKind, Moment, SavePath, json_text};
use crate::payload::{Latent, values};
use crate::runtime::environment::{CxExt, Environment};

/// The tensor's name in the file.
const TENSOR: &str = "latent_tensor";
/// Files without this tensor hold latents times 0.18215.
const UNSCALED: &str = "latent_format_version_0";

/// Writes latents into the output folder.
#[derive(Node)]
#[node(display_name = "SaveLatent", category = "_for_testing", output_node)]
pub struct SaveLatent {
    /// The latents.
    samples: Latent,
    /// How file names begin.
    #[input(default = "latents/ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for SaveLatent {
    type Output = WithUi<()>;

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let environment = cx.environment()?;
        let mut metadata = HashMap::new();
        if environment.metadata() {
            metadata.insert("prompt".to_owned(), json_text(&self.prompt.0.to_value()));
            let parts = self.extra_pnginfo.0.as_deref().and_then(serde_json::Value::as_object);
            metadata.extend(parts.into_iter().flatten().map(|(key, value)| (key.clone(), json_text(value))));
        }
        let bytes: Vec<u8> = values(self.samples.tensor())?.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensors = [
            (TENSOR, TensorView::new(Dtype::F32, self.samples.shape(), &bytes)?),
            (UNSCALED, TensorView::new(Dtype::F32, vec![0], &[])?),
        ];
        let file = safetensors::serialize(tensors, Some(metadata))?;
        let prefix = &self.filename_prefix;
        let mut path = SavePath::new(environment.folders(), DirKind::Output, prefix, (0, 0), Moment::now())?;
        let saved = path.write(0, ".latent", &file)?;
        Ok(WithUi { outcome: (), ui: Ui::new().with("latents", shown(&saved)) })
    }
}

/// Reads latents from a file of the input folder.
#[derive(Node)]
#[node(display_name = "LoadLatent", category = "_for_testing", validates(latent))]
pub struct LoadLatent {
    /// A file that SaveLatent wrote; `name [output]` means the output folder.
    #[input(choices = latent_files)]
    latent: String,
}

fn latent_files(host: &Host) -> Vec<String> {
    host.get::<Environment>()
        .map(|environment| environment.folders().files(DirKind::Input, &["latent"]))
        .unwrap_or_default()
}

fn find(environment: &Environment, name: &str) -> Result<PathBuf, NodeError> {
    Ok(environment.folders().image(name, DirKind::Input)?)
}

impl Execute for LoadLatent {
    type Output = Latent;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let Some(name) = known.get_as::<String>("latent") else { return Ok(Fingerprint::Stable) };
        let path = find(&*known.host::<Environment>()?, &name)?;
        Ok(Fingerprint::Value(json!(blake3::hash(&std::fs::read(path)?).to_hex().to_string())))
    }

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        let (Some(name), Ok(environment)) = (known.get_as::<String>("latent"), known.host::<Environment>()) else {
            return Ok(());
        };
        find(&environment, &name).map(drop).map_err(|_| format!("Invalid latent file: {name}"))
    }

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let environment = cx.environment()?;
        let path = find(&environment, &self.latent)?;
        let file = WeightFile::open(&path)?;
        let shape = file.get(TENSOR).map(|info| info.shape.clone()).unwrap_or_default();
        let (dims, frames) = match *shape {
            [b, c, h, w] => ([b, c, h, w], None),
            [b, c, f, h, w] => ([b, c * f, h, w], Some(f)),
            _ => {
                return Err(NodeError::new(format!(
                    "{}: tensor `{TENSOR}` should be [B, C, H, W] or [B, C, F, H, W], found {shape:?}; is it a file of SaveLatent?",
                    path.display()
                )));
            }
        };
        let mut values = vec![0.0; dims.iter().product()];
        file.read_f32(TENSOR, &mut values)?;
        let latent = Tensor::from_data(TensorData::new(values, dims), environment.device());
        let latent = if file.get(UNSCALED).is_some() { latent } else { latent / 0.18215 };
        Ok(Latent { frames, ..Latent::new(latent) })
    }
}
