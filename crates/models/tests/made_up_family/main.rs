//! A family of models that Kiln doesn't know, written as a crate outside would: a folder and a row. It is recognised, sampled
//! with frames, paged under a small budget, merged, and inventoried, and nothing else knows its name.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod bricks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bricks::{BRICKS, WallConfig};
use burn::tensor::{Device, Tensor};
use indexmap::IndexMap;
use kiln_memory::{Budget, Dtype, HostPager, Outgoing, hash_uniform, write_safetensors};
use kiln_models::conditioning::Conditioning;
use kiln_models::detect::families;
use kiln_models::family::{Families, NetworkConfig};
use kiln_models::sampler::{Options, SamplerKind};
use kiln_models::sampling::{Guidance, NetworkPredictor, SamplingRun, StartLatent, noise_for};
use kiln_models::schedule::{Scheduler, steps};
use kiln_models::{DiffusionModel, Inventory};

const SIZES: WallConfig = WallConfig { channels: 3, width: 64, bricks: 6 };
const FRAMES: usize = 2;

/// A file of the family; the weights are a function of their names.
fn file(dir: &Path) -> PathBuf {
    let path = dir.join("wall.safetensors");
    let tensors = SIZES.tensors().unwrap();
    let named: Vec<(String, Vec<usize>)> =
        tensors.iter().map(|(name, shape)| (format!("wall.{name}"), shape.to_vec())).collect();
    let outgoing: Vec<Outgoing> = named
        .iter()
        .map(|(name, shape)| Outgoing { name: name.clone(), dtype: Dtype::F32, shape: shape.clone() })
        .collect();
    let mut out = Vec::new();
    write_safetensors(&mut out, &IndexMap::new(), &outgoing, |i, out| {
        let (name, shape) = &named[i];
        let mut values = vec![0.0; shape.iter().product()];
        hash_uniform(name, shape, &mut values);
        values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
    })
    .unwrap();
    std::fs::write(&path, out).unwrap();
    path
}

/// The table with the one row more.
fn table() -> Families {
    families().with(BRICKS)
}

fn opened(path: &Path, budget: &Arc<Budget>) -> DiffusionModel {
    DiffusionModel::open_among(&table(), path, None, budget).unwrap()
}

fn prompt(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 4, 8], value, &Device::flex()), None)
}

/// Three steps of Euler's sampler over an empty latent of two frames.
fn sampled(model: &DiffusionModel) -> Vec<f32> {
    let sampling = model.prediction.sampling();
    let empty = Tensor::zeros([1, SIZES.channels * FRAMES, 4, 6], &Device::flex());
    let latent = StartLatent::with_frames(empty, FRAMES, model.network.channels()).unwrap();
    let guidance = Guidance::Cfg { positive: prompt(0.5), negative: prompt(-0.25), scale: 2.0, rescale: None };
    let run = SamplingRun {
        model: &NetworkPredictor { network: &*model.network, sampling: &sampling, patches: None },
        sampling: &sampling,
        format: &model.latent,
        guidance: &guidance,
        sampler: SamplerKind::named("euler").unwrap(),
        options: Options::default(),
        sigmas: &steps::sigmas(&sampling.levels, Scheduler::Simple, 3, 1.0, false).unwrap(),
        seed: 7,
        noise: noise_for(latent.tensor(), 7, None).unwrap(),
        latent,
        mask: None,
        max_batch: 2,
    };
    run.run(&mut |_| Ok(())).unwrap().latent.into_data().try_to_vec().unwrap()
}

#[test]
fn its_file_is_recognised_and_other_tables_say_what_they_miss() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let budget = Budget::unlimited("test");
    let model = opened(&path, &budget);
    assert_eq!((model.family, model.latent.channels()), (BRICKS, 3));
    let error = DiffusionModel::open(&path, &budget).unwrap_err().to_string();
    assert!(error.contains("no UNet") && error.contains("`wall.bricks.0.bias`"), "{error}");
    let inventory = Inventory::among(&table(), &path).unwrap();
    assert_eq!(inventory.family, Some(BRICKS));
    assert_eq!(inventory.part("unet").unwrap().tensors, 2 * (SIZES.bricks + 2));
}

#[test]
fn it_is_sampled_with_frames_and_paged_under_a_small_budget() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let plenty = sampled(&opened(&path, &Budget::unlimited("test")));
    assert!(plenty.iter().all(|value| value.is_finite()) && plenty.iter().any(|value| *value != plenty[0]));
    let little = Budget::unlimited("test");
    let pager = HostPager::of(&little);
    let brick = (SIZES.width * SIZES.width * 4) as u64;
    pager.set_limit(2 * brick);
    let model = opened(&path, &little);
    assert_eq!(sampled(&model), plenty, "a limit changes no bit");
    assert!(pager.resident() <= 2 * brick, "{} bytes stay", pager.resident());
}

#[test]
fn frames_are_noise_in_torchs_order_and_a_latent_of_other_frames_is_refused() {
    let folded = Tensor::<4>::zeros([1, SIZES.channels * FRAMES, 4, 6], &Device::flex());
    let noise: Vec<f32> = noise_for(&folded, 3, None).unwrap().into_data().try_to_vec().unwrap();
    let mut torch = kiln_models::random::TorchGenerator::new(3);
    assert_eq!(noise, torch.randn(SIZES.channels * FRAMES * 4 * 6), "as for [1, 3, 2, 4, 6]");
    let full = Tensor::<4>::ones([1, 5, 4, 6], &Device::flex());
    let error = StartLatent::with_frames(full, FRAMES, SIZES.channels).unwrap_err().to_string();
    assert!(error.contains("2 frames of [B, 3, H/8, W/8]"), "{error}");
}

#[test]
fn two_of_it_are_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let model = opened(&file(dir.path()), &Budget::unlimited("test"));
    let mixed = model.merged(&model, |key| if key.starts_with("bricks.") { (0.5, 0.5) } else { (1.0, 0.0) }).unwrap();
    let (plain, mixed) = (sampled(&model), sampled(&mixed));
    let distance = plain.iter().zip(&mixed).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(distance < 1e-4, "half of each of two equal models is the model: {distance}");
}

/// Files of a folder, those in folders below it too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Places below a folder where the constant of a family stands (`Family::SD1`), by file.
fn named_in(folder: &Path) -> Vec<String> {
    let names_one = |text: &str| {
        text.split("Family::").skip(1).any(|rest| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            name.len() > 1 && !name.chars().any(|c| c.is_ascii_lowercase())
        })
    };
    let naming = files(folder).into_iter().filter(|path| names_one(&std::fs::read_to_string(path).unwrap()));
    naming.map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
}

#[test]
fn a_family_is_its_own_folder_and_one_row_of_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let outside = named_in(&source).into_iter().filter(|file| !file.starts_with("nets/"));
    assert_eq!(outside.collect::<Vec<_>>(), ["checkpoint/detect/table.rs"]);
    // This one's: a folder of three files, and one place that puts its row into the table.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/made_up_family/bricks");
    assert_eq!(files(&own).len(), 3);
    let mentions = files(&source).into_iter().filter(|file| std::fs::read_to_string(file).unwrap().contains("Bricks"));
    assert_eq!(mentions.count(), 0);
}
