//! What node offload is for: under level 2 the models that see are gone before the sampler starts, under level 0 they are
//! not. In bytes, as the README says it.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../examples/smart_offload/story.rs"]
mod story;
#[path = "../examples/smart_offload/weights.rs"]
mod weights;

use kiln::exec::Retention;

#[test]
fn the_loaders_models_are_gone_before_the_sampler_at_level_2_and_not_at_0() {
    let root = tempfile::tempdir().unwrap();
    weights::write(&root.path().join("models")).unwrap();
    let levels = [Retention::Keep, Retention::Unreferenced, Retention::Unreadable];
    let told: Vec<_> = levels.iter().map(|level| story::tell(root.path(), *level).unwrap()).collect();
    let models = |level: usize| told[level].iter().filter(|held| held.holder.contains(" of "));
    assert_eq!(models(0).count(), 3, "{told:?}");
    assert!(models(0).chain(models(1)).all(|held| held.at_sampler > 0 && held.at_sampler == held.peak), "{told:?}");
    assert!(models(2).all(|held| held.at_sampler == 0 && held.peak > 0), "{told:?}");
    let table = story::table(&told);
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(&table), "the README should have this table:\n{table}");
}
