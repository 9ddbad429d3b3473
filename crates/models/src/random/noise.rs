//! The noise a run starts from: one normal number per latent element, kept per batch item.

use super::generator::TorchGenerator;

/// ComfyUI's `prepare_noise`: noise for `batch` items of `item_len` elements each, flat in row-major order.
///
/// Without `batch_index` one draw covers the whole batch. With it (LatentFromBatch, RepeatLatentBatch) item `b`
/// gets the noise that item `batch_index[b]` of a larger batch would have had: items are drawn one after the other up
/// to the largest index, and only the ones asked for are kept.
pub fn initial_noise(seed: u64, batch: usize, item_len: usize, batch_index: Option<&[usize]>) -> Vec<f32> {
    let mut generator = TorchGenerator::new(seed);
    let Some(wanted) = batch_index.filter(|list| !list.is_empty()) else {
        return generator.randn(batch * item_len);
    };
    let mut noise = vec![0.0; wanted.len() * item_len];
    for item in 0..=wanted.iter().copied().max().unwrap_or(0) {
        let drawn = generator.randn(item_len);
        for (place, _) in wanted.iter().enumerate().filter(|(_, w)| **w == item) {
            noise[place * item_len..][..item_len].copy_from_slice(&drawn);
        }
    }
    noise
}
