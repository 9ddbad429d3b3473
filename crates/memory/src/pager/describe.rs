//! The books for people: who is where, unit by unit; and an audit that counts again from scratch.

use super::{
    counters::Counters,
    policy::Policy,
    state::{State, Status, Unit},
};
use crate::budget::{Reservation, human_bytes};
use std::fmt;

/// All models of one device, highest priority first. Displays one line per model and its units below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The policy in force.
    pub policy: Policy,
    /// Bytes that may stay.
    pub limit: u64,
    /// Bytes that are here.
    pub resident: u64,
    /// The models.
    pub rows: Vec<MapRow>,
}

/// One model's range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRow {
    /// The owner's name.
    pub name: String,
    /// Bytes of all its units, in whole pages.
    pub total: u64,
    /// Bytes that are here.
    pub resident: u64,
    /// Bytes that someone reads.
    pub pinned: u64,
    /// The first unit that isn't tried under the policy `watermark`.
    pub watermark: usize,
    /// One sign per unit: `#` here, `P` here and pinned, `+` to be filled when it is used, `-` streamed, `~` moving, `!` can't be
    /// had from the device.
    pub units: String,
    /// What it has seen.
    pub counters: Counters,
}

pub(super) fn map<R: Copy>(state: &State<R>) -> Map {
    let rows = state.priority.iter().rev().filter_map(|id| state.vbar(*id)).map(|vbar| {
        let sum =
            |wanted: &dyn Fn(&Unit) -> bool| vbar.units.iter().filter(|u| wanted(u)).map(|u| state.charge(u)).sum();
        MapRow {
            name: vbar.name.clone(),
            total: sum(&|_| true),
            resident: sum(&|u| u.status == Status::Resident),
            pinned: sum(&|u| u.pins > 0),
            watermark: vbar.watermark,
            units: vbar.units.iter().map(sign).collect(),
            counters: vbar.counters,
        }
    });
    Map { policy: state.policy, limit: state.limit, resident: state.resident, rows: rows.collect() }
}

fn sign(unit: &Unit) -> char {
    match unit.status {
        Status::Resident if unit.pins > 0 => 'P',
        Status::Resident => '#',
        Status::Filling | Status::Leaving => '~',
        Status::Absent if unit.bad => '!',
        Status::Absent if unit.keep => '+',
        Status::Absent => '-',
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resident, limit) = (human_bytes(self.resident), human_bytes(self.limit));
        write!(f, "{resident} of {limit} resident, policy {:?}", self.policy)?;
        for row in &self.rows {
            let (resident, total) = (human_bytes(row.resident), human_bytes(row.total));
            let c = row.counters;
            let moved = human_bytes(c.moved());
            write!(f, "\n{}: {resident} of {total}, watermark {}/{}", row.name, row.watermark, row.units.len())?;
            write!(f, ", {} hits, {} fills, {} streams, {moved} moved\n  {}", c.hits, c.fills, c.streams, row.units)?;
        }
        Ok(())
    }
}

pub(super) fn audit<R: Copy>(state: &State<R>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut sum = 0;
    for (place, vbar, unit) in state.units() {
        let here = matches!(unit.status, Status::Resident | Status::Filling) && unit.held.is_some();
        sum += if here { state.charge(unit) } else { 0 };
        if unit.status == Status::Absent && (unit.pins > 0 || unit.held.is_some() || unit.key.is_some()) {
            wrong.push(format!("{} {place:?}: absent, but {unit:?}", vbar.name));
        }
        if unit.status == Status::Resident && unit.held.as_ref().map(Reservation::bytes) != Some(state.charge(unit)) {
            wrong.push(format!("{} {place:?}: resident without its bytes reserved", vbar.name));
        }
    }
    if sum != state.resident {
        wrong.push(format!("{} resident by recount, {} in the books", sum, state.resident));
    }
    for vbar in state.vbars.iter().flatten() {
        let mut end = 0;
        for unit in &vbar.units {
            if unit.pages.start < end || unit.pages.end > vbar.reserved {
                wrong.push(format!("{}: pages {:?} overlap or leave the range", vbar.name, unit.pages));
            }
            end = unit.pages.end;
        }
    }
    wrong
}
