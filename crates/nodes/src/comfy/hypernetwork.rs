//! Hypernetworks: files that change what a model's attention makes its keys and values of.

use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::hypernetwork::{Hypernetwork, HypernetworkChange};

use crate::comfy::loaders::fingerprint::file_fingerprint;
use crate::payload::Model;
use crate::runtime::environment::{CxExt, models};

crate::comfy::classes::classes! { HypernetworkLoader }

fn hypernetworks(host: &Host) -> Vec<String> {
    models(host, "hypernetworks")
}

/// Changes a model by a hypernetwork's file.
#[derive(Node)]
#[node(unnamed, category = "loaders", module = "comfy_extras.nodes_hypernetwork")]
pub struct HypernetworkLoader {
    /// The diffusion model.
    model: Model,
    /// A file of the folder `hypernetworks`.
    #[input(choices = hypernetworks, type = "COMBO", option("multiselect" = false), option("options" = Vec::<String>::new()), provides(MODEL = "hypernetwork"))]
    hypernetwork_name: String,
    /// How strongly it changes. May be negative.
    #[input(default = 1.0, min = -10.0, max = 10.0, step = 0.01)]
    strength: f32,
}

impl Execute for HypernetworkLoader {
    type Output = Model;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "hypernetworks", &["hypernetwork_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, hypernetwork_name, strength } = self;
        let environment = cx.environment()?;
        let path = environment.folders().model("hypernetworks", &hypernetwork_name)?;
        let net = Arc::new(Hypernetwork::open(&path, environment.budget())?);
        let change = Arc::new(HypernetworkChange { net, strength });
        Ok(model.patched(|patches| patches.hooks = std::mem::take(&mut patches.hooks).with_key_values(change)))
    }
}
