//! Which instruction set a kernel runs on, decided while the program runs.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Kernel, Portable, Shape, Simd};

/// The variable of the environment that chooses a set for the whole process, by its short name.
const VARIABLE: &str = "KILN_ISA";

/// What [`Isa::best`] returns, from its first call on.
static CHOSEN: OnceLock<Isa> = OnceLock::new();

/// An instruction set that this machine has. Every kernel takes one; [`Isa::best`] is the usual choice.
///
/// Results of two sets differ in the last bits (some fuse multiply and add, and sum up along other lanes). Results of
/// one set never depend on the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// Why a set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no instruction set of this machine; it has {}", known.join(", "))]
pub struct IsaError {
    name: String,
    known: Vec<&'static str>,
}

impl Isa {
    /// Plain Rust on every machine: what the others are measured against.
    pub const PORTABLE: Self = Self(Set::Portable);

    /// The fastest set of this machine, or the one that the environment's `KILN_ISA` names (`portable`, `avx2`,
    /// `avx512`) where the machine has it. The environment is read once.
    pub fn best() -> Self {
        *CHOSEN.get_or_init(|| Self::of_environment().ok().flatten().unwrap_or_else(Self::fastest))
    }

    /// Makes this the set that [`best`](Self::best) returns, whatever the environment says.
    ///
    /// # Errors
    /// The set that is in use, where `best` has returned another one before.
    pub fn choose(self) -> Result<(), Self> {
        match *CHOSEN.get_or_init(|| self) {
            chosen if chosen == self => Ok(()),
            other => Err(other),
        }
    }

    /// Every set of this machine, the fastest last.
    pub fn all() -> Vec<Self> {
        [Some(Self::PORTABLE), Self::avx2(), Self::avx512()].into_iter().flatten().collect()
    }

    /// What `KILN_ISA` names, nothing where it is not set.
    ///
    /// # Errors
    /// [`IsaError`] when it names no set of this machine.
    pub fn of_environment() -> Result<Option<Self>, IsaError> {
        match std::env::var_os(VARIABLE) {
            Some(name) if !name.is_empty() => Self::of_name(&name.to_string_lossy()).map(Some),
            _ => Ok(None),
        }
    }

    /// The set that is called `name`, as [`Isa::name`] has it.
    ///
    /// # Errors
    /// [`IsaError`] when it is no set of this machine.
    pub fn of_name(name: &str) -> Result<Self, IsaError> {
        let all = Self::all();
        let known = all.iter().map(|isa| isa.name()).collect();
        all.into_iter().find(|isa| isa.name() == name).ok_or_else(|| IsaError { name: name.into(), known })
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

    /// AVX-512 (F, DQ, BW, VL), where the machine has it.
    #[cfg(target_arch = "x86_64")]
    pub fn avx512() -> Option<Self> {
        Avx512::detect().map(|token| Self(Set::Avx512(token)))
    }

    /// AVX-512 (F, DQ, BW, VL), where the machine has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn avx512() -> Option<Self> {
        None
    }

    /// A name for logs, reports and `KILN_ISA`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "avx512",
        }
    }

    fn fastest() -> Self {
        Self::avx512().or_else(Self::avx2).unwrap_or(Self::PORTABLE)
    }

    /// The set for work that has `count` lanes to fill and no more: AVX2 instead of AVX-512 where half of each vector
    /// would hold nothing. The longer ones then save no time, and cost up to 7 % of it (3x3 convolution of 8x8 pixels,
    /// two images, on Sapphire Rapids).
    pub(crate) fn for_lanes(self, count: usize) -> Self {
        let half = self.shape().lanes / 2;
        if half >= 8 && count <= half { Self::avx2().unwrap_or(self) } else { self }
    }

    /// The lengths that blocks are cut by.
    pub(crate) fn shape(self) -> Shape {
        const fn of<S: Simd>() -> Shape {
            Shape { lanes: S::LANES, rows: S::ROWS }
        }
        match self.0 {
            Set::Portable => of::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => of::<Avx2>(),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => of::<Avx512>(),
        }
    }

    /// Runs `kernel` compiled for this set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(token) => token.run(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Isa;

    #[test]
    fn every_set_is_found_by_its_name_and_the_fastest_comes_last() {
        let all = Isa::all();
        assert_eq!(all[0], Isa::PORTABLE);
        assert_eq!(all.last(), Some(&Isa::fastest()));
        assert!(all.iter().all(|isa| Isa::of_name(isa.name()) == Ok(*isa)));
    }

    #[test]
    fn vectors_that_would_stay_half_empty_give_way_to_shorter_ones() {
        for isa in Isa::all() {
            let lanes = isa.shape().lanes;
            assert_eq!(isa.for_lanes(lanes / 2 + 1), isa);
            assert!(isa.for_lanes(8).shape().lanes <= 8 || Isa::avx2().is_none());
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        let error = Isa::of_name("sse9").unwrap_err().to_string();
        assert!(error.starts_with("\"sse9\" is no instruction set of this machine; it has portable"), "{error}");
    }
}
