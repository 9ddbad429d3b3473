//! NumPy's `SeedSequence`: well-mixed 32-bit seeds from an entropy number and a spawn key.
//!
//! Source: M. O'Neill's `seed_seq` design as in NumPy `bit_generator.pyx`.

const INIT_A: u32 = 0x43b0_d7e5;
const MULT_A: u32 = 0x931e_8875;
const INIT_B: u32 = 0x8b51_f9dd;
const MULT_B: u32 = 0x58f3_8ded;
const MIX_L: u32 = 0xca01_f9dd;
const MIX_R: u32 = 0x4973_f715;

/// A mixed pool of 32-bit words.
#[derive(Debug, Clone)]
pub struct SeedSequence {
    pool: Vec<u32>,
}

impl SeedSequence {
    /// `SeedSequence(entropy, spawn_key=spawn_key, pool_size=pool_size)`; a pool of 0 words counts as one of 4.
    pub fn new(entropy: u64, spawn_key: &[u64], pool_size: usize) -> Self {
        let size = if pool_size == 0 { 4 } else { pool_size };
        let mut words = Vec::new();
        push_words(&mut words, entropy);
        if !spawn_key.is_empty() && words.len() < size {
            words.resize(size, 0);
        }
        for &key in spawn_key {
            push_words(&mut words, key);
        }
        Self { pool: mixed(&words, size) }
    }

    /// The first `n` words of output.
    pub fn generate_state(&self, n: usize) -> Vec<u32> {
        let mut k = INIT_B;
        (0..n)
            .map(|i| {
                let mut v = self.pool[i % self.pool.len()] ^ k;
                k = k.wrapping_mul(MULT_B);
                v = v.wrapping_mul(k);
                v ^ (v >> 16)
            })
            .collect()
    }
}

/// Little-endian 32-bit words of a number, at least one.
fn push_words(words: &mut Vec<u32>, number: u64) {
    words.push(number as u32);
    if number >> 32 != 0 {
        words.push((number >> 32) as u32);
    }
}

fn mixed(words: &[u32], size: usize) -> Vec<u32> {
    let mut k = INIT_A;
    let mut hash = |v: u32| {
        let v = v ^ k;
        k = k.wrapping_mul(MULT_A);
        let v = v.wrapping_mul(k);
        v ^ (v >> 16)
    };
    let mut pool: Vec<u32> = (0..size).map(|i| hash(words.get(i).copied().unwrap_or(0))).collect();
    for source in 0..size {
        for target in (0..size).filter(|&t| t != source) {
            pool[target] = mix(pool[target], hash(pool[source]));
        }
    }
    for &word in words.iter().skip(size) {
        for slot in &mut pool {
            *slot = mix(*slot, hash(word));
        }
    }
    pool
}

fn mix(x: u32, y: u32) -> u32 {
    let r = MIX_L.wrapping_mul(x).wrapping_sub(MIX_R.wrapping_mul(y));
    r ^ (r >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spawn_key_gives_numpys_words() {
        // numpy.random.SeedSequence(11, spawn_key=(5, 3), pool_size=24).generate_state(4)
        let got = SeedSequence::new(11, &[5, 3], 24).generate_state(4);
        assert_eq!(got, [1158535907, 3039363387, 1581756562, 67375796]);
    }
}
