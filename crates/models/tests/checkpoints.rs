//! Opening checkpoint files: the bundled one, and broken ones with a message that helps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, TensorShapes};
use kiln_models::{
    Checkpoint, Extras, ModelError,
    clip::{Hidden, Token},
    detect::{Family, Prediction},
    vae::Vae,
};

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors")
}

fn open(path: &Path) -> Result<Checkpoint, ModelError> {
    Checkpoint::open(path, &Budget::unlimited("test"))
}

fn refused(path: &Path) -> String {
    open(path).expect_err("this file is broken").to_string()
}

#[test]
fn the_bundled_checkpoint_opens_and_each_network_runs_once() {
    let checkpoint = open(&bundled()).unwrap();
    assert_eq!((checkpoint.model.family, checkpoint.model.prediction), (Family::SD1, Prediction::Eps));
    let device = Device::flex();
    let mut chunk = vec![Token::Id(Token::START), Token::Id(320)];
    chunk.resize(77, Token::Id(Token::END));
    let text = checkpoint.text.unwrap();
    let context = text.encoders[0].model.clip().unwrap().forward(&[chunk], Hidden::LAST, &device).unwrap().hidden;
    assert_eq!(context.dims(), [1, 77, 64]);
    let x = Tensor::<4>::zeros([1, 4, 9, 7], &device);
    let eps = checkpoint.model.network.forward(x, &[500.0], context, &Extras::default()).unwrap();
    assert_eq!(eps.dims(), [1, 4, 9, 7]);
    let image = checkpoint.vae.unwrap().decode_image(Tensor::zeros([1, 4, 2, 3], &device)).unwrap();
    assert_eq!(image.dims(), [1, 16, 24, 3]);
}

#[test]
fn opening_reads_the_header_and_keeps_no_weights() {
    let budget = Budget::unlimited("test");
    let _checkpoint = Checkpoint::open(&bundled(), &budget).unwrap();
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_missing_file_is_named() {
    let message = refused(Path::new("/nowhere/model.safetensors"));
    assert!(message.contains("/nowhere/model.safetensors"), "{message}");
}

#[test]
fn a_truncated_file_names_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.safetensors");
    let whole = std::fs::read(bundled()).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let message = refused(&path);
    assert!(message.contains("cut.safetensors") && message.contains("byte"), "{message}");
}

#[test]
fn a_lora_in_the_checkpoint_slot_is_called_a_lora() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lora.safetensors");
    let names: TensorShapes = [("lora_unet_mid_block_attentions_0.lora_up.weight", vec![4, 2])].into_iter().collect();
    common::write(&path, &names);
    let message = refused(&path);
    assert!(message.contains("no Stable Diffusion checkpoint. Recognised: a LoRA"), "{message}");
    assert!(message.contains("model.diffusion_model.input_blocks.0.0.weight"), "{message}");
}

/// The bundled model's names, so that a file of zeros can be made with some of them changed.
fn names() -> TensorShapes {
    TensorShapes::of(&*kiln_memory::WeightFile::open(bundled()).unwrap())
}

fn without_text(names: &TensorShapes) -> TensorShapes {
    names.iter().filter(|(name, _)| !name.starts_with("cond_stage_model.")).collect()
}

#[test]
fn wrong_and_missing_tensors_are_all_named_with_their_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.safetensors");
    let gone = "model.diffusion_model.middle_block.0.in_layers.2.bias";
    let wrong = "model.diffusion_model.middle_block.2.in_layers.2.weight";
    let mut names: TensorShapes = without_text(&names()).iter().filter(|(name, _)| *name != gone).collect();
    names.insert(wrong, [128, 96, 3, 3]);
    common::write(&path, &names);
    let message = refused(&path);
    assert!(message.contains(&format!("tensor `{gone}` [128] is missing")), "{message}");
    assert!(
        message.contains(&format!("tensor `{wrong}` should be [128, 128, 3, 3], found [128, 96, 3, 3]")),
        "{message}"
    );
}

#[test]
fn a_checkpoint_without_text_encoder_opens_and_says_it_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no-text.safetensors");
    common::write(&path, &without_text(&names()));
    let checkpoint = open(&path).unwrap();
    assert!(checkpoint.text.is_none() && checkpoint.vae.is_some());
}

#[test]
fn an_autoencoder_is_no_checkpoint_but_opens_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vae.safetensors");
    common::write(&path, &names().under("first_stage_model."));
    assert!(refused(&path).contains("Recognised: a VAE (128 wide)"));
    assert_eq!(Vae::open(&path, &Budget::unlimited("test")).unwrap().config().scale(), 8);
}

#[test]
fn inputs_of_another_shape_are_refused_by_name() {
    let model = open(&bundled()).unwrap().model;
    let device = Device::flex();
    let context = Tensor::<3>::zeros([1, 77, 64], &device);
    let call = |x: Tensor<4>, context: &Tensor<3>| {
        model.network.forward(x, &[1.0], context.clone(), &Extras::default()).unwrap_err().to_string()
    };
    let flux = call(Tensor::zeros([1, 16, 8, 8], &device), &context);
    assert_eq!(flux, "UNet: input `latent` should be [batch, 4, h, w], found [1, 16, 8, 8]");
    let wide = call(Tensor::zeros([1, 4, 8, 8], &device), &Tensor::zeros([1, 77, 768], &device));
    assert_eq!(
        wide,
        "UNet: input `context` should be [1, tokens, 64] as this model's own text encoders give it, found [1, 77, 768]"
    );
}
