//! Latents as files: safetensors with one tensor, the graph in the metadata.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData};
use kiln_exec::{
    Cx, Execute, ExtraPngInfo, Fingerprint, Host, Known, Node, NodeError, SubmittedPrompt, Ui, WithUi, json,
};
use kiln_memory::{TensorSource, WeightFile};
use safetensors::tensor::{Dtype, TensorView};

use crate::files::{Moment, Place, SavePath, json_text};
use crate::payload::{Latent, values};
use crate::save::shown;
use crate::studio::{InStudio, Studio};

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
        let studio = cx.studio()?;
        let mut metadata = HashMap::new();
        if studio.metadata() {
            metadata.insert("prompt".to_owned(), json_text(&self.prompt.0.to_value()));
            let parts = self.extra_pnginfo.0.as_deref().and_then(serde_json::Value::as_object);
            metadata.extend(parts.into_iter().flatten().map(|(key, value)| (key.clone(), json_text(value))));
        }
        let bytes: Vec<u8> = values(self.samples.tensor())?.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensors = [
            (TENSOR, TensorView::new(Dtype::F32, self.samples.dims().to_vec(), &bytes)?),
            (UNSCALED, TensorView::new(Dtype::F32, vec![0], &[])?),
        ];
        let file = safetensors::serialize(tensors, Some(metadata))?;
        let prefix = &self.filename_prefix;
        let mut path = SavePath::new(studio.folders(), Place::Output, prefix, (0, 0), Moment::now())?;
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
    host.get::<Studio>().map(|studio| studio.folders().files(Place::Input, &["latent"])).unwrap_or_default()
}

fn find(studio: &Studio, name: &str) -> Result<PathBuf, NodeError> {
    Ok(studio.folders().picture(name, Place::Input)?)
}

impl Execute for LoadLatent {
    type Output = Latent;

    fn fingerprint(known: &Known<'_>) -> Result<Fingerprint, NodeError> {
        let Some(name) = known.get_as::<String>("latent") else { return Ok(Fingerprint::Stable) };
        let path = find(&*known.host::<Studio>()?, &name)?;
        Ok(Fingerprint::Value(json!(blake3::hash(&std::fs::read(path)?).to_hex().to_string())))
    }

    fn validate(known: &Known<'_>) -> Result<(), String> {
        let (Some(name), Ok(studio)) = (known.get_as::<String>("latent"), known.host::<Studio>()) else {
            return Ok(());
        };
        find(&studio, &name).map(drop).map_err(|_| format!("Invalid latent file: {name}"))
    }

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let studio = cx.studio()?;
        let path = find(&studio, &self.latent)?;
        let file = WeightFile::open(&path)?;
        let shape = file.get(TENSOR).map(|info| info.shape.clone()).unwrap_or_default();
        let Ok(dims) = <[usize; 4]>::try_from(shape.clone()) else {
            return Err(NodeError::new(format!(
                "{}: tensor `{TENSOR}` should be [B, C, H, W], found {shape:?}; is it a file of SaveLatent?",
                path.display()
            )));
        };
        let mut values = vec![0.0; dims.iter().product()];
        file.read_f32(TENSOR, &mut values)?;
        let latent = Tensor::from_data(TensorData::new(values, dims), studio.device());
        Ok(Latent::new(if file.get(UNSCALED).is_some() { latent } else { latent / 0.18215 }))
    }
}
