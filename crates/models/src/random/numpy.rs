//! NumPy's older generator: `numpy.random.seed` and what is drawn after it.
//!
//! Source: NumPy `random/mtrand.pyx`, `_bounded_integers.pyx`: numbers below a bound by drawing again.

use super::mt19937::Mt19937;

/// A generator that draws as `numpy.random` does after `numpy.random.seed`.
#[derive(Debug)]
pub struct NumpyGenerator(Mt19937);

impl NumpyGenerator {
    /// Seeded with 32 bits.
    pub fn new(seed: u32) -> Self {
        Self(Mt19937::new(u64::from(seed)))
    }

    /// Seeded as ComfyUI's nodes on data sets do it: with the rest of `seed` by `2^32 - 1`.
    pub fn from_long_seed(seed: u64) -> Self {
        Self::new((seed % u64::from(u32::MAX)) as u32)
    }

    /// `numpy.random.randint(0, bound)`: 0 up to `bound`, without it. Draws nothing where there is no choice.
    pub fn below(&mut self, bound: u32) -> u32 {
        let largest = bound.saturating_sub(1);
        if largest == 0 {
            return 0;
        }
        let mask = u32::MAX >> largest.leading_zeros();
        loop {
            let drawn = self.0.next_u32() & mask;
            if drawn <= largest {
                return drawn;
            }
        }
    }

    /// `numpy.random.permutation(count)`: the numbers below `count` in a random order.
    pub fn permutation(&mut self, count: u32) -> Vec<usize> {
        let mut places: Vec<usize> = (0..count as usize).collect();
        for i in (1..count).rev() {
            let j = self.below(i + 1);
            places.swap(i as usize, j as usize);
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::NumpyGenerator;

    /// Made by NumPy 2 from `numpy.random.seed(seed % (2**32 - 1))`.
    #[test]
    fn numbers_and_orders_are_numpys() {
        let orders = [
            (0u64, [4, 9, 2, 10, 6, 1, 7, 8, 3, 0, 5]),
            (1u64, [2, 3, 4, 9, 1, 6, 0, 7, 10, 8, 5]),
            (42u64, [5, 0, 9, 10, 2, 1, 8, 4, 7, 3, 6]),
            (4_294_967_294u64, [6, 7, 4, 5, 3, 2, 9, 0, 1, 8, 10]),
            (4_294_967_295u64, [4, 9, 2, 10, 6, 1, 7, 8, 3, 0, 5]),
            (18_446_744_073_709_551_615u64, [4, 9, 2, 10, 6, 1, 7, 8, 3, 0, 5]),
            (123_456_789_012u64, [5, 3, 10, 8, 9, 0, 2, 7, 1, 6, 4]),
        ];
        let numbers = [
            [0, 7, 5, 192, 963_395, 0],
            [1, 3, 8, 255, 836_489, 0],
            [0, 3, 7, 188, 732_180, 0],
            [0, 0, 1, 55, 326_329, 0],
            [0, 7, 5, 192, 963_395, 0],
            [0, 7, 5, 192, 963_395, 0],
            [0, 6, 1, 31, 458_658, 0],
        ];
        for ((seed, order), numbers) in orders.into_iter().zip(numbers) {
            assert_eq!(NumpyGenerator::from_long_seed(seed).permutation(11), order, "{seed}");
            let mut generator = NumpyGenerator::from_long_seed(seed);
            assert_eq!([2, 8, 10, 257, 1_000_000, 1].map(|bound| generator.below(bound)), numbers, "{seed}");
        }
    }
}
