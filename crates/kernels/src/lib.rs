//! CPU kernels in f32 where burn's own are slow: convolution, attention, normalisation.
