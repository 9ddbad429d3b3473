//! Nodes that open and write models that are told by an image what to draw.

use kiln_exec::{ConstantInputs, Cx, Execute, ExtraPngInfo, Fingerprint, Node, NodeError, SubmittedPrompt};
use kiln_models::save::ModelFile;

use super::fingerprint::file_fingerprint;
use super::opened::{Opened, checkpoints};
use super::save::{check_prefix, described, graph, save};
use crate::payload::{Clip, ClipVision, Model, Vae};

/// Opens a checkpoint with an image encoder beside its other parts (Stable Diffusion unCLIP).
#[derive(Node)]
#[node(class = "unCLIPCheckpointLoader", category = "loaders")]
pub struct UnClipCheckpointLoader {
    /// A file of the folder `checkpoints`.
    #[input(
        choices = checkpoints,
        provides(MODEL = "unet", CLIP = "clip", VAE = "vae", CLIP_VISION = "vision")
    )]
    ckpt_name: String,
}

impl Execute for UnClipCheckpointLoader {
    type Output = (Model, Clip, Vae, ClipVision);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "checkpoints", &["ckpt_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<(Model, Clip, Vae, ClipVision), NodeError> {
        let Opened { model, clip, vae, vision } = Opened::checkpoint(cx, &self.ckpt_name)?;
        Ok((model, clip, vae, vision))
    }
}

/// Opens a checkpoint that takes an image in place of a prompt (Stable Video Diffusion, SV3D, Stable Zero123).
#[derive(Node)]
#[node(
    display_name = "Image Only Checkpoint Loader (img2vid model)",
    category = "loaders/video_models",
    module = "comfy_extras.nodes_video_model"
)]
pub struct ImageOnlyCheckpointLoader {
    /// A file of the folder `checkpoints`.
    #[input(choices = checkpoints, provides(MODEL = "unet", CLIP_VISION = "vision", VAE = "vae"))]
    ckpt_name: String,
}

impl Execute for ImageOnlyCheckpointLoader {
    type Output = (Model, ClipVision, Vae);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "checkpoints", &["ckpt_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<(Model, ClipVision, Vae), NodeError> {
        let Opened { model, vae, vision, .. } = Opened::checkpoint(cx, &self.ckpt_name)?;
        Ok((model, vision, vae))
    }
}

/// Writes a model with its image encoder and its autoencoder as one checkpoint.
#[derive(Node)]
#[node(
    category = "advanced/model_merging",
    module = "comfy_extras.nodes_video_model",
    output_node,
    validates(filename_prefix)
)]
pub struct ImageOnlyCheckpointSave {
    /// The model.
    model: Model,
    /// Its image encoder.
    clip_vision: ClipVision,
    /// Its autoencoder.
    vae: Vae,
    /// How the file's name begins.
    #[input(default = "checkpoints/ComfyUI")]
    filename_prefix: String,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for ImageOnlyCheckpointSave {
    type Output = ();

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        check_prefix(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let Self { model, clip_vision, vae, filename_prefix, prompt, extra_pnginfo } = self;
        let graph = graph(cx, &prompt, &extra_pnginfo)?;
        let family = model.network.family;
        let file = ModelFile::default()
            .with_model(&model.network, &model.sampling)
            .with_vision(clip_vision.network()?, family.vision_prefix.unwrap_or_default())
            .with_vae(vae.network()?, family.vae_prefix);
        save(cx, &filename_prefix, |path| described(&model, path).into_iter().chain(graph).collect(), &file)
    }
}
