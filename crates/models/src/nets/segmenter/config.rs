//! The shape of a segmenter as plain data, read off tensor names and shapes.

use kiln_memory::TensorShapes;

use crate::error::ModelError;

/// The sizes of a segmenter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmenterConfig {
    /// Side of the square that images are stretched to; not in a file, 1024.
    pub image: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Channels of the image encoder.
    pub width: usize,
    /// Its heads; not in a file, 64 channels each.
    pub heads: usize,
    /// Its blocks.
    pub blocks: usize,
    /// Channels inside of its MLPs.
    pub mlp: usize,
    /// Entries of its table of positions, the one of a class token with them.
    pub positions: usize,
    /// Whether the table is a grid already.
    pub grid: Option<usize>,
    /// Channels of the decoder, and of what the encoder makes.
    pub decoder: usize,
    /// Its heads; not in a file, 8.
    pub decoder_heads: usize,
    /// Channels inside of its cross attentions.
    pub cross: usize,
    /// Its layers.
    pub decoder_layers: usize,
    /// Channels inside of its MLPs.
    pub decoder_mlp: usize,
    /// Masks that it makes of each prompt, the one for unambiguous prompts first.
    pub masks: usize,
    /// Channels after each doubling of the map.
    pub upscaled: [usize; 2],
}

/// Side of the published models' square.
const IMAGE: usize = 1024;
/// Channels of an encoder's head.
const HEAD: usize = 64;
/// Heads of the decoder.
const DECODER_HEADS: usize = 8;

impl SegmenterConfig {
    /// Reads the configuration off names and shapes, `None` when they are no segmenter's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` for a segmenter of another kind, with its name, and for sizes that contradict each other.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        if let Some(other) = other_segmenter(names) {
            let detail = format!("it is {other}, which this version of Kiln does not run; use an EfficientSAM file");
            return Err(unrecognised(&detail));
        }
        if !names.has("image_encoder.pos_embed") || !names.any("prompt_encoder.bbox_top_left_embeddings.") {
            return Ok(None);
        }
        Self::of(names).map(Some)
    }

    fn of(names: &TensorShapes) -> Result<Self, ModelError> {
        let side = |name: &str, axis| {
            let found = names.side(name, axis).filter(|n| *n > 0);
            found.ok_or_else(|| unrecognised(&format!("`{name}` is missing or has another number of sides")))
        };
        let decoder = |name: &str, axis| side(&format!("mask_decoder.{name}"), axis);
        let upscaling = "final_output_upscaling_layers";
        let width = side("image_encoder.patch_embed.proj.weight", 0)?;
        let (positions, grid) = match names.shape("image_encoder.pos_embed") {
            Some(&[1, rows, columns, _]) if rows == columns => (rows * columns, Some(rows)),
            Some(&[1, entries, _]) => (entries, None),
            other => return Err(unrecognised(&format!("`image_encoder.pos_embed` is {other:?}"))),
        };
        let found = Self {
            image: IMAGE,
            patch: side("image_encoder.patch_embed.proj.weight", 2)?,
            width,
            heads: (width / HEAD).max(1),
            blocks: names.count("image_encoder.blocks."),
            mlp: side("image_encoder.blocks.0.mlp.fc1.weight", 0)?,
            positions,
            grid,
            decoder: decoder("iou_token.weight", 1)?,
            decoder_heads: DECODER_HEADS,
            cross: decoder("transformer.final_attn_token_to_image.q_proj.weight", 0)?,
            decoder_layers: names.count("mask_decoder.transformer.layers."),
            decoder_mlp: decoder("transformer.layers.0.mlp.layers.0.0.weight", 0)?,
            masks: decoder("mask_tokens.weight", 0)?,
            upscaled: [
                decoder(&format!("{upscaling}.0.0.weight"), 1)?,
                decoder(&format!("{upscaling}.1.0.weight"), 1)?,
            ],
        };
        found.checked()
    }

    /// These sizes, if a network can be made of them.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` with what contradicts what.
    pub fn checked(self) -> Result<Self, ModelError> {
        let table = self.grid.unwrap_or_else(|| self.positions.saturating_sub(1).isqrt());
        let entries = table * table + usize::from(self.grid.is_none());
        if table == 0 || entries != self.positions {
            return Err(unrecognised(&format!("{} positions are no square and one for the class", self.positions)));
        }
        let divides = |heads: usize, width: usize| heads != 0 && width.is_multiple_of(heads);
        if !divides(self.heads, self.width) || self.patch == 0 || !self.image.is_multiple_of(self.patch) {
            let detail = format!("{} channels in {} heads, patches of {}", self.width, self.heads, self.patch);
            return Err(unrecognised(&detail));
        }
        let (heads, cross) = (self.decoder_heads, self.cross);
        if !divides(heads, self.decoder) || !divides(heads, cross) || !self.decoder.is_multiple_of(2) || self.masks < 2
        {
            let detail = format!("{} and {cross} channels in {heads} heads, {} masks", self.decoder, self.masks);
            return Err(unrecognised(&detail));
        }
        Ok(self)
    }

    /// Places along each side of the encoded image.
    pub(super) fn cells(&self) -> usize {
        self.image / self.patch
    }

    /// Places along each side of a mask before it is brought to the image's size.
    pub fn mask_side(&self) -> usize {
        self.cells() * 4
    }
}

/// The name of a segmenter that is not EfficientSAM.
fn other_segmenter(names: &TensorShapes) -> Option<&'static str> {
    let any = |probes: &[&str]| probes.iter().any(|probe| names.any(probe));
    if any(&["image_encoder.trunk.", "sam_mask_decoder.", "vision_encoder.backbone."]) {
        return Some("SAM 2");
    }
    if any(&["image_encoder.blocks.0.attn.rel_pos_", "vision_encoder.layers.0.attn.rel_pos_"]) {
        return Some("SAM (Segment Anything 1)");
    }
    any(&["detector.backbone.vision_backbone."]).then_some("SAM 3")
}

fn unrecognised(detail: &str) -> ModelError {
    ModelError::Unrecognised { what: "an EfficientSAM segmenter".into(), detail: detail.into() }
}
