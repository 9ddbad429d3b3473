//! What causal layers remember of the frames before a chunk.
//!
//! Knows frames, no layer. Layers take their turns in the order in which they run, the same for every chunk.

use burn::tensor::Tensor;

/// The memories of all layers of one way through, for one clip.
#[derive(Debug, Default)]
pub(super) struct Past {
    memories: Vec<Memory>,
    next: usize,
    last: bool,
}

/// What one layer remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The latest frames of its input, `[frames, channels, h, w]`.
    pub(super) frames: Option<Tensor<4>>,
    /// Whether a chunk has come by.
    pub(super) begun: bool,
}

impl Past {
    /// The next chunk starts; `last`: no other one follows, so that nothing needs to be remembered of it.
    pub(super) fn start_chunk(&mut self, last: bool) {
        (self.next, self.last) = (0, last);
    }

    /// The memory of the layer whose turn it is, and whether it will be asked again.
    pub(super) fn turn(&mut self) -> (&mut Memory, bool) {
        let turn = self.next;
        self.next += 1;
        if self.memories.len() <= turn {
            self.memories.resize_with(turn + 1, Memory::default);
        }
        (&mut self.memories[turn], !self.last)
    }
}

impl Memory {
    /// What was remembered, with frames of zeros in front up to `count`, and `x` behind it; the latest `count` frames of
    /// `x` and what was before are remembered when `keep` is set.
    pub(super) fn lengthen(&mut self, x: Tensor<4>, count: usize, keep: bool) -> Tensor<4> {
        let [_, channels, height, width] = x.dims();
        let before = self.frames.take();
        let there = before.as_ref().map_or(0, |frames| frames.dims()[0]);
        if keep {
            self.frames = Some(latest(before.iter().chain([&x]), count));
        }
        let zeros = (there < count).then(|| Tensor::zeros([count - there, channels, height, width], &x.device()));
        Tensor::cat(zeros.into_iter().chain(before).chain([x]).collect(), 0)
    }
}

/// The last `count` frames of clips that follow each other, or as many as there are.
fn latest<'a>(clips: impl Iterator<Item = &'a Tensor<4>>, count: usize) -> Tensor<4> {
    let all = Tensor::cat(clips.cloned().collect(), 0);
    let frames = all.dims()[0];
    all.narrow(0, frames.saturating_sub(count), frames.min(count))
}
