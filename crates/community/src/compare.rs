//! Two images beside each other for the editor to compare, from rgthree.

use kiln_exec::{Cx, Execute, ExtraPngInfo, Node, NodeError, Registry, SubmittedPrompt, Ui, WithUi};
use kiln_nodes::image::save_preview;
use kiln_nodes::payload::Image;
use serde_json::{Map, Value as Json};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<ImageComparer>();
}

/// What the names of its files begin with.
const PREFIX: &str = "rgthree.compare.";

/// Shows two images for comparison: they go to the folder for temporary files.
#[derive(Node)]
#[node(
    class = "Image Comparer (rgthree)",
    display_name = "Image Comparer (rgthree)",
    category = "rgthree",
    module = "custom_nodes.rgthree-comfy",
    output_node
)]
struct ImageComparer {
    /// The first image.
    image_a: Option<Image>,
    /// The second image. Without it the second one of the first batch serves.
    image_b: Option<Image>,
    prompt: SubmittedPrompt,
    extra_pnginfo: ExtraPngInfo,
}

impl Execute for ImageComparer {
    type Output = WithUi<()>;

    fn execute(self, cx: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let mut ui = Map::new();
        for (name, image) in [("a_images", &self.image_a), ("b_images", &self.image_b)] {
            let image = image.as_ref().filter(|image| image.dims()[0] > 0);
            let save = |image| save_preview(cx, image, PREFIX, &self.prompt, &self.extra_pnginfo);
            let files = image.map(save).transpose()?.unwrap_or_default();
            ui.insert(name.to_owned(), Json::Array(files));
        }
        Ok(WithUi { outcome: (), ui: Ui::from(ui) })
    }
}
