//! The autoencoder of clips.

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{TensorShapes, fill_uniform};
use kiln_models::{
    ActivationTap,
    vae::Autoencoder,
    vae3d::{self, Entry, HalfConfig, VideoVae, VideoVaeConfig},
};

use super::{Reference, distance, floats, wave, weights};

/// Wan 2.1's layout, eight channels wide at full size.
fn config() -> VideoVaeConfig {
    let half = |sides: &[[usize; 2]], resizes: &[(usize, [usize; 2], bool)]| {
        let mut entries: Vec<Entry> = sides.iter().map(|sides| Entry::Residual(*sides)).collect();
        for (at, channels, time) in resizes {
            entries.insert(*at, Entry::Resize { channels: *channels, time: *time });
        }
        entries
    };
    let down = half(
        &[[8, 8], [8, 8], [8, 16], [16, 16], [16, 32], [32, 32], [32, 32], [32, 32]],
        &[(2, [8, 8], false), (5, [16, 16], true), (8, [32, 32], true)],
    );
    let up = half(
        &[
            [32, 32],
            [32, 32],
            [32, 32],
            [16, 32],
            [32, 32],
            [32, 32],
            [16, 16],
            [16, 16],
            [16, 16],
            [8, 8],
            [8, 8],
            [8, 8],
        ],
        &[(3, [32, 16], true), (7, [32, 16], true), (11, [16, 8], false)],
    );
    VideoVaeConfig {
        channels: 16,
        encoder: Some(HalfConfig { input: [3, 8], entries: down, middle: 32, output: [32, 32] }),
        decoder: HalfConfig { input: [16, 32], entries: up, middle: 32, output: [8, 3] },
    }
}

fn vae() -> VideoVae {
    config().init(&weights("vae21.", &config().tensors().unwrap())).unwrap()
}

#[test]
fn names_and_shapes_say_all_of_the_layout() {
    let tensors = config().tensors().unwrap();
    assert_eq!(VideoVaeConfig::from_names(&tensors).unwrap(), config());
    assert_eq!((config().scale(), config().frames(), tensors.len()), (8, 4, 194));
}

#[test]
fn clips_are_what_the_reference_makes_of_them_chunk_by_chunk() {
    let (vae, reference) = (vae(), Reference::open());
    let z: Tensor<5> = reference.tensor("vae21.z5");
    let frames = z.reshape([16, 2, 3, 2]).swap_dims(0, 1);
    let decoded = floats(&vae.decode_clip(frames, ActivationTap::default()).unwrap().swap_dims(0, 1));
    let seventh: Vec<f32> = decoded.into_iter().step_by(7).collect();
    assert!(distance(&seventh, &reference.floats("vae21.decode5_every7")) < 2e-5);
    let mut pixels = vec![0.0; 5 * 24 * 16 * 3];
    fill_uniform("vae21.im5", 0.5, 0.5, &mut pixels);
    let image = Tensor::<4>::from_data(TensorData::new(pixels, [5, 24, 16, 3]), &Device::flex());
    // Two images more than fill a frame of the latent are left out.
    let longer = Tensor::cat(vec![image.clone(), image.clone().narrow(0, 0, 2)], 0);
    for image in [image, longer] {
        let encoded = (&vae as &dyn Autoencoder).encode_image(image).unwrap();
        assert_eq!(encoded.dims(), [1, 32, 3, 2], "two frames, folded into the channels");
        assert!(distance(&floats(&encoded), &reference.floats("vae21.encode5")) < 2e-5);
    }
}

#[test]
fn a_single_image_needs_no_more_than_a_slice_of_each_kernel() {
    let vae = vae();
    let z = wave([1, 16, 3, 2]);
    let alone = vae.decode_clip(z.clone(), ActivationTap::default()).unwrap();
    let clip = vae.decode_clip(Tensor::cat(vec![z.clone(), z * 0.5], 0), ActivationTap::default()).unwrap();
    assert_eq!((alone.dims(), clip.dims()), ([1, 3, 24, 16], [5, 3, 24, 16]));
    assert!(distance(&floats(&clip.narrow(0, 0, 1)), &floats(&alone)) < 1e-5);
}

#[test]
fn diffusers_names_are_those_of_the_same_network() {
    let tensors = config().tensors().unwrap();
    let renamed: TensorShapes = tensors.iter().map(|(name, shape)| (diffusers(name), shape)).collect();
    let found = vae3d::keys(&renamed, "").names();
    assert_eq!(found.len(), tensors.len());
    assert!(tensors.iter().all(|(name, shape)| found.shape(name) == Some(shape)), "{found:?}");
}

/// diffusers' name of a tensor, written from the layout of `AutoencoderKLWan`.
fn diffusers(name: &str) -> String {
    let outside = [("conv1.", "quant_conv."), ("conv2.", "post_quant_conv.")];
    if let Some((from, to)) = outside.iter().find(|(from, _)| name.starts_with(from)) {
        return name.replacen(from, to, 1);
    }
    let inside = [
        (".head.0.", ".norm_out."),
        (".head.2.", ".conv_out."),
        (".middle.0.", ".mid_block.resnets.0."),
        (".middle.1.", ".mid_block.attentions.0."),
        (".middle.2.", ".mid_block.resnets.1."),
        (".downsamples.", ".down_blocks."),
        ("coder.conv1.", "coder.conv_in."),
        ("residual.0.", "norm1."),
        ("residual.2.", "conv1."),
        ("residual.3.", "norm2."),
        ("residual.6.", "conv2."),
        ("shortcut.", "conv_shortcut."),
    ];
    let name = inside.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
    let Some((start, rest)) = name.split_once(".upsamples.") else { return name };
    let (n, rest) = rest.split_once('.').unwrap();
    let n: usize = n.parse().unwrap();
    match n % 4 {
        3 => format!("{start}.up_blocks.{}.upsamplers.0.{rest}", n / 4),
        i => format!("{start}.up_blocks.{}.resnets.{i}.{rest}", n / 4),
    }
}
