//! Loaders of GGUF files, from ComfyUI-GGUF. Kiln's own loaders read those files as well; these are their names.

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeClass, NodeError, Outcome, Registry};
use kiln_nodes::loaders::{CLIPLoader, DualCLIPLoader, UNETLoader, file_fingerprint};
use kiln_nodes::payload::{Clip, Model};
use kiln_nodes::runtime::Environment;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<UnetLoaderGGUF>();
    registry.add::<CLIPLoaderGGUF>();
    registry.add::<DualCLIPLoaderGGUF>();
}

fn files(host: &Host, kind: &str) -> Vec<String> {
    host.get::<Environment>().map(|environment| environment.folders().models(kind)).unwrap_or_default()
}

fn unets(host: &Host) -> Vec<String> {
    let is_gguf = |name: &String| name.to_ascii_lowercase().ends_with(".gguf");
    files(host, "diffusion_models").into_iter().filter(is_gguf).collect()
}

/// Text encoders of any format: a GGUF file may stand beside another one.
fn text_encoders(host: &Host) -> Vec<String> {
    files(host, "text_encoders")
}

/// The families that ComfyUI's loader has.
fn families<L: NodeClass>(_: &Host) -> Vec<String> {
    let def = L::def();
    let choices = def.find_input("type").and_then(|input| input.choices()).unwrap_or_default();
    choices.iter().filter_map(|choice| choice.as_str().map(str::to_owned)).collect()
}

/// Opens a diffusion model from a GGUF file.
#[derive(Node)]
#[node(display_name = "Unet Loader (GGUF)", category = "bootleg", module = "custom_nodes.ComfyUI-GGUF")]
struct UnetLoaderGGUF {
    /// A GGUF file of the folder `diffusion_models`.
    #[input(choices = unets, provides(MODEL = "unet"))]
    unet_name: String,
}

impl Execute for UnetLoaderGGUF {
    type Output = Outcome<Model>;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "diffusion_models", &["unet_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Model>, NodeError> {
        let loader = UNETLoader::node().unet_name(self.unet_name).weight_dtype("default");
        Ok(cx.expand(|graph| graph.add(loader)))
    }
}

/// Opens a text encoder from a GGUF file, or from one of another format.
#[derive(Node)]
#[node(display_name = "CLIPLoader (GGUF)", category = "bootleg", module = "custom_nodes.ComfyUI-GGUF")]
struct CLIPLoaderGGUF {
    /// A file of the folder `text_encoders`.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    clip_name: String,
    /// The family it is for.
    #[input(name = "type", choices = families::<CLIPLoader>)]
    family: String,
}

impl Execute for CLIPLoaderGGUF {
    type Output = Outcome<Clip>;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "text_encoders", &["clip_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Clip>, NodeError> {
        let loader = CLIPLoader::node().clip_name(self.clip_name).family(self.family);
        Ok(cx.expand(|graph| graph.add(loader)))
    }
}

/// Opens two text encoders for one model, each from a GGUF file or from one of another format.
#[derive(Node)]
#[node(display_name = "DualCLIPLoader (GGUF)", category = "bootleg", module = "custom_nodes.ComfyUI-GGUF")]
struct DualCLIPLoaderGGUF {
    /// A file of the folder `text_encoders`.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    clip_name1: String,
    /// Another one.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    clip_name2: String,
    /// The family they are for.
    #[input(name = "type", choices = families::<DualCLIPLoader>)]
    family: String,
}

impl Execute for DualCLIPLoaderGGUF {
    type Output = Outcome<Clip>;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "text_encoders", &["clip_name1", "clip_name2"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Clip>, NodeError> {
        let Self { clip_name1, clip_name2, family } = self;
        let loader = DualCLIPLoader::node().clip_name1(clip_name1).clip_name2(clip_name2).family(family);
        Ok(cx.expand(|graph| graph.add(loader)))
    }
}
