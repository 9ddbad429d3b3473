//! What a network is handed for each condition: controls, and images to work on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_models::Residuals;
use kiln_models::conditioning::{Concat, Conditioning, ControlLink};
use kiln_models::sampler::{Options, SamplerKind};
use kiln_models::schedule::ModelSampling;
use kiln_models::{
    ControlCall, ControlSource,
    sampler::SamplingError,
    sampling::{Guidance, Inputs, Predictor, SamplingRun, StartLatent, noise_for},
};
use kiln_models::{LatentFormat, ModelError};

/// A control that is only a name.
struct Named(&'static str);

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl ControlSource for Named {
    fn residuals(&self, _: &ControlCall<'_>) -> Result<Option<Residuals>, ModelError> {
        Ok(None)
    }
}

/// Notes what it is asked with; the answer is the latent itself.
#[derive(Debug, Default)]
struct Witness {
    extra: usize,
    /// First number of each context with the control that came with it.
    asked: RefCell<Vec<(f32, String)>>,
    concat: RefCell<Option<Tensor<4>>>,
}

impl Predictor for Witness {
    fn denoised(&self, x: Tensor<4>, _: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        let control = inputs.control.map_or_else(String::new, |control| format!("{control:?}"));
        let items = inputs.context.dims()[0];
        let first = inputs.context.slice([0..items, 0..1, 0..1]).try_to_vec_as::<f32>().unwrap();
        self.asked.borrow_mut().extend(first.into_iter().map(|c| (c, control.clone())));
        *self.concat.borrow_mut() = inputs.concat;
        Ok(x)
    }

    fn channels(&self) -> usize {
        4
    }

    fn extra_channels(&self) -> usize {
        self.extra
    }
}

fn says(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 77, 8], value, &Device::flex()), None)
}

fn controlled(value: f32, name: &'static str) -> Conditioning {
    says(value).set_control(|_| ControlLink { source: Arc::new(Named(name)), to_negative: true })
}

fn ask(model: &Witness, positive: Conditioning, negative: Conditioning, latent: Tensor<4>) {
    let sampling = ModelSampling::eps();
    let guidance = Guidance::Cfg { positive, negative, scale: 2.0, rescale: None };
    let run = SamplingRun {
        model,
        sampling: &sampling,
        format: &LatentFormat::SD1,
        guidance: &guidance,
        sampler: SamplerKind::named("euler").unwrap(),
        options: Options::default(),
        sigmas: &[1.0, 0.0],
        seed: 1,
        noise: noise_for(&latent, 1, None).unwrap(),
        latent: StartLatent::new(latent, model.channels()).unwrap(),
        mask: None,
        max_batch: usize::MAX,
    };
    run.run(&mut |_| Ok(())).unwrap();
}

fn square(batch: usize) -> Tensor<4> {
    Tensor::zeros([batch, 4, 8, 8], &Device::flex())
}

/// The control that the condition of this number came with.
fn control_of(model: &Witness, value: f32) -> String {
    let asked = model.asked.borrow();
    asked.iter().find(|(c, _)| *c == value).map(|(_, control)| control.clone()).unwrap()
}

#[test]
fn one_control_of_the_positive_speaks_to_the_first_negative_only() {
    let model = Witness::default();
    ask(&model, controlled(0.5, "canny"), says(-0.1).combine(&says(-0.2)), square(1));
    assert_eq!(control_of(&model, 0.5), "canny");
    assert_eq!(control_of(&model, -0.1), "canny");
    assert_eq!(control_of(&model, -0.2), "");
}

#[test]
fn of_two_controls_the_only_negative_keeps_the_last_one() {
    let model = Witness::default();
    ask(&model, controlled(0.5, "canny").combine(&controlled(0.6, "depth")), says(-0.1), square(1));
    assert_eq!(control_of(&model, -0.1), "depth");
}

#[test]
fn a_negative_with_a_control_of_its_own_keeps_all_negatives_as_they_are() {
    let model = Witness::default();
    ask(&model, controlled(0.5, "canny"), controlled(-0.1, "depth").combine(&says(-0.2)), square(1));
    assert_eq!((control_of(&model, -0.1), control_of(&model, -0.2)), ("depth".into(), String::new()));
}

/// An image to work on whose mask is white in its left half, 8 high and `width` wide.
fn half_masked(width: usize, latents: usize) -> Concat {
    let row = (0..width).map(|x| f32::from(u8::from(x < width / 2)));
    let values: Vec<f32> = row.cycle().take(8 * width).collect();
    let mask = Tensor::from_data(TensorData::new(values, [1, 1, 8, width]), &Device::flex());
    let image = |i: usize| Tensor::full([1, 4, 8, 8], i as f32, &Device::flex());
    Concat { latent: Tensor::cat((0..latents).map(image).collect(), 0), mask: Some(mask) }
}

#[test]
fn an_inpainting_networks_mask_of_another_ratio_is_cut_in_its_middle() {
    let model = Witness { extra: 5, ..Witness::default() };
    ask(&model, says(0.5).set_concat(&half_masked(16, 1)), says(0.0), square(1));
    let beside = model.concat.borrow().clone().unwrap();
    let mask = beside.narrow(0, 1, 1).narrow(1, 0, 1).narrow(2, 0, 1).try_to_vec_as::<f32>().unwrap();
    assert_eq!(mask, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn images_to_work_on_are_spread_over_a_larger_batch() {
    let model = Witness { extra: 4, ..Witness::default() };
    ask(&model, says(0.5).set_concat(&half_masked(8, 2)), says(0.5).set_concat(&half_masked(8, 2)), square(4));
    let beside = model.concat.borrow().clone().unwrap();
    let first = beside.narrow(0, 0, 4).narrow(1, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1);
    assert_eq!(first.try_to_vec_as::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0]);
}
