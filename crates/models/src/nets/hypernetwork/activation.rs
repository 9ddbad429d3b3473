//! The functions between a hypernetwork's layers, by the names that files have for them.

use burn::tensor::{Tensor, activation};

/// A function between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// None.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `x`, below 0 a hundredth of it.
    LeakyRelu,
    /// `x`, below 0 `exp(x) - 1`.
    Elu,
    /// `x · min(max(x + 3, 0), 6) / 6`: torch's hard form of it.
    Swish,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x · tanh(ln(1 + exp(x)))`.
    Mish,
}

impl Nonlinearity {
    /// All of them with their names in files.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("linear", Self::Linear),
        ("relu", Self::Relu),
        ("leakyrelu", Self::LeakyRelu),
        ("elu", Self::Elu),
        ("swish", Self::Swish),
        ("tanh", Self::Tanh),
        ("sigmoid", Self::Sigmoid),
        ("softsign", Self::Softsign),
        ("mish", Self::Mish),
    ];

    pub(super) fn forward(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Linear => x,
            Self::Relu => x.clamp_min(0.0),
            Self::LeakyRelu => x.clone().clamp_min(0.0) + x.clamp_max(0.0) * 0.01,
            Self::Elu => x.clone().clamp_min(0.0) + (x.clamp_max(0.0).exp() - 1.0),
            Self::Swish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Tanh => x.tanh(),
            Self::Sigmoid => activation::sigmoid(x),
            Self::Softsign => x.clone() / (x.abs() + 1.0),
            // Beyond 20 torch takes the logarithm for its argument; so it is in f32.
            Self::Mish => x.clone() * (x.clone().clamp_min(0.0) + (x.abs().neg().exp() + 1.0).log()).tanh(),
        }
    }
}
