//! A small detector and a small segmenter as files: weights that are a function of name and shape. What they find means
//! nothing; where their bytes are, and when they go, is as with trained ones.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use indexmap::IndexMap;
use kiln::memory::{Dtype, Outgoing, TensorShapes, encode_f32, hash_uniform, write_safetensors};
use kiln::models::clip::{Activation, TextConfig};
use kiln::models::detector::{DetectorConfig, Version};
use kiln::models::segmenter::SegmenterConfig;

/// YOLO-World's layers in a tenth of the width of its smallest version.
fn detector() -> DetectorConfig {
    DetectorConfig {
        version: Version::V1,
        channels: [16, 16, 32, 64, 64],
        repeats: [1, 2, 2, 1],
        text_repeats: [1; 4],
        heads: [1, 1, 1, 1],
        text: 64,
        tokens: 64,
        hidden: [16, 16],
        fused: false,
    }
}

/// Two layers of CLIP.
fn text() -> TextConfig {
    TextConfig {
        vocabulary: 49408,
        positions: 77,
        width: 64,
        layers: 2,
        dropped: 0,
        heads: 1,
        mlp: 256,
        activation: Activation::QuickGelu,
        projection: Some(64),
        pad: 0,
    }
}

/// EfficientSAM's layers, narrow and few.
fn segmenter() -> SegmenterConfig {
    SegmenterConfig {
        image: 1024,
        patch: 16,
        width: 64,
        heads: 1,
        blocks: 2,
        mlp: 256,
        positions: 197,
        grid: None,
        decoder: 64,
        decoder_heads: 8,
        cross: 32,
        decoder_layers: 2,
        decoder_mlp: 128,
        masks: 4,
        upscaled: [16, 8],
    }
}

/// Writes `yolo_world/l.safetensors`, the text encoder in it, and `efficient_sam/small.safetensors` below a folder of models.
pub(crate) fn write(models: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (detector, text, segmenter) = (detector().tensors()?, text().tensors()?, segmenter().tensors()?);
    file(&models.join("yolo_world"), "l.safetensors", &[detector, text])?;
    file(&models.join("efficient_sam"), "small.safetensors", &[segmenter])?;
    Ok(())
}

fn file(folder: &Path, name: &str, parts: &[TensorShapes]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let outgoing = |(name, shape): (&str, &[usize])| {
        let (name, shape) = (name.to_owned(), shape.to_vec());
        Outgoing { name, dtype: Dtype::F16, shape }
    };
    let tensors: Vec<Outgoing> = parts.iter().flat_map(TensorShapes::iter).map(outgoing).collect();
    let mut file = BufWriter::new(File::create(folder.join(name))?);
    write_safetensors(&mut file, &IndexMap::default(), &tensors, |i, out| {
        let values = values(&tensors[i].name, &tensors[i].shape);
        out.write_all(&encode_f32(Dtype::F16, &values).map_err(io::Error::other)?)
    })?;
    file.flush()
}

/// The recipe, and batch norms that change nothing.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    hash_uniform(name, shape, &mut values);
    match name.rsplit('.').next() {
        Some("running_mean") => values.fill(0.0),
        Some("running_var") => values.fill(1.0),
        Some("logit_scale") => values.fill(2.0),
        _ => {}
    }
    values
}
