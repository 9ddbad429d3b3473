//! Every kernel on every instruction set of this machine, in turn within one run: milliseconds and GFLOP/s, the least
//! of many rounds. Words on the command line choose rows by name; `KILN_BENCH_THREADS` chooses the threads, one if it is
//! not set.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::type_complexity)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use kiln_kernels::{
    Attention, Conv, GroupNorm, Isa, Strided, Winograd, attention, conv2d, geglu, gelu, group_norm, layer_norm, linear,
    softmax, winograd,
};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let threads = std::env::var("KILN_BENCH_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let sets: Vec<Isa> = Isa::all().into_iter().skip(1).collect();
    print!("{:<36}", format!("{threads} threads"));
    for isa in &sets {
        print!("{:>12}, ms {:>9}", isa.name(), "GFLOP/s");
    }
    println!("{:>8}", "ratio");
    for case in cases().into_iter().filter(|case| chosen(&case.name)) {
        pool.install(|| case.print(&sets));
    }
}

/// One kernel with its operands.
struct Case {
    name: String,
    /// Operations that this way of computing it takes, without transforms and exponentials.
    flop: f64,
    run: Box<dyn Fn(Isa) + Sync>,
}

impl Case {
    fn new(name: String, flop: usize, run: impl Fn(Isa) + Sync + 'static) -> Self {
        Self { name, flop: flop as f64, run: Box::new(run) }
    }

    fn print(&self, sets: &[Isa]) {
        let mut best = vec![Duration::MAX; sets.len()];
        let (start, mut rounds) = (Instant::now(), 0);
        while rounds < 5 || (start.elapsed() < Duration::from_secs(2) && rounds < 200) {
            for (isa, best) in sets.iter().zip(&mut best) {
                let start = Instant::now();
                (self.run)(*isa);
                *best = start.elapsed().min(*best);
            }
            rounds += 1;
        }
        print!("{:<36}", self.name);
        for time in &best {
            print!("{:>16.3} {:>9.1}", time.as_secs_f64() * 1e3, self.flop / time.as_secs_f64() * 1e-9);
        }
        match best[..] {
            [first, .., last] => println!("{:>8.2}", last.as_secs_f64() / first.as_secs_f64()),
            _ => println!(),
        }
    }
}

/// Numbers that look random, near zero (xorshift64*, Vigna 2016).
fn random(len: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, inputs, outputs) in [
        (4096, 320, 320),
        (4096, 1280, 320),
        (4096, 320, 2560),
        (1024, 640, 5120),
        (1024, 2560, 640),
        (256, 1280, 1280),
        (77, 768, 320),
        (77, 768, 3072),
        (154, 768, 1280),
        (2, 1280, 1280),
    ] {
        cases.push(linear_case(rows, inputs, outputs));
    }
    for (batch, inputs, outputs, side) in [
        (2, 320, 320, 64),
        (2, 640, 640, 32),
        (2, 1280, 1280, 16),
        (2, 1280, 1280, 8),
        (2, 320, 320, 16),
        (1, 512, 512, 64),
        (1, 128, 128, 512),
    ] {
        cases.push(winograd_case(batch, inputs, outputs, side));
    }
    for (inputs, outputs, side, kernel, stride) in
        [(320, 320, 64, 1, 1), (1280, 1280, 16, 1, 1), (320, 320, 64, 3, 2), (4, 320, 64, 3, 1)]
    {
        cases.push(conv_case(inputs, outputs, side, kernel, stride));
    }
    for (heads, queries, keys, width) in
        [(8, 4096, 4096, 40), (8, 1024, 1024, 80), (8, 256, 256, 160), (8, 4096, 77, 40), (12, 77, 77, 64)]
    {
        cases.push(attention_case(heads, queries, keys, width));
    }
    cases.extend([group_norm_case(320, 4096), group_norm_case(128, 512 * 512), layer_norm_case(4096, 320)]);
    cases.extend(element_cases());
    cases
}

fn linear_case(rows: usize, inputs: usize, outputs: usize) -> Case {
    let (x, weight, bias) = (random(rows * inputs), random(outputs * inputs), random(outputs));
    Case::new(format!("linear {rows}x{inputs}x{outputs}"), 2 * rows * inputs * outputs, move |isa| {
        let mut out = vec![0.0; rows * outputs];
        linear(isa, inputs, &x, &weight, &bias, &mut out).unwrap();
        black_box(out);
    })
}

fn winograd_case(batch: usize, inputs: usize, outputs: usize, side: usize) -> Case {
    let sizes = Winograd { batch, inputs, outputs, image: [side; 2], padding: [1; 4] };
    let (x, weight) = (random(batch * inputs * side * side), random(outputs * inputs * 9));
    let name = format!("winograd {inputs}>{outputs} {side}x{side} batch {batch}");
    Case::new(name, 2 * 36 * sizes.tiles() * inputs * outputs, move |isa| {
        let mut out = vec![0.0; batch * outputs * side * side];
        winograd(isa, sizes, &x, &weight, &[], &mut out).unwrap();
        black_box(out);
    })
}

fn conv_case(inputs: usize, outputs: usize, side: usize, kernel: usize, stride: usize) -> Case {
    let padding = [kernel / 2; 4];
    let sizes = Conv { batch: 1, inputs, outputs, image: [side; 2], kernel: [kernel; 2], stride, padding };
    let pixels = sizes.output()[0] * sizes.output()[1];
    let (x, weight) = (random(inputs * side * side), random(outputs * inputs * kernel * kernel));
    let name = format!("conv {kernel}x{kernel}/{stride} {inputs}>{outputs} {side}x{side}");
    Case::new(name, 2 * inputs * kernel * kernel * outputs * pixels, move |isa| {
        let mut out = vec![0.0; outputs * pixels];
        conv2d(isa, sizes, &x, &weight, &[], &mut out).unwrap();
        black_box(out);
    })
}

fn attention_case(heads: usize, queries: usize, keys: usize, width: usize) -> Case {
    let row = heads * width;
    let sizes = Attention { batch: 1, heads, width, queries, keys, causal: false };
    let (q, k, v) = (random(queries * row), random(keys * row), random(keys * row));
    let name = format!("attention {heads} x {queries}x{keys}x{width}");
    Case::new(name, 4 * queries * keys * row, move |isa| {
        let mut out = vec![0.0; queries * row];
        let [k, v] = [&k, &v].map(|rows| Strided::dense(rows, keys, row));
        attention(isa, sizes, Strided::dense(&q, queries, row), k, v, &mut out).unwrap();
        black_box(out);
    })
}

fn group_norm_case(channels: usize, pixels: usize) -> Case {
    let sizes = GroupNorm { channels, pixels, groups: 32, eps: 1e-5, silu: true };
    let (x, gamma, beta) = (random(channels * pixels), random(channels), random(channels));
    Case::new(format!("group norm + silu {channels}x{pixels}"), 8 * channels * pixels, move |isa| {
        let mut out = vec![0.0; x.len()];
        group_norm(isa, sizes, &x, &gamma, &beta, &mut out).unwrap();
        black_box(out);
    })
}

fn layer_norm_case(rows: usize, width: usize) -> Case {
    let (x, gamma, beta) = (random(rows * width), random(width), random(width));
    Case::new(format!("layer norm {rows}x{width}"), 8 * rows * width, move |isa| {
        let mut out = vec![0.0; x.len()];
        layer_norm(isa, &x, &gamma, &beta, 1e-5, &mut out).unwrap();
        black_box(out);
    })
}

fn element_cases() -> [Case; 3] {
    let (x, y, gate) = (random(4096 * 1280), random(4096 * 1024), random(4096 * 2560));
    [
        Case::new("gelu 4096x1280".into(), 8 * x.len(), move |isa| {
            let mut x = x.clone();
            gelu(isa, &mut x);
            black_box(x);
        }),
        Case::new("softmax 4096x1024".into(), 8 * y.len(), move |isa| {
            let mut y = y.clone();
            softmax(isa, &mut y, 1024).unwrap();
            black_box(y);
        }),
        Case::new("geglu 4096x1280".into(), 6 * gate.len(), move |isa| {
            let mut out = vec![0.0; gate.len() / 2];
            geglu(isa, &gate, 1280, &mut out).unwrap();
            black_box(out);
        }),
    ]
}
