//! What reading a weight file costs, by each way: `cargo bench -p kiln-memory --bench reading`.
//!
//! A file of 256 MB of halves, decoded tensor by tensor: cold (out of the system's cache) and warm. Prints speed,
//! processor time, and how much of the file the system's cache holds afterwards. Two numbers are what this is about: past
//! the cache, the cache stays empty; and the processor time per GiB. Which way is fastest depends on the disk.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

#[cfg(target_os = "linux")]
mod linux {
    use kiln_memory::{Reading, TensorSource, WeightFile, decode_f32};
    use std::{
        fmt::Write as _,
        io::Write as _,
        path::Path,
        sync::Arc,
        time::{Duration, Instant},
    };

    const TENSORS: usize = 64;
    const ELEMENTS: usize = 2 << 20;

    pub(crate) fn run() {
        let dir = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(&dir).unwrap();
        let dir = tempfile::tempdir_in(dir).unwrap();
        let path = dir.path().join("256mb.safetensors");
        make(&path);
        println!("{:36} {:5} {:>7} {:>12} {:>12}", "way", "", "GB/s", "CPU s / GiB", "cached after");
        for warm in [false, true] {
            measure("map, decoded where it lies", &path, warm, Reading::Cached, |file, name, out| {
                let bytes = file.slice(name).unwrap();
                decode_f32(file.get(name).unwrap().dtype, &bytes, out).unwrap();
            });
            for (way, reading) in
                [("read through the cache", Reading::Cached), ("read past the cache", Reading::PastCache)]
            {
                measure(way, &path, warm, reading, |file, name, out| file.read_f32(name, out).unwrap());
            }
        }
    }

    fn measure(
        way: &str,
        path: &Path,
        warm: bool,
        reading: Reading,
        read: impl Fn(&Arc<WeightFile>, &str, &mut [f32]),
    ) {
        let mut best = (f64::MAX, 0.0, 0.0);
        let mut out = vec![0.0f32; ELEMENTS];
        for _ in 0..3 {
            if warm {
                std::fs::read(path).unwrap();
            } else {
                cool(path);
            }
            let file = WeightFile::open(path).unwrap();
            file.set_reading(reading);
            let (started, cpu) = (Instant::now(), processor_time());
            for i in 0..TENSORS {
                read(&file, &i.to_string(), &mut out);
            }
            let spent = processor_time().saturating_sub(cpu).as_secs_f64();
            let wall = started.elapsed().as_secs_f64();
            drop(file);
            if wall < best.0 {
                best = (wall, spent, cached(path));
            }
        }
        let bytes = (TENSORS * ELEMENTS * 2) as f64;
        let temperature = if warm { "warm" } else { "cold" };
        let (speed, per_gib) = (bytes / 1e9 / best.0, best.1 / bytes * (1u64 << 30) as f64);
        println!("{way:36} {temperature:5} {speed:7.2} {per_gib:12.2} {:10.0} %", best.2 * 100.0);
    }

    fn processor_time() -> Duration {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32)
    }

    fn cool(path: &Path) {
        let file = std::fs::File::open(path).unwrap();
        file.sync_all().unwrap();
        _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }

    fn cached(path: &Path) -> f64 {
        let file = std::fs::File::open(path).unwrap();
        // SAFETY: a map that nothing is read through; `mincore` writes one byte per page into a buffer of that size.
        unsafe {
            let map = memmap2::Mmap::map(&file).unwrap();
            let mut pages = vec![0u8; map.len().div_ceil(rustix::param::page_size())];
            libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr());
            pages.iter().filter(|page| **page & 1 == 1).count() as f64 / pages.len() as f64
        }
    }

    fn make(path: &Path) {
        let each = ELEMENTS * 2;
        let mut header = String::from("{");
        for i in 0..TENSORS {
            let (start, end, comma) = (i * each, (i + 1) * each, if i > 0 { "," } else { "" });
            _ = write!(header, r#"{comma}"{i}":{{"dtype":"F16","shape":[{ELEMENTS}],"data_offsets":[{start},{end}]}}"#);
        }
        header.push('}');
        let padded = (header.len() + 8).next_multiple_of(4096) - 8;
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
        file.write_all(&(padded as u64).to_le_bytes()).unwrap();
        file.write_all(format!("{header:padded$}").as_bytes()).unwrap();
        let noise: Vec<u8> = (0..each as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x3b).collect();
        (0..TENSORS).for_each(|_| file.write_all(&noise).unwrap());
        file.into_inner().unwrap().sync_all().unwrap();
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::run();
}
