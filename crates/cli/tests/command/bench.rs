//! `kiln bench` with few steps of the bundled model.

use serde_json::Value;

use crate::{kiln, text};

#[test]
fn a_bench_says_what_each_part_took_and_its_last_line_is_one_object() {
    let answer = kiln(&["bench", "main", "--steps", "3", "--json", "--isa", "portable", "--threads", "1"]);
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let out = text(&answer.stdout);
    for part in ["main: 1 threads, portable", "a step", "VAE decode", "unet of fluent-tiny"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    for key in ["unet_step_s", "unet_first_step_s", "vae_decode_s", "clip_s", "total_s"] {
        assert!(last[key].as_f64().unwrap() > 0.0, "{key}: {last}");
    }
    for key in ["unet_step_cpu_s", "vae_decode_cpu_s", "peak_anon_mb", "system_share"] {
        assert!(last[key].is_number(), "{key}: {last}");
    }
    assert_eq!((&last["threads"], &last["isa"]), (&1.into(), &"portable".into()));
    assert!(last["peak_by_holder"]["unet of fluent-tiny (weights)"].is_u64(), "{last}");
}

#[test]
fn a_bench_that_can_not_be_made_says_why() {
    let refused = |args: &[&str], code| {
        let answer = kiln(&[&["bench"], args].concat());
        assert_eq!(answer.status.code(), Some(code), "{args:?}");
        text(&answer.stderr)
    };
    assert!(refused(&["main", "--isa", "sse9"], 1).contains("--isa: \"sse9\" is no instruction set"));
    assert!(refused(&["sd3"], 2).contains("possible values: main, sd15, sdxl"));
    assert!(refused(&["main", "--threads", "0"], 2).contains("--threads"));
    assert!(refused(&["main", "--against-torch"], 1).contains("for sd15 and sdxl"));
    assert!(refused(&["sd15", "--ckpt", "no/such.safetensors"], 1).contains("no/such.safetensors"));
}
