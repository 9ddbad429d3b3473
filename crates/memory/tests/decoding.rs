//! Every f16, bf16 and fp8 there is, against other people's arithmetic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{DecodeError, Dtype, MemorySource, Rounding, TensorSource, Weights, decode_f32, encode_f32};

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn decoded(dtype: Dtype, bytes: &[u8], n: usize) -> Vec<f32> {
    let mut out = vec![0.0; n];
    decode_f32(dtype, bytes, &mut out).unwrap();
    out
}

#[test]
fn all_65536_halves_decode_to_the_bits_that_half_gives_one_by_one() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for (dtype, one) in [
        (Dtype::F16, (|b| half::f16::from_bits(b).to_f32()) as fn(u16) -> f32),
        (Dtype::BF16, |b| half::bf16::from_bits(b).to_f32()),
    ] {
        for (bits, value) in (0..=u16::MAX).zip(decoded(dtype, &bytes, 65536)) {
            assert!(same(value, one(bits)), "{dtype} {bits:04x}: {value} for {}", one(bits));
        }
    }
}

#[test]
fn halves_at_an_odd_address_decode_like_aligned_ones() {
    let bytes: Vec<u8> = std::iter::once(0).chain((0..=u16::MAX).flat_map(u16::to_le_bytes)).collect();
    for dtype in [Dtype::F16, Dtype::BF16] {
        let aligned = bytes[1..].to_vec();
        let (odd, even) = (decoded(dtype, &bytes[1..], 65536), decoded(dtype, &aligned, 65536));
        assert!(odd.iter().zip(&even).all(|(a, b)| same(*a, *b)));
    }
}

#[test]
fn all_256_fp8_of_each_kind_decode_to_what_float8_says() {
    let bytes: Vec<u8> = (0..=255).collect();
    for (b, value) in (0..=255u8).zip(decoded(Dtype::F8E4M3, &bytes, 256)) {
        assert!(same(value, float8::F8E4M3::from_bits(b).to_f32()), "e4m3 {b:02x}: {value}");
    }
    for (b, value) in (0..=255u8).zip(decoded(Dtype::F8E5M2, &bytes, 256)) {
        assert!(same(value, float8::F8E5M2::from_bits(b).to_f32()), "e5m2 {b:02x}: {value}");
    }
}

#[test]
fn the_rarer_eight_bit_types_have_the_values_of_their_definitions() {
    let fnuz = decoded(Dtype::F8E4M3Fnuz, &[0x7f, 0x80, 0x08, 0x01, 0x81], 5);
    assert_eq!((fnuz[0], fnuz[2], fnuz[3], fnuz[4]), (240.0, 0.0078125, 0.0009765625, -0.0009765625));
    assert!(fnuz[1].is_nan());
    let fnuz = decoded(Dtype::F8E5M2Fnuz, &[0x7f, 0x80, 0x04], 3);
    assert_eq!((fnuz[0], fnuz[2]), (57344.0, 2.0f32.powi(-15)));
    assert!(fnuz[1].is_nan());
    let scales = decoded(Dtype::F8E8M0, &[0, 127, 254, 255], 4);
    assert_eq!(scales[..3], [2.0f32.powi(-127), 1.0, 2.0f32.powi(127)]);
    assert!(scales[3].is_nan());
}

#[test]
fn wide_numbers_round_to_the_nearest_f32() {
    let value = 1.0 + 2.0f64.powi(-25);
    assert_eq!(decoded(Dtype::F64, &value.to_le_bytes(), 1), [1.0]);
    assert_eq!(decoded(Dtype::I64, &(-76i64).to_le_bytes(), 1), [-76.0]);
    assert_eq!(decoded(Dtype::I8, &[0xff], 1), [-1.0]);
    assert_eq!(decoded(Dtype::U8, &[0xff], 1), [255.0]);
    assert_eq!(decoded(Dtype::Bool, &[0, 1, 7], 3), [0.0, 1.0, 1.0]);
}

#[test]
fn a_type_without_single_numbers_is_refused_by_name() {
    let error = decode_f32(Dtype::C64, &[0; 8], &mut [0.0]).unwrap_err();
    assert_eq!(error.to_string(), "C64 can't be read as f32");
    let error = decode_f32(Dtype::F16, &[0; 3], &mut [0.0]).unwrap_err();
    assert_eq!(error, DecodeError::Length { dtype: Dtype::F16, elements: 1, bytes: 3 });
}

#[test]
fn a_text_encoder_weight_is_rounded_to_f16_whatever_its_file_holds() {
    let values: Vec<f32> = (0..3000u32).map(|i| (i as f32 - 1500.0) * 0.001_234_5 + 1e-6).collect();
    let mut source = MemorySource::new("clip");
    source.insert_f32("w", &[3000], values.clone()).unwrap();
    source.insert("b", Dtype::BF16, &[3000], encode_f32(Dtype::BF16, &values).unwrap()).unwrap();
    let budget = kiln_memory::Budget::unlimited("host");
    let clip = Weights::new(source, "clip", &budget).with_rounding(Rounding::F16);
    let expected: Vec<f32> = values.iter().map(|v| half::f16::from_f32(*v).to_f32()).collect();
    assert_eq!(*clip.weight("w").unwrap().read().unwrap(), expected);
    let expected: Vec<f32> =
        values.iter().map(|v| half::f16::from_f32(half::bf16::from_f32(*v).to_f32()).to_f32()).collect();
    assert_eq!(*clip.weight("b").unwrap().read().unwrap(), expected);
}

/// The number of a list that is nearest, the one with an even last bit where two are as near.
fn nearest(value: f32, list: &[(u8, f32)]) -> f32 {
    let distance = |v: f32| (f64::from(v) - f64::from(value)).abs();
    let best = list.iter().map(|(_, v)| distance(*v)).fold(f64::INFINITY, f64::min);
    let mut near = list.iter().filter(|(_, v)| distance(*v) == best);
    let first = near.next().unwrap();
    near.fold(first, |a, b| if b.0 % 2 == 0 { b } else { a }).1
}

#[test]
fn eight_bits_are_the_nearest_of_all_there_are() {
    let all: Vec<u8> = (0..=127).collect();
    for (rounding, dtype, largest) in
        [(Rounding::F8E4M3, Dtype::F8E4M3, 448.0f32), (Rounding::F8E5M2, Dtype::F8E5M2, 57344.0)]
    {
        let list: Vec<(u8, f32)> =
            all.iter().copied().zip(decoded(dtype, &all, 128)).filter(|(_, v)| v.is_finite()).collect();
        let middles = list.windows(2).map(|pair| f32::midpoint(pair[0].1, pair[1].1));
        let between = (0..4000).map(|i| (i as f32 * 0.01).exp() * 1e-6).filter(|v| *v < largest);
        let values: Vec<f32> = middles.chain(between).flat_map(|v| [v, -v]).collect();
        let mut source = MemorySource::new("unet");
        source.insert_f32("w", &[values.len()], values.clone()).unwrap();
        source.insert_f32("over", &[2], vec![largest * 1.2, f32::NAN]).unwrap();
        let unet = Weights::new(source, "unet", &kiln_memory::Budget::unlimited("host")).with_rounding(rounding);
        for (found, value) in unet.weight("w").unwrap().read().unwrap().iter().zip(&values) {
            assert_eq!(*found, nearest(value.abs(), &list).copysign(*value), "{dtype}: {value}");
        }
        let over = unet.weight("over").unwrap().read().unwrap();
        assert!(!over[0].is_finite() && over[1].is_nan());
    }
}

#[test]
fn computed_weights_have_the_published_bits() {
    let shapes = [
        ("unet_sd15like.time_embed.0.weight", vec![128, 32], [0x3d947199, 0xbe28d14c, 0xbcbe81e1u32]),
        ("unet_sd15like.time_embed.0.bias", vec![128], [0xbd235bb2, 0x3d0be7f5, 0xbcdfa4ed]),
        ("model.diffusion_model.input_blocks.0.0.weight", vec![320, 4, 3, 3], [0xbe5cb6c5, 0x3e54a428, 0x3dfe7cba]),
        ("first_stage_model.decoder.norm_out.weight", vec![128], [0x3f6c7c1b, 0x3f6b7199, 0x3f77e27a]),
    ];
    let source = kiln_memory::ComputedSource::hash_uniform(shapes.iter().map(|(n, s, _)| (*n, s.clone())));
    for (name, shape, bits) in &shapes {
        let mut out = vec![0.0; shape.iter().product()];
        source.read_f32(name, &mut out).unwrap();
        assert_eq!(out[..3].iter().map(|v| v.to_bits()).collect::<Vec<_>>(), bits, "{name}");
    }
}

/// One block of each GGUF type, packed and unpacked by a second, slower reading of the layout: bit by bit.
mod quants {
    use super::*;

    fn noise(n: usize) -> Vec<u8> {
        let mut x = 0x2545_f491u32;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x as u8
        };
        (0..n).map(|_| next()).collect()
    }

    fn with_scales(mut block: Vec<u8>, at: &[usize]) -> Vec<u8> {
        for (i, at) in at.iter().enumerate() {
            block[*at..at + 2].copy_from_slice(&half::f16::from_f32(0.25 + i as f32).to_le_bytes());
        }
        block
    }

    #[test]
    fn q8_0_is_a_scale_times_signed_bytes() {
        let block = with_scales(noise(34), &[0]);
        let expected: Vec<f32> = block[2..].iter().map(|b| 0.25 * *b as i8 as f32).collect();
        assert_eq!(decoded(Dtype::Q8_0, &block, 32), expected);
    }

    #[test]
    fn q4_0_puts_its_second_half_into_the_high_nibbles() {
        let block = with_scales(noise(18), &[0]);
        let value = |i: usize| {
            let byte = block[2 + i % 16] as u32;
            0.25 * (((byte >> (4 * (i / 16))) & 15) as f32 - 8.0)
        };
        assert_eq!(decoded(Dtype::Q4_0, &block, 32), (0..32).map(value).collect::<Vec<_>>());
    }

    #[test]
    fn q4_k_scales_and_shifts_eight_groups_by_six_bit_numbers() {
        let block = with_scales(noise(144), &[0, 2]);
        let p = &block[4..16];
        // Six-bit numbers of group g, assembled from their description: the first four lie whole in bytes 0-3 and
        // 4-7, the others have their low four bits in bytes 8-11 and the upper two atop the first eight bytes.
        let six = |g: usize, min: bool| -> u32 {
            let side = if min { 4 } else { 0 };
            if g < 4 {
                (p[g + side] % 64) as u32
            } else {
                let low = if min { p[g + 4] / 16 } else { p[g + 4] % 16 };
                low as u32 + 16 * (p[g - 4 + side] / 64) as u32
            }
        };
        let value = |i: usize| {
            let g = i / 32;
            let byte = block[16 + 32 * (g / 2) + i % 32];
            let q = if g.is_multiple_of(2) { byte % 16 } else { byte / 16 };
            0.25 * six(g, false) as f32 * q as f32 - 1.25 * six(g, true) as f32
        };
        assert_eq!(decoded(Dtype::Q4K, &block, 256), (0..256).map(value).collect::<Vec<_>>());
    }

    #[test]
    fn q6_k_joins_nibbles_with_bit_pairs() {
        let block = with_scales(noise(210), &[208]);
        let value = |i: usize| {
            let (half, r) = (i / 128, i % 128);
            let (quarter, l) = (r / 32, r % 32);
            let byte = block[64 * half + l + if quarter % 2 == 1 { 32 } else { 0 }];
            let nibble = if quarter < 2 { byte % 16 } else { byte / 16 } as i32;
            let pair = (block[128 + 32 * half + l] as i32 / [1, 4, 16, 64][quarter]) % 4;
            let scale = block[192 + 8 * half + 2 * quarter + l / 16] as i8 as f32;
            0.25 * scale * (nibble + 16 * pair - 32) as f32
        };
        assert_eq!(decoded(Dtype::Q6K, &block, 256), (0..256).map(value).collect::<Vec<_>>());
    }

    /// Bit `n` of the bytes, the lowest of the first byte first.
    fn bit(bytes: &[u8], n: usize) -> u32 {
        (bytes[n / 8] as u32 >> (n % 8)) % 2
    }

    fn nibble(bytes: &[u8], i: usize) -> u32 {
        let byte = bytes[i % 16] as u32;
        if i < 16 { byte % 16 } else { byte / 16 }
    }

    #[test]
    fn q4_1_q5_0_and_q5_1_add_a_minimum_or_a_fifth_bit() {
        let block = with_scales(noise(20), &[0, 2]);
        let value = |i: usize| 0.25 * nibble(&block[4..], i) as f32 + 1.25;
        assert_eq!(decoded(Dtype::Q4_1, &block, 32), (0..32).map(value).collect::<Vec<_>>());
        let block = with_scales(noise(22), &[0]);
        let value = |i: usize| 0.25 * ((nibble(&block[6..], i) + 16 * bit(&block[2..6], i)) as f32 - 16.0);
        assert_eq!(decoded(Dtype::Q5_0, &block, 32), (0..32).map(value).collect::<Vec<_>>());
        let block = with_scales(noise(24), &[0, 2]);
        let value = |i: usize| 0.25 * (nibble(&block[8..], i) + 16 * bit(&block[4..8], i)) as f32 + 1.25;
        assert_eq!(decoded(Dtype::Q5_1, &block, 32), (0..32).map(value).collect::<Vec<_>>());
    }

    /// Element `i`'s pair of bits in 64 bytes: halves of 128 elements over 32 bytes, four elements to a byte.
    fn pair(bytes: &[u8], i: usize) -> i32 {
        let (half, quarter, l) = (i / 128, i % 128 / 32, i % 32);
        (bytes[32 * half + l] as i32 / [1, 4, 16, 64][quarter]) % 4
    }

    #[test]
    fn q2_k_scales_and_shifts_sixteen_groups_by_four_bit_numbers() {
        let block = with_scales(noise(84), &[80, 82]);
        let value = |i: usize| {
            let group = block[i / 16];
            0.25 * (group % 16) as f32 * pair(&block[16..80], i) as f32 - 1.25 * (group / 16) as f32
        };
        assert_eq!(decoded(Dtype::Q2K, &block, 256), (0..256).map(value).collect::<Vec<_>>());
    }

    #[test]
    fn q3_k_takes_four_away_where_the_third_bit_is_not_set() {
        let block = with_scales(noise(110), &[108]);
        let packed = &block[96..108];
        // Of the sixteen six-bit scales, the low four bits of the first eight lie in the low nibbles of eight bytes, those
        // of the others in the high ones; the upper two of scale `g` are pair `g / 4` of byte `8 + g % 4`.
        let scale = |g: usize| {
            let low = if g < 8 { packed[g] % 16 } else { packed[g - 8] / 16 };
            let high = (packed[8 + g % 4] / [1, 4, 16, 64][g / 4]) % 4;
            (low + 16 * high) as f32 - 32.0
        };
        let value = |i: usize| {
            let third = (block[i % 32] >> (i / 32)) % 2 == 1;
            let q = pair(&block[32..96], i) - if third { 0 } else { 4 };
            0.25 * scale(i / 16) * q as f32
        };
        assert_eq!(decoded(Dtype::Q3K, &block, 256), (0..256).map(value).collect::<Vec<_>>());
    }

    /// What ggml's own Python package gives for three rows of each type that ComfyUI's packs read.
    #[test]
    fn thirteen_types_of_ggml_decode_to_its_own_numbers() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gguf_blocks.safetensors");
        let file = kiln_memory::WeightFile::open(path).unwrap();
        let types = [
            ("BF16", Dtype::BF16),
            ("Q4_0", Dtype::Q4_0),
            ("Q4_1", Dtype::Q4_1),
            ("Q5_0", Dtype::Q5_0),
            ("Q5_1", Dtype::Q5_1),
            ("Q8_0", Dtype::Q8_0),
            ("Q2_K", Dtype::Q2K),
            ("Q3_K", Dtype::Q3K),
            ("Q4_K", Dtype::Q4K),
            ("Q5_K", Dtype::Q5K),
            ("Q6_K", Dtype::Q6K),
            ("IQ4_NL", Dtype::Iq4Nl),
            ("IQ4_XS", Dtype::Iq4Xs),
        ];
        assert_eq!(file.names().len(), 2 * types.len());
        for (name, dtype) in types {
            let bytes = file.bytes(&format!("{name}.bytes")).unwrap();
            let values = format!("{name}.values");
            let mut expected = vec![0.0; file.get(&values).unwrap().elements()];
            file.read_f32(&values, &mut expected).unwrap();
            let largest = expected.iter().fold(1.0f32, |largest, v| largest.max(v.abs()));
            for (found, expected) in decoded(dtype, bytes, expected.len()).iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-6 * largest, "{name}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn any_bytes_are_numbers_of_some_kind_and_no_panic() {
        let blocks = [
            Dtype::Q4_0,
            Dtype::Q4_1,
            Dtype::Q5_0,
            Dtype::Q5_1,
            Dtype::Q8_0,
            Dtype::Q2K,
            Dtype::Q3K,
            Dtype::Q4K,
            Dtype::Q5K,
            Dtype::Q6K,
            Dtype::Iq4Nl,
            Dtype::Iq4Xs,
        ];
        for dtype in blocks {
            let (elements, bytes) = dtype.block();
            for garbage in [vec![0xff; bytes], vec![0; bytes], noise(bytes)] {
                assert_eq!(decoded(dtype, &garbage, elements).len(), elements);
            }
            assert!(decode_f32(dtype, &vec![0; bytes - 1], &mut vec![0.0; elements]).is_err());
        }
    }
}
