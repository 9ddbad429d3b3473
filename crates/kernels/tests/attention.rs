//! Tiled attention against f64: no block, strip or remainder may show.
#![allow(clippy::unwrap_used)]

mod support;

use kiln_kernels::{Attention, Isa, Strided, attention};
use support::{Random, assert_near, assert_same_on_any_number_of_threads, sets};

fn oracle(sizes: Attention, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f64> {
    let Attention { batch, heads, width, queries, keys, causal } = sizes;
    let row = heads * width;
    let mut out = vec![0.0; batch * queries * row];
    for (b, h, i) in (0..batch).flat_map(|b| (0..heads).flat_map(move |h| (0..queries).map(move |i| (b, h, i)))) {
        let seen = if causal { (i + 1).min(keys) } else { keys };
        let at = |x: &[f32], rows: usize, t: usize, c: usize| f64::from(x[(b * rows + t) * row + h * width + c]);
        let score =
            |t| (0..width).map(|c| at(q, queries, i, c) * at(k, keys, t, c)).sum::<f64>() / (width as f64).sqrt();
        let scores: Vec<f64> = (0..seen).map(score).collect();
        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
        for c in 0..width {
            let sum: f64 = scores.iter().enumerate().map(|(t, s)| (s - largest).exp() * at(v, keys, t, c)).sum();
            out[(b * queries + i) * row + h * width + c] = sum / total;
        }
    }
    out
}

fn run(isa: Isa, sizes: Attention, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    let row = sizes.heads * sizes.width;
    let mut out = vec![0.0; sizes.batch * sizes.queries * row];
    let keys = |data| Strided::dense(data, sizes.keys, row);
    attention(isa, sizes, Strided::dense(q, sizes.queries, row), keys(k), keys(v), &mut out).unwrap();
    out
}

fn inputs(random: &mut Random, sizes: Attention) -> [Vec<f32>; 3] {
    let row = sizes.batch * sizes.heads * sizes.width;
    let q = random.normal(sizes.queries * row).iter().map(|x| x * 2.0).collect();
    [q, random.normal(sizes.keys * row), random.normal(sizes.keys * row)]
}

fn check(random: &mut Random, sizes: Attention) {
    let [q, k, v] = inputs(random, sizes);
    let expected = oracle(sizes, &q, &k, &v);
    for isa in sets() {
        let what = format!("{} {sizes:?}", isa.name());
        assert_near(&what, &run(isa, sizes, &q, &k, &v), &expected, 2e-6);
    }
}

#[test]
fn random_shapes_match_f64() {
    let mut random = Random::new(11);
    for _ in 0..30 {
        let causal = random.size(0, 2) == 1;
        let queries = random.pick(&[1, 2, 15, 16, 17, 33, 77, 100]);
        let keys = if causal { queries } else { random.pick(&[1, 5, 6, 7, 77, 154, 385]) };
        let width = random.pick(&[1, 3, 8, 11, 40, 64, 80, 160]);
        let (batch, heads) = (random.size(1, 3), random.size(1, 4));
        check(&mut random, Attention { batch, heads, width, queries, keys, causal });
    }
}

#[test]
fn several_blocks_of_keys_make_one_softmax() {
    let mut random = Random::new(12);
    for causal in [false, true] {
        check(&mut random, Attention { batch: 1, heads: 2, width: 16, queries: 900, keys: 900, causal });
    }
}

#[test]
fn the_autoencoders_single_wide_head_works() {
    check(&mut Random::new(13), Attention { batch: 1, heads: 1, width: 512, queries: 70, keys: 70, causal: false });
}

#[test]
fn heads_that_do_not_fit_together_give_what_each_gives_alone() {
    // 11 MiB of keys and values per head where a group holds 32.
    let sizes = Attention { batch: 2, heads: 3, width: 512, queries: 2, keys: 2800, causal: false };
    let [q, k, v] = inputs(&mut Random::new(18), sizes);
    let together = run(Isa::best(), sizes, &q, &k, &v);
    for head in 0..3 {
        let part = |x: &[f32]| x.chunks(1536).flat_map(|row| row[head * 512..][..512].to_vec()).collect::<Vec<_>>();
        let alone = run(Isa::best(), Attention { heads: 1, ..sizes }, &part(&q), &part(&k), &part(&v));
        assert!(part(&together) == alone, "head {head}");
    }
}

#[test]
fn scores_far_below_zero_still_make_a_softmax() {
    let sizes = Attention { batch: 1, heads: 1, width: 8, queries: 5, keys: 77, causal: false };
    let [q, k, v] = inputs(&mut Random::new(14), sizes);
    let q: Vec<f32> = q.iter().map(|x| x.abs() * -300.0).collect();
    let k: Vec<f32> = k.iter().map(|x| x.abs() + 3.0).collect();
    let expected = oracle(sizes, &q, &k, &v);
    for isa in sets() {
        // Scores near -10000 carry an error of 1e-3 each in f32; a padded key would give an error near 1.
        assert_near(isa.name(), &run(isa, sizes, &q, &k, &v), &expected, 3e-3);
    }
}

#[test]
fn an_infinite_or_missing_number_spoils_its_query_only() {
    let sizes = Attention { batch: 1, heads: 1, width: 8, queries: 20, keys: 400, causal: false };
    let [mut q, k, v] = inputs(&mut Random::new(15), sizes);
    q[3 * 8] = f32::NAN;
    q[5 * 8 + 1] = f32::INFINITY;
    for isa in sets() {
        let out = run(isa, sizes, &q, &k, &v);
        for (i, row) in out.chunks(8).enumerate() {
            let spoilt = i == 3 || i == 5;
            assert!(row.iter().all(|x| x.is_nan() == spoilt), "{} query {i}: {row:?}", isa.name());
        }
    }
}

#[test]
fn keys_of_minus_infinity_weigh_nothing_in_any_block() {
    let sizes = Attention { batch: 1, heads: 1, width: 1, queries: 2, keys: 900, causal: false };
    let q = vec![1.0, 2.0];
    let mut k = vec![f32::NEG_INFINITY; 900];
    k[850] = 0.5;
    let mut v = vec![7.0; 900];
    v[850] = -3.0;
    for isa in sets() {
        assert_eq!(run(isa, sizes, &q, &k, &v), [-3.0, -3.0], "{}", isa.name());
        let nothing = run(isa, sizes, &q, &vec![f32::NEG_INFINITY; 900], &v);
        assert!(nothing.iter().all(|x| x.is_nan()), "{}: {nothing:?}", isa.name());
    }
}

#[test]
fn rows_may_lie_apart() {
    let sizes = Attention { batch: 2, heads: 2, width: 8, queries: 19, keys: 19, causal: false };
    let mut random = Random::new(16);
    // Queries, keys and values side by side, as one product makes them.
    let packed = random.normal(2 * 19 * 48);
    let part = |at: usize| packed.chunks(48).flat_map(|row| row[at * 16..][..16].to_vec()).collect::<Vec<_>>();
    let expected = oracle(sizes, &part(0), &part(1), &part(2));
    let view = |at: usize| Strided { data: &packed[at * 16..], batch: 19 * 48, row: 48 };
    for isa in sets() {
        let mut out = vec![0.0; 2 * 19 * 16];
        attention(isa, sizes, view(0), view(1), view(2), &mut out).unwrap();
        assert_near(isa.name(), &out, &expected, 2e-6);
    }
}

#[test]
fn short_slices_and_no_keys_are_refused() {
    let sizes = Attention { batch: 1, heads: 1, width: 4, queries: 2, keys: 2, causal: false };
    let rows = Strided::dense(&[0.0; 8], 2, 4);
    let short = Strided::dense(&[0.0; 7], 2, 4);
    let error = attention(Isa::best(), sizes, rows, short, rows, &mut [0.0; 8]).unwrap_err();
    assert_eq!(error.to_string(), "attention: k should be at least 8 elements, found 7 elements");
    assert!(attention(Isa::best(), Attention { keys: 0, ..sizes }, rows, rows, rows, &mut [0.0; 8]).is_err());
    attention(Isa::best(), Attention { batch: 0, ..sizes }, rows, rows, rows, &mut []).unwrap();
}

#[test]
fn threads_do_not_change_a_bit() {
    let sizes = Attention { batch: 2, heads: 3, width: 40, queries: 150, keys: 500, causal: false };
    let [q, k, v] = inputs(&mut Random::new(17), sizes);
    for isa in sets() {
        assert_same_on_any_number_of_threads(|| run(isa, sizes, &q, &k, &v));
    }
}
