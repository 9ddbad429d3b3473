//! What only the inside can do wrong. The rest is tested from outside, in `tests/invariants`.
#![allow(clippy::unwrap_used)]

use super::{
    inner::Pager,
    pin::Acquisition,
    state::{ContentKey, Place, Status},
};
use crate::{
    budget::{Budget, Kind},
    provider::HostVm,
};

fn one_unit() -> (Pager<HostVm>, super::Vbar<HostVm>, super::UnitId) {
    let pager = Pager::new(HostVm::new(), 1 << 20);
    let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 4096).unwrap();
    let unit = vbar.add_unit(64).unwrap();
    (pager, vbar, unit)
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a unit released more often than acquired")]
fn i10_a_release_without_an_acquisition_panics_in_debug_builds() {
    let (pager, vbar, unit) = one_unit();
    let Acquisition::Fill(vacant) = vbar.acquire(unit, ContentKey(1)) else { return };
    drop(vacant.fill(&mut |_| Ok(())).unwrap());
    pager.inner.release(Place { vbar: 0, unit: 0 });
}

#[test]
#[cfg(not(debug_assertions))]
fn i10_a_release_without_an_acquisition_changes_nothing_in_release_builds() {
    let (pager, vbar, unit) = one_unit();
    let Acquisition::Fill(vacant) = vbar.acquire(unit, ContentKey(1)) else { return };
    drop(vacant.fill(&mut |_| Ok(())).unwrap());
    pager.inner.release(Place { vbar: 0, unit: 0 });
    assert!(matches!(vbar.acquire(unit, ContentKey(1)), Acquisition::Hit(_)));
}

#[test]
fn a_unit_that_failed_to_fill_is_absent_and_can_come_again() {
    let (pager, vbar, unit) = one_unit();
    let Acquisition::Fill(vacant) = vbar.acquire(unit, ContentKey(1)) else { return };
    drop(vacant);
    assert!(pager.inner.lock().units().all(|(_, _, unit)| unit.status == Status::Absent));
    assert!(matches!(vbar.acquire(unit, ContentKey(1)), Acquisition::Fill(_)));
}
