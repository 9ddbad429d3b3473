//! Classes that ComfyUI has replaced by others since: names that were misspelt, classes that became one.
//!
//! A table of facts about names. Knows neither prompts nor workflows.

/// A class, what took its place, and what became of its inputs.
pub(crate) struct Replacement {
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    /// The old class's widgets in their order, where the new one's are others.
    pub(crate) widgets: &'static [&'static str],
    /// The new inputs. Inputs that are not named here keep their names when there are none at all, and are dropped
    /// otherwise.
    pub(crate) inputs: &'static [(&'static str, From)],
}

/// Where the value of a new input comes from.
pub(crate) enum From {
    /// An old input.
    Input(&'static str),
    /// It is always this.
    Text(&'static str),
}

const TABLE: &[Replacement] = &[
    same("ConditioningAverage ", "ConditioningAverage"),
    Replacement {
        widgets: &["t2i_adapter_name"],
        inputs: &[("control_net_name", From::Input("t2i_adapter_name"))],
        ..same("T2IAdapterLoader", "ControlNetLoader")
    },
    same("SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning"),
    same("Load3DAnimation", "Load3D"),
    same("Preview3DAnimation", "Preview3D"),
    Replacement {
        widgets: &["longer_edge"],
        inputs: &[
            ("image", From::Input("images")),
            ("largest_size", From::Input("longer_edge")),
            ("upscale_method", From::Text("lanczos")),
        ],
        ..same("ResizeImagesByLongerEdge", "ImageScaleToMaxDimension")
    },
    Replacement {
        inputs: &[("images.image0", From::Input("image1")), ("images.image1", From::Input("image2"))],
        ..same("ImageBatch", "BatchImagesNode")
    },
    Replacement {
        widgets: &["upscale_method", "scale_by"],
        inputs: &[
            ("input", From::Input("image")),
            ("resize_type", From::Text("scale by multiplier")),
            ("resize_type.multiplier", From::Input("scale_by")),
            ("scale_method", From::Input("upscale_method")),
        ],
        ..same("ImageScaleBy", "ResizeImageMaskNode")
    },
    // Use Everywhere 7 makes a plain integer of it, which goes on to be sent everywhere.
    Replacement {
        widgets: &["seed"],
        inputs: &[("value", From::Input("seed"))],
        ..same("Seed Everywhere", "PrimitiveInt")
    },
];

const fn same(old: &'static str, new: &'static str) -> Replacement {
    Replacement { old, new, widgets: &[], inputs: &[] }
}

/// What took the place of a class.
pub(crate) fn of(class: &str) -> Option<&'static Replacement> {
    TABLE.iter().find(|entry| entry.old == class)
}

impl Replacement {
    /// The new name of an old input, if it has one.
    pub(crate) fn renamed<'n>(&self, input: &'n str) -> Option<&'n str>
    where
        'static: 'n,
    {
        if self.inputs.is_empty() {
            return Some(input);
        }
        let is_it = |(_, from): &&(&str, From)| matches!(from, From::Input(old) if *old == input);
        self.inputs.iter().find(is_it).map(|(new, _)| *new)
    }

    /// The new inputs that are always the same.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let text = |(new, from): &(&'static str, From)| match from {
            From::Text(text) => Some((*new, *text)),
            From::Input(_) => None,
        };
        self.inputs.iter().filter_map(text)
    }
}
