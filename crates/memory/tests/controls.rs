//! ComfyUI's memory flags and numbers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{
    Applied, Budget, Controls, Kind, Placement, Policy, Reading, VramState, pager::Pager, provider::NullProvider,
};
use std::time::Duration;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn with(flags: &[(&str, Option<&str>)]) -> Controls {
    let mut controls = Controls { windows: false, ..Controls::default() };
    for (flag, value) in flags {
        assert_eq!(controls.set(flag, *value).unwrap(), Applied::Done, "{flag}");
    }
    controls
}

#[test]
fn each_state_has_its_flag_its_limit_and_its_placements() {
    use Placement::{Device, Host};
    for (flag, state, limit, unet, offload, encoder, vae) in [
        ("--cpu", VramState::Disabled, 0, Host, Host, Host, Host),
        ("--novram", VramState::NoVram, 0, Host, Host, Host, Device),
        ("--lowvram", VramState::LowVram, 8 * GIB / 5 * 2, Host, Host, Host, Device),
        ("--normalvram", VramState::NormalVram, 8 * GIB - 400 * MIB - GIB, Host, Host, Device, Device),
        ("--highvram", VramState::HighVram, 8 * GIB - 400 * MIB - GIB, Device, Device, Device, Device),
        ("--gpu-only", VramState::HighVram, 8 * GIB - 400 * MIB - GIB, Device, Device, Device, Device),
    ] {
        let c = with(&[(flag, None)]);
        assert_eq!((c.state, c.weights_limit(8 * GIB, GIB)), (state, limit), "{flag}");
        assert_eq!(
            (c.unet(6 * GIB, 5 * GIB), c.unet_offload(), c.text_encoder(), c.vae()),
            (unet, offload, encoder, vae),
            "{flag}"
        );
    }
    assert_eq!(with(&[]).unet(4 * GIB, 5 * GIB), Device, "a model that fits is loaded on the device");
    assert_eq!(with(&[("--novram", None)]).unet(4 * GIB, 5 * GIB), Host);
    let shared = Controls { state: VramState::Shared, ..with(&[]) };
    assert_eq!((shared.unet(9 * GIB, GIB), shared.unet_offload(), shared.text_encoder()), (Device, Host, Host));
    assert_eq!(shared.weights_limit(8 * GIB, GIB), 7 * GIB - 400 * MIB);
}

#[test]
fn with_gpu_only_nothing_leaves_the_device_and_without_it_what_does_not_run_does() {
    assert_eq!(with(&[("--gpu-only", None)]).offload(), Placement::Device);
    for flags in [&[][..], &[("--highvram", None)], &[("--lowvram", None)]] {
        assert_eq!(with(flags).offload(), Placement::Host);
    }
    assert_eq!(with(&[("--gpu-only", None), ("--cpu-vae", None)]).vae(), Placement::Host, "a flag of its own");
}

#[test]
fn a_read_is_given_up_after_two_minutes_or_what_was_said_or_never() {
    let timeout = |seconds| with(&[("--read-timeout", Some(seconds))]).read_timeout;
    assert_eq!(with(&[]).read_timeout, Some(Duration::from_mins(2)));
    assert_eq!([timeout("2.5"), timeout("0")], [Some(Duration::from_millis(2500)), None]);
    let error = Controls::default().set("--read-timeout", Some("soon")).unwrap_err().to_string();
    assert_eq!(error, "--read-timeout wants a number of seconds, got `soon`");
}

#[test]
fn without_smart_memory_models_load_on_the_host() {
    let c = with(&[("--disable-smart-memory", None)]);
    assert_eq!(c.unet(GIB, 8 * GIB), Placement::Host);
}

#[test]
fn the_budget_of_low_vram_is_what_the_computation_leaves_or_the_weight_ratios_share() {
    let c = with(&[]);
    let least = GIB / 5 * 4 + 400 * MIB;
    assert_eq!(c.low_vram_budget(8 * GIB, 8 * GIB, 2 * GIB, 0), 6 * GIB);
    assert_eq!(c.low_vram_budget(8 * GIB, 8 * GIB, 2 * GIB, GIB), 5 * GIB, "less what is loaded");
    assert_eq!(c.low_vram_budget(8 * GIB, 5 * GIB, 5 * GIB, 0), 2 * GIB, "two fifths of what is free");
    assert_eq!(c.low_vram_budget(8 * GIB, 3 * GIB / 2, 3 * GIB / 2, 0), 3 * GIB / 2 - least, "beside the least");
    assert_eq!(c.low_vram_budget(8 * GIB, GIB, 2 * GIB, 0), 0);
}

#[test]
fn flags_reach_the_pager_as_limit_slots_and_policy_and_the_files_as_a_way_of_reading() {
    let pager = Pager::new(NullProvider::default(), 0);
    let limits = |flags: &[(&str, Option<&str>)]| {
        with(flags).apply(&pager, 8 * GIB, GIB);
        (pager.limit(), pager.slots(), pager.describe().policy, pager.reading())
    };
    assert_eq!(limits(&[]), (7 * GIB - 400 * MIB, 2, Policy::Plan, Reading::Auto));
    let flags = [("--vram-limit", Some("3G")), ("--async-offload", Some("5")), ("--fast-disk", None)];
    assert_eq!(limits(&flags), (3 * GIB, 5, Policy::Plan, Reading::PastCache));
    let flags = [("--novram", None), ("--disable-async-offload", None), ("--disable-dynamic-vram", None)];
    assert_eq!(limits(&flags), (0, 0, Policy::AllResident, Reading::Auto));
    let flags = [("--disable-dynamic-vram", None), ("--enable-dynamic-vram", None), ("--reserve-vram", Some("2"))];
    assert_eq!(limits(&flags), (5 * GIB, 2, Policy::Plan, Reading::Auto));
}

#[test]
fn what_is_still_held_after_everything_was_dropped_is_told_by_owner() {
    let budget = Budget::unlimited("host");
    let (cache, node) = (budget.account("cache", Kind::Cache), budget.account("KSampler \"3\"", Kind::Outputs));
    let kept = cache.take(100);
    let before = budget.report();
    let (forgotten, more) = (node.take(30), cache.take(5));
    let leaks: Vec<_> = budget.leaks(&before).into_iter().map(|r| (r.owner.to_string(), r.used)).collect();
    assert_eq!(leaks, [("cache".to_owned(), 5), ("KSampler \"3\"".to_owned(), 30)]);
    drop((forgotten, more));
    assert_eq!(budget.leaks(&before), []);
    drop(kept);
}

#[test]
fn the_reserve_is_400_mb_600_on_windows_and_100_more_on_large_cards() {
    let windows = Controls { windows: true, ..Controls::default() };
    assert_eq!(with(&[]).reserved(24 * GIB), 400 * MIB);
    assert_eq!((windows.reserved(12 * GIB), windows.reserved(16 * GIB)), (600 * MIB, 700 * MIB));
    let c = with(&[("--reserve-vram", Some("2.5"))]);
    assert_eq!((c.reserved(24 * GIB), c.minimum_inference(24 * GIB)), (5 * GIB / 2, 5 * GIB / 2 + GIB / 5 * 4));
}

#[test]
fn loading_frees_a_tenth_more_than_the_models_and_the_computation_need() {
    let c = with(&[]);
    assert_eq!(c.free_before_loading(24 * GIB, 10 * GIB, 0), 11 * GIB + GIB / 5 * 4 + 400 * MIB);
    assert_eq!(c.free_before_loading(24 * GIB, 10 * GIB, 3 * GIB), 11 * GIB + 3 * GIB + 400 * MIB);
}

#[test]
fn limits_take_sizes_with_units() {
    let c = with(&[("--vram-limit", Some("6G")), ("--ram-limit", Some("600M"))]);
    assert_eq!((c.vram_limit, c.ram_limit, c.weights_limit(24 * GIB, GIB)), (Some(6 * GIB), Some(600 * MIB), 6 * GIB));
    for (text, bytes) in [("1073741824", GIB), ("2.5GiB", 5 * GIB / 2), ("64kb", 64 << 10)] {
        assert_eq!(with(&[("--ram-limit", Some(text))]).ram_limit, Some(bytes));
    }
}

#[test]
fn the_other_switches_do_what_they_say() {
    assert_eq!(with(&[]).slots, 2);
    assert_eq!(with(&[("--async-offload", Some("4"))]).slots, 4);
    assert_eq!(with(&[("--async-offload", Some("4")), ("--disable-async-offload", None)]).slots, 0);
    assert_eq!(with(&[("--cpu-vae", None)]).vae(), Placement::Host);
    assert!(!with(&[("--disable-smart-memory", None)]).smart);
    assert!(
        with(&[("--fast-disk", None)]).fast_disk
            && !with(&[("--fast-disk", None), ("--disable-fast-disk", None)]).fast_disk
    );
    assert!(!with(&[("--disable-dynamic-vram", None)]).dynamic);
    assert_eq!(
        (with(&[]).pinned_cap(100 * GIB), with(&[("--disable-pinned-memory", None)]).pinned_cap(GIB)),
        (95 * GIB, 0)
    );
    assert_eq!(Controls { windows: true, ..Controls::default() }.pinned_cap(100 * GIB), 45 * GIB);
}

#[test]
fn flags_without_a_use_here_are_told_and_wrong_ones_refused() {
    let mut c = Controls::default();
    assert!(matches!(c.set("--disable-mmap", None), Ok(Applied::Unused(why)) if why.contains("map")));
    assert_eq!(c.set("--lowvrm", None).unwrap_err().to_string(), "--lowvrm is not a memory flag");
    for (flag, value, message) in [
        ("--ram-limit", Some("lots"), "--ram-limit wants a size like 600M or 2.5G, got `lots`"),
        ("--ram-limit", Some("-1G"), "--ram-limit wants a size like 600M or 2.5G, got `-1G`"),
        ("--reserve-vram", None, "--reserve-vram wants a number of GB, got `nothing`"),
        ("--reserve-vram", Some("NaN"), "--reserve-vram wants a number of GB, got `NaN`"),
        ("--async-offload", Some("x"), "--async-offload wants a number of slots, got `x`"),
    ] {
        assert_eq!(c.set(flag, value).unwrap_err().to_string(), message);
    }
}
