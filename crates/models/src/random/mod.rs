//! Randomness, bit for bit as PyTorch's CPU generator, NumPy's `SeedSequence` and torchsde's Brownian tree give it.
//!
//! Knows flat `f32` values and shapes as element counts. Knows nothing of tensors, models or samplers.
//!
//! | type | what it reproduces |
//! |---|---|
//! | `Mt19937` | the integer generator below everything |
//! | [`TorchGenerator`] | `torch.randn`, `torch.rand`, `torch.randint` on the CPU (AVX2 code path) |
//! | [`initial_noise`] | ComfyUI's `prepare_noise`, with batch indices |
//! | [`NumpyGenerator`] | `numpy.random.seed`, `randint`, `permutation` |
//! | [`SeedSequence`] | `numpy.random.SeedSequence` |
//! | [`BrownianTree`] | `torchsde.BrownianTree` as k-diffusion's noise sampler calls it |

mod brownian;
mod generator;
mod mt19937;
mod noise;
mod normal;
mod numpy;
mod seed_sequence;

pub use brownian::BrownianTree;
pub use generator::TorchGenerator;
pub use noise::initial_noise;
pub use numpy::NumpyGenerator;
pub use seed_sequence::SeedSequence;
