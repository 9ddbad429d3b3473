//! `lora_keys_text_sd3`: which weight of which text encoder a LoRA's prefix means, for every subset of SD3's encoders.

use kiln_models::clip::{Activation, TextConfig};
use kiln_models::detect::TextEncoderKind;
use kiln_models::family::TextNetworkConfig;
use kiln_models::t5::T5Config;
use kiln_models::text_keys;

use crate::case::{CaseResult, Folder, Trouble};

fn clip(width: usize, layers: usize, activation: Activation) -> TextNetworkConfig {
    TextNetworkConfig::Clip(TextConfig {
        vocabulary: 49_408,
        positions: 77,
        width,
        layers,
        dropped: 0,
        heads: width / 64,
        mlp: 4 * width,
        activation,
        projection: Some(width),
        pad: 0,
    })
}

/// The encoders at full size by the letters that subsets are called by.
fn encoders() -> [(char, TextEncoderKind, TextNetworkConfig); 3] {
    let (width, inner) = (4096, 4096);
    let t5 = T5Config {
        vocabulary: 32_128,
        width,
        inner,
        heads: 64,
        mlp: 10_240,
        layers: 24,
        buckets: 32,
        own_distances: false,
    };
    [
        ('l', TextEncoderKind::L, clip(768, 12, Activation::QuickGelu)),
        ('g', TextEncoderKind::G, clip(1280, 32, Activation::Gelu)),
        ('t', TextEncoderKind::T5, TextNetworkConfig::T5(t5)),
    ]
}

/// Every prefix of every subset means the reference's weight.
pub fn keys(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let maps = folder.json(file)?;
    let (all, mut results) = (encoders(), Vec::new());
    for (name, expected) in maps.as_object().into_iter().flatten() {
        let subset = name.trim_start_matches("sd3_text").trim_start_matches('_');
        let there = |letter: char| subset.is_empty() || subset.contains(letter);
        let some: Vec<_> =
            all.iter().filter(|(letter, ..)| there(*letter)).map(|(_, role, config)| (*role, config)).collect();
        let found = text_keys(&some)?;
        let pairs = expected.as_object().into_iter().flatten();
        let wrong: Vec<_> = pairs
            .filter(|(prefix, key)| found.get(prefix).map(|place| place.key.as_str()) != key.as_str())
            .map(|(prefix, _)| prefix.as_str())
            .take(5)
            .collect();
        results.push(CaseResult::exact(name.as_str(), wrong.is_empty(), format!("{wrong:?}")));
    }
    Ok(results)
}
