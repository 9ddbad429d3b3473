//! Which instruction set a kernel runs on, decided while the program runs.

#[cfg(target_arch = "x86_64")]
use crate::simd::Avx2;
use crate::simd::{Kernel, Portable};

/// An instruction set that this machine has. Every kernel takes one; [`Isa::best`] is the usual choice.
///
/// Results of two sets differ in the last bits (one of them fuses multiply and add). Results of one set never depend on
/// the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Isa {
    /// Plain Rust on every machine: what the others are measured against.
    pub const PORTABLE: Self = Self(Set::Portable);

    /// The fastest set of this machine.
    pub fn best() -> Self {
        Self::avx2().unwrap_or(Self::PORTABLE)
    }

    /// AVX2 with FMA, where the machine has both.
    #[cfg(target_arch = "x86_64")]
    pub fn avx2() -> Option<Self> {
        Avx2::detect().map(|token| Self(Set::Avx2(token)))
    }

    /// AVX2 with FMA, where the machine has both.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn avx2() -> Option<Self> {
        None
    }

    /// A name for logs and reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2+fma",
        }
    }

    /// Runs `kernel` compiled for this set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(token) => token.run(kernel),
        }
    }
}
