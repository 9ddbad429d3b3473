//! The loader of three text encoders.

use std::path::{Path, PathBuf};

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::{TextEncoders, detect::TextEncoderKind};

use super::fingerprint::file_fingerprint;
use crate::payload::Clip;
use crate::runtime::environment::{CxExt, models};

fn text_encoders(host: &Host) -> Vec<String> {
    models(host, "text_encoders")
}

/// Opens the three text encoders of Stable Diffusion 3: CLIP-L, CLIP-G and T5-XXL, in any order.
#[derive(Node)]
#[node(unnamed, category = "advanced/loaders", module = "comfy_extras.nodes_sd3")]
pub struct TripleCLIPLoader {
    /// A file of the folder `text_encoders`.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    #[input(name = "clip_name1", type = "COMBO")]
    #[input(option("multiselect" = false), option("options" = Vec::<String>::new()))]
    first: String,
    /// Another one.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    #[input(name = "clip_name2", type = "COMBO")]
    #[input(option("multiselect" = false), option("options" = Vec::<String>::new()))]
    second: String,
    /// The third; their order does not matter.
    #[input(choices = text_encoders, provides(CLIP = "clip"))]
    #[input(name = "clip_name3", type = "COMBO")]
    #[input(option("multiselect" = false), option("options" = Vec::<String>::new()))]
    third: String,
}

impl Execute for TripleCLIPLoader {
    type Output = Clip;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "text_encoders", &["clip_name1", "clip_name2", "clip_name3"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Clip, NodeError> {
        let environment = cx.environment()?;
        let find = |name: &str| environment.folders().model("text_encoders", name);
        let paths: [PathBuf; 3] = [find(&self.first)?, find(&self.second)?, find(&self.third)?];
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let text = TextEncoders::open_as(&paths, "sd3", environment.budget())?;
        let all = [TextEncoderKind::L, TextEncoderKind::G, TextEncoderKind::T5];
        if let Some(missing) = all.into_iter().find(|role| text.encoder(*role).is_none()) {
            let names = [&*self.first, &self.second, &self.third].join(", ");
            return Err(NodeError::new(format!(
                "none of {names} is {}; SD3 reads prompts with clip_l, clip_g and t5xxl. Choose one file of each, or load two \
                 with DualCLIPLoader, type `sd3`",
                missing.name()
            )));
        }
        Ok(Clip::new(text))
    }
}
