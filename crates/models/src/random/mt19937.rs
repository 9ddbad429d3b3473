//! The Mersenne twister: 32-bit words from a 32-bit seed. Knows nothing of distributions.
//!
//! Matsumoto and Nishimura 1998, seeded with `init_genrand` as `at::mt19937` does.

const WORDS: usize = 624;
const OFFSET: usize = 397;
const MATRIX: u32 = 0x9908_b0df;
const UPPER: u32 = 0x8000_0000;
const LOWER: u32 = 0x7fff_ffff;

/// The generator's state: 624 words and the place of the next one to hand out.
#[derive(Clone)]
pub(super) struct Mt19937 {
    state: [u32; WORDS],
    next: usize,
}

impl Mt19937 {
    /// A generator seeded with the low 32 bits of `seed`: seeds that agree there give the same words.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = [0u32; WORDS];
        state[0] = seed as u32;
        for j in 1..WORDS {
            let last = state[j - 1];
            state[j] = 1_812_433_253u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(j as u32);
        }
        Self { state, next: WORDS }
    }

    /// The next 32 bits.
    pub(super) fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// The next 64 bits: the first word drawn is the high half.
    pub(super) fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        (high << 32) | u64::from(self.next_u32())
    }

    fn refill(&mut self) {
        for k in 0..WORDS {
            let y = (self.state[k] & UPPER) | (self.state[(k + 1) % WORDS] & LOWER);
            let twist = if y & 1 == 0 { 0 } else { MATRIX };
            self.state[k] = self.state[(k + OFFSET) % WORDS] ^ (y >> 1) ^ twist;
        }
        self.next = 0;
    }
}

impl std::fmt::Debug for Mt19937 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mt19937").field("next", &self.next).finish_non_exhaustive()
    }
}
