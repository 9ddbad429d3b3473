//! What doesn't fit is refused with what was found, what was expected, and what to do.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;
use kiln_models::{
    Extras, Network,
    detect::families,
    mmdit::{self, MmditConfig},
    qwen_image::{self, QwenImageConfig},
    vae3d::VideoVaeConfig,
};

use super::{qwen, sd35m, wave, weights};

fn says(error: impl std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_picture_larger_than_the_table_of_positions_names_the_largest() {
    let config = sd35m();
    let net = config.init(&weights("sd35m.", &config.tensors().unwrap())).unwrap();
    let say = |x: Tensor<4>| net.forward(x, &[500.0], wave([1, 3, 64]), &mmdit::Pass::default());
    says(say(wave([1, 16, 4, 34])).unwrap_err(), &["at most 16 x 16 tokens, which is 256 x 256 pixels", "[2, 17]"]);
    assert_eq!(say(wave([1, 16, 1, 32])).unwrap().dims(), [1, 16, 1, 32]);
}

#[test]
fn latents_prompts_and_references_of_other_models_are_named() {
    let config = qwen();
    let net = config.init(&weights("qwen.", &config.tensors().unwrap())).unwrap();
    let pass = qwen_image::Pass::default();
    let say = |x, context, pass: &qwen_image::Pass<'_>| net.forward(x, &[0.5], context, pass);
    says(say(wave([1, 4, 8, 8]), wave([1, 3, 64]), &pass).unwrap_err(), &["`x`", "[batch, 16, h, w]", "4"]);
    says(say(wave([1, 16, 8, 8]), wave([1, 3, 48]), &pass).unwrap_err(), &["`context`", "[1, tokens, 64]", "48"]);
    let flux = [wave([1, 4, 8, 8])];
    let pass = qwen_image::Pass { references: &flux, ..pass };
    says(
        say(wave([1, 16, 8, 8]), wave([1, 3, 64]), &pass).unwrap_err(),
        &["`reference_latents`", "16", "[1, 4, 8, 8]"],
    );
    let clip = Extras { latent_frames: 2, ..Extras::default() };
    let error = Network::forward(&net, wave([1, 32, 8, 8]), &[0.5], wave([1, 3, 64]), &clip).unwrap_err();
    says(error, &["one frame", "encode pictures one by one"]);
}

#[test]
fn any_number_of_references_goes_through_and_the_smallest_do_too() {
    let config = qwen();
    let net = config.init(&weights("qwen.", &config.tensors().unwrap())).unwrap();
    for count in [0, 1, 9] {
        let references = vec![wave([1, 16, 1, 1]); count];
        let pass = qwen_image::Pass { references: &references, ..qwen_image::Pass::default() };
        let out = net.forward(wave([1, 16, 2, 3]), &[0.5], wave([1, 2, 64]), &pass).unwrap();
        assert_eq!(out.dims(), [1, 16, 2, 3], "{count} references");
    }
}

#[test]
fn relatives_that_are_not_run_are_named() {
    let with = |mut names: TensorShapes, name: &str, shape: &[usize]| {
        names.insert(name, shape);
        names
    };
    let (sd3, qwen) = (sd35m().tensors().unwrap(), qwen().tensors().unwrap());
    let research = with(sd3.clone(), "context_processor.layers.0.attn.qkv.weight", &[3, 1]);
    says(MmditConfig::from_names(&research).unwrap_err(), &["8B research form", "not supported"]);
    let layered = with(qwen.clone(), "time_text_embed.addition_t_embedding.weight", &[2, 96]);
    says(QwenImageConfig::from_names(&layered).unwrap_err(), &["Qwen-Image-Layered"]);
    let control = with(qwen.clone(), "controlnet_x_embedder.weight", &[96, 64]);
    says(families().network(&control).unwrap_err(), &["ControlNet of Qwen-Image"]);
    let marked = with(qwen, "__index_timestep_zero__", &[0]);
    assert!(QwenImageConfig::from_names(&marked).unwrap().clean_references);
    let mut wan22 = TensorShapes::default();
    wan22.insert("decoder.upsamples.0.upsamples.0.residual.0.gamma", [4, 1, 1, 1]);
    says(VideoVaeConfig::from_names(&wan22).unwrap_err(), &["Wan 2.2"]);
}

#[test]
fn a_shape_that_contradicts_another_is_an_error_and_no_panic() {
    for (name, shape) in [
        ("x_embedder.proj.weight", vec![100, 16, 2, 2]),
        ("x_embedder.proj.weight", vec![0, 16, 0, 0]),
        ("pos_embed", vec![1, 255, 128]),
        ("final_layer.linear.weight", vec![63, 128]),
        ("context_embedder.weight", vec![128]),
    ] {
        let mut names = sd35m().tensors().unwrap();
        names.insert(name, shape);
        MmditConfig::from_names(&names).unwrap_err();
    }
    for (name, shape) in [
        ("img_in.weight", vec![96, 63]),
        ("img_in.weight", vec![97, 64]),
        ("transformer_blocks.0.attn.norm_q.weight", vec![0]),
        ("proj_out.weight", vec![]),
    ] {
        let mut names = qwen().tensors().unwrap();
        names.insert(name, shape);
        QwenImageConfig::from_names(&names).unwrap_err();
    }
    says(qwen().with_axes([9, 11, 12]).unwrap_err(), &["[9, 11, 12]", "32"]);
}
