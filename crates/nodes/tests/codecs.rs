//! Payloads as bytes: each comes back to the last bit.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use kiln_exec::{CodecError, Codecs, FromValue, IntoValue, Values};
use kiln_memory::MemorySource;
use kiln_models::ModelError;
use kiln_models::conditioning::{
    Area, Camera, Concat, Condition, Conditioning as Conditions, ControlLink, ImagePrompt, LowRes, Mask as Region,
    Sizes, Video,
};
use kiln_models::lora::LoraFile;
use kiln_models::weight_hooks::{HookGroup, HookSource, HookWeights};
use kiln_models::{ControlCall, ControlSource, Residuals};
use kiln_nodes::payload::{Noise, Sigmas};
use kiln_nodes::{Conditioning, Image, Latent, Mask};
use proptest::prelude::*;

fn codecs() -> Codecs {
    kiln_nodes::registry().codecs().clone()
}

fn written(value: impl IntoValue) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    codecs().write(&Values::One(value.into_value()), &mut bytes)?;
    Ok(bytes)
}

/// There and back again.
fn back<T: IntoValue + FromValue>(value: T) -> T {
    let bytes = written(value).unwrap();
    let values = codecs().read(&mut &bytes[..], bytes.len() as u64).unwrap();
    T::from_value(values.at(0).unwrap().clone()).ok().unwrap()
}

/// Dimensions and the bits of all values.
fn bits<const D: usize>(tensor: &Tensor<D>) -> (Vec<usize>, Vec<u32>) {
    let values = tensor.clone().into_data().try_to_vec::<f32>().unwrap();
    (tensor.dims().to_vec(), values.into_iter().map(f32::to_bits).collect())
}

fn tensor<const D: usize>() -> impl Strategy<Value = Tensor<D>> {
    prop::collection::vec(1..5_usize, D).prop_flat_map(|dims| {
        let dims: [usize; D] = dims.try_into().unwrap();
        // Every bit pattern, so infinities and every NaN among them.
        let values = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), dims.iter().product::<usize>());
        values.prop_map(move |values| Tensor::from_data(TensorData::new(values, dims), &Device::flex()))
    })
}

fn maybe<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(of)
}

fn double() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits)
}

fn area() -> impl Strategy<Value = Area> {
    prop_oneof![
        any::<[usize; 4]>().prop_map(|[height, width, y, x]| Area::Cells { height, width, y, x }),
        [double(), double(), double(), double()].prop_map(|[height, width, y, x]| Area::Fraction {
            height,
            width,
            y,
            x
        }),
    ]
}

fn sizes() -> impl Strategy<Value = Sizes> {
    prop::collection::vec(maybe(any::<u32>().prop_map(f32::from_bits)), 7).prop_map(|all| Sizes {
        width: all[0],
        height: all[1],
        crop_w: all[2],
        crop_h: all[3],
        target_width: all[4],
        target_height: all[5],
        aesthetic_score: all[6],
    })
}

fn single() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

fn video() -> impl Strategy<Value = Video> {
    let camera = (single(), single()).prop_map(|(elevation, azimuth)| Camera { elevation, azimuth });
    let numbers = (maybe(single()), maybe(single()), maybe(single()), prop::collection::vec(camera, 0..3));
    numbers.prop_map(|(fps, motion, noise, cameras)| Video { fps, motion, noise, cameras: cameras.into() })
}

fn images() -> impl Strategy<Value = Vec<ImagePrompt>> {
    let image = (tensor::<2>(), double(), double());
    prop::collection::vec(image.prop_map(|(embeds, strength, noise)| ImagePrompt { embeds, strength, noise }), 0..3)
}

fn condition() -> impl Strategy<Value = Condition> {
    let tensors = (tensor::<3>(), maybe(tensor::<2>()), maybe(tensor::<3>()));
    let region = (tensor::<3>(), double(), any::<bool>());
    let region = region.prop_map(|(weights, strength, bounds)| Region { weights, strength, bounds });
    let concat = (tensor::<4>(), maybe(tensor::<4>())).prop_map(|(latent, mask)| Concat { latent, mask });
    let times = (maybe((double(), double())), maybe((double(), double())), any::<bool>());
    let rest = (maybe(area()), double(), maybe(region), times, sizes(), maybe(concat));
    let low_res = (tensor::<4>(), double()).prop_map(|(image, noise)| LowRes { image, noise });
    let told = (images(), video(), maybe(low_res));
    (tensors, rest, told).prop_map(
        |(tensors, (area, strength, mask, times, sizes, concat), (images, video, low_res))| {
            let (context, pooled, control_context) = tensors;
            let (range, encoded_for, default) = times;
            let plain = Condition { area, strength, mask, range, sizes, concat, ..Condition::new(context, pooled) };
            Condition { control_context, default, encoded_for, images, video, low_res, ..plain }
        },
    )
}

/// All of a condition as text, numbers by their bits.
fn spelled(condition: &Condition) -> String {
    let Condition { context, pooled, area, strength, mask, range, sizes, control, control_context, concat, .. } =
        condition;
    let Condition { grounding, hooks, default, encoded_for, images, video, low_res, .. } = condition;
    assert!(grounding.is_none());
    let area = area.map(|area| match area {
        Area::Cells { height, width, y, x } => [height, width, y, x].map(|n| n as u64),
        Area::Fraction { height, width, y, x } => [height, width, y, x].map(f64::to_bits),
    });
    let mask = mask.as_ref().map(|mask| (bits(&mask.weights), mask.strength.to_bits(), mask.bounds));
    let Sizes { width, height, crop_w, crop_h, target_width, target_height, aesthetic_score } = *sizes;
    let sizes = [width, height, crop_w, crop_h, target_width, target_height, aesthetic_score];
    format!(
        "{:?} {:?} {:?} {area:?} {} {mask:?} {:?} {:?} {} {:?} {:?} {} {default} {:?} {:?} {:?} {:?} {:?}",
        bits(context),
        pooled.as_ref().map(bits),
        matches!(condition.area, Some(Area::Cells { .. })),
        strength.to_bits(),
        range.map(|(start, end)| (start.to_bits(), end.to_bits())),
        sizes.map(|size| size.map(f32::to_bits)),
        control.is_some(),
        control_context.as_ref().map(bits),
        concat.as_ref().map(|concat| (bits(&concat.latent), concat.mask.as_ref().map(bits))),
        hooks.is_some(),
        encoded_for.map(|(start, end)| (start.to_bits(), end.to_bits())),
        images.iter().map(|i| (bits(&i.embeds), i.strength.to_bits(), i.noise.to_bits())).collect::<Vec<_>>(),
        [video.fps, video.motion, video.noise].map(|number| number.map(f32::to_bits)),
        video.cameras.iter().map(|c| [c.elevation, c.azimuth].map(f32::to_bits)).collect::<Vec<_>>(),
        low_res.as_ref().map(|low| (bits(&low.image), low.noise.to_bits())),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn images_and_masks_come_back(pixels in tensor::<4>(), values in tensor::<3>()) {
        prop_assert_eq!(bits(&back(Image::new(pixels.clone())).pixels()), bits(&pixels));
        prop_assert_eq!(bits(&back(Mask::new(values.clone())).tensor()), bits(&values));
    }

    #[test]
    fn latents_come_back_with_mask_and_batch_index(
        samples in tensor::<4>(),
        mask in maybe(tensor::<4>()),
        index in maybe(prop::collection::vec(any::<usize>(), 0..5)),
    ) {
        let latent = Latent { samples: Arc::new(samples), frames: None, noise_mask: mask.map(Arc::new), batch_index: index.map(Into::into) };
        let found = back(latent.clone());
        prop_assert_eq!(bits(&found.samples), bits(&latent.samples));
        prop_assert_eq!(found.noise_mask.as_deref().map(bits), latent.noise_mask.as_deref().map(bits));
        prop_assert_eq!(found.batch_index, latent.batch_index);
    }

    #[test]
    fn conditionings_come_back_with_all_that_nodes_add(entries in prop::collection::vec(condition(), 0..4)) {
        let found = back(Conditioning::new(Conditions { entries: entries.clone() }));
        let spell = |entries: &[Condition]| entries.iter().map(spelled).collect::<Vec<_>>();
        prop_assert_eq!(spell(&found.0.entries), spell(&entries));
    }

    #[test]
    fn sigmas_and_noise_come_back(levels in prop::collection::vec(any::<u32>(), 0..50), seed in any::<u64>(), enabled in any::<bool>()) {
        let sigmas = Sigmas::from(levels.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>());
        prop_assert_eq!(back(sigmas).0.iter().map(|level| level.to_bits()).collect::<Vec<_>>(), levels);
        let noise = Noise { seed, enabled };
        prop_assert_eq!(back(noise), noise);
    }
}

#[test]
fn a_view_of_a_tensor_is_written_as_it_looks() {
    let whole = Tensor::<1>::from_floats([1., 2., 3., 4., 5., 6., 7., 8.], &Device::flex()).reshape([1, 2, 2, 2]);
    let turned = whole.permute([0, 2, 3, 1]).slice([0..1, 1..2, 0..2, 0..2]);
    assert_eq!(bits(&back(Image::new(turned.clone())).pixels()), bits(&turned));
}

#[test]
fn every_type_that_travels_often_has_a_codec() {
    let codecs = codecs();
    let names: Vec<&str> = codecs.socket_types().collect();
    assert_eq!(names, ["CONDITIONING", "IMAGE", "LATENT", "MASK", "NOISE", "SIGMAS"]);
}

/// A ControlNet that adds nothing.
#[derive(Debug)]
struct Nothing;
impl ControlSource for Nothing {
    fn residuals(&self, _: &ControlCall<'_>) -> Result<Option<Residuals>, ModelError> {
        Ok(None)
    }
}

#[test]
fn a_conditioning_that_holds_a_network_says_that_it_cannot_be_written() {
    let context = Tensor::zeros([1, 2, 3], &Device::flex());
    let conditions =
        Conditions::new(context, None).set_control(|_| ControlLink { source: Arc::new(Nothing), to_negative: true });
    let error = written(Conditioning::new(conditions)).unwrap_err().to_string();
    let reason = "this CONDITIONING cannot be written down: it holds a ControlNet, which lies in a file of its own";
    assert_eq!(error, reason);
}

#[test]
fn a_conditioning_with_hooks_says_that_it_cannot_be_written() {
    let file = LoraFile::new(Arc::new(MemorySource::new("a lora")));
    let weights = HookWeights { source: HookSource::Lora(file), strength_model: 1.0, strength_clip: 1.0 };
    let hooks = Arc::new(HookGroup::of(weights).unwrap());
    let conditions = Conditions::new(Tensor::zeros([1, 2, 3], &Device::flex()), None).set_hooks(&hooks);
    let error = written(Conditioning::new(conditions)).unwrap_err().to_string();
    let reason = "this CONDITIONING cannot be written down: it holds hooks, whose weights lie in files of their own";
    assert_eq!(error, reason);
}

#[test]
fn numbers_that_are_not_f32_are_refused_and_not_rounded() {
    let half = Tensor::<4>::zeros([1, 2, 2, 3], &Device::flex()).cast(FloatDType::F16);
    let error = written(Image::new(half)).unwrap_err().to_string();
    assert_eq!(error, "this IMAGE cannot be written down: its numbers are F16, only f32 is written");
}
