//! The reference's numbers.

use kiln_models::{ReferenceMethod, mmdit, qwen_image};

use super::{Reference, distance, floats, qwen, sd35m, weights};

/// Some ten layers in f32.
const CLOSE: f32 = 2e-5;

#[test]
fn stable_diffusion_35_medium_says_what_the_reference_says() {
    let (config, reference) = (sd35m(), Reference::open());
    let net = config.init(&weights("sd35m.", &config.tensors().unwrap())).unwrap();
    let (x, context) = (reference.tensor("sd35m.in.x"), reference.tensor("sd35m.in.context"));
    let out = net.forward(x, &reference.floats("sd35m.in.t"), context, &mmdit::Pass::default()).unwrap();
    assert!(distance(&floats(&out), &reference.floats("sd35m.out")) < CLOSE);
}

#[test]
fn qwen_image_with_references_says_what_the_reference_says() {
    let (config, reference) = (qwen(), Reference::open());
    let net = config.init(&weights("qwen.", &config.tensors().unwrap())).unwrap();
    for (case, method) in [("qwen", None), ("qwen_2511", Some(ReferenceMethod::IndexTimestepZero))] {
        let references = [reference.tensor(&format!("{case}.in.ref0"))];
        let pass = qwen_image::Pass { references: &references, method, ..qwen_image::Pass::default() };
        let (x, context) = (reference.tensor(&format!("{case}.in.x")), reference.tensor(&format!("{case}.in.context")));
        let out = net.forward(x, &reference.floats(&format!("{case}.in.t")), context, &pass).unwrap();
        assert!(distance(&floats(&out), &reference.floats(&format!("{case}.out"))) < CLOSE, "{case}");
    }
}

#[test]
fn a_file_marked_so_has_clean_references_unless_the_condition_says_otherwise() {
    let marked = qwen_image::QwenImageConfig { clean_references: true, ..qwen() };
    let reference = Reference::open();
    let net = marked.init(&weights("qwen.", &marked.tensors().unwrap())).unwrap();
    let references = [reference.tensor("qwen_2511.in.ref0")];
    let say = |method| {
        let pass = qwen_image::Pass { references: &references, method, ..qwen_image::Pass::default() };
        let (x, context) = (reference.tensor("qwen_2511.in.x"), reference.tensor("qwen_2511.in.context"));
        floats(&net.forward(x, &reference.floats("qwen_2511.in.t"), context, &pass).unwrap())
    };
    assert!(distance(&say(None), &reference.floats("qwen_2511.out")) < CLOSE);
    assert!(distance(&say(Some(ReferenceMethod::Index)), &reference.floats("qwen_2511.out")) > 1e-3);
}

#[test]
fn a_skipped_block_lets_both_streams_pass() {
    let mut config = sd35m();
    let net = config.init(&weights("sd35m.", &config.tensors().unwrap())).unwrap();
    let reference = Reference::open();
    let say = |net: &mmdit::Mmdit, skipped: &[usize]| {
        let pass = mmdit::Pass { skipped, ..mmdit::Pass::default() };
        let (x, context) = (reference.tensor("sd35m.in.x"), reference.tensor("sd35m.in.context"));
        floats(&net.forward(x, &reference.floats("sd35m.in.t"), context, &pass).unwrap())
    };
    // Without its third block, a network is one of three whose last is the fourth.
    config.second_attention.remove(2);
    let shapes = config.tensors().unwrap();
    let renamed = kiln_memory::ComputedSource::new(
        "recipe",
        shapes.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect::<Vec<_>>(),
        |name, shape, out| {
            let shape = if name == "pos_embed" { [&[1], shape].concat() } else { shape.to_vec() };
            kiln_memory::hash_uniform(&format!("sd35m.{}", name.replace("blocks.2.", "blocks.3.")), &shape, out);
        },
    );
    let budget = kiln_memory::Budget::unlimited("test");
    let short = config.init(&kiln_models::ModelWeights::plain(renamed, "test", &budget)).unwrap();
    assert_eq!(say(&net, &[2]), say(&short, &[]));
    assert_ne!(say(&net, &[2]), say(&net, &[]));
}
