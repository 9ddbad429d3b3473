//! What the operating system sees of a model of mapped f32 that is larger than the limit. Alone in its program: it
//! measures it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{Acquired, Budget, Dtype, WeightFile, Weights, process_memory};
use support::files;

const MIB: u64 = 1 << 20;

#[test]
fn weights_used_in_the_map_leave_the_process_again_when_the_limit_is_smaller_than_they_are() {
    let dir = files::folder();
    let path = dir.path().join("unet.safetensors");
    files::write(&path, Dtype::F32, 32, 1 << 19); // 64 MiB
    let before = process_memory().unwrap().file_backed;
    let most_under = |limit: u64| {
        let unet = Weights::shared(WeightFile::open(&path).unwrap(), "unet", &Budget::new("host", limit));
        let mut most = 0;
        for i in (0..32).chain(0..32) {
            let values = unet.weight(&i.to_string()).unwrap().read().unwrap();
            assert_eq!(values.how(), Acquired::Hit);
            assert!(values.iter().step_by(1024).enumerate().all(|(k, v)| *v == files::value(i, k * 1024)));
            most = most.max(process_memory().unwrap().file_backed.saturating_sub(before));
        }
        most
    };
    let (limited, free) = (most_under(16 * MIB), most_under(u64::MAX));
    assert!(limited < 16 * MIB, "{} MiB of the file at most", limited / MIB);
    assert!(free > 60 * MIB, "{} MiB without a limit: they stay", free / MIB);
}
