//! The books for people: who is where, unit by unit; and an audit that counts again from scratch.

use super::{
    Counters, Policy,
    state::{State, Status},
};
use crate::human_bytes;
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
    /// The holder's name.
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
    let rows = state.priority.iter().rev().filter_map(|id| state.bar(*id)).map(|bar| {
        let sum = |wanted: &dyn Fn(&super::Unit) -> bool| {
            bar.units.iter().filter(|u| wanted(u)).map(|u| state.charge(u)).sum()
        };
        MapRow {
            name: bar.name.clone(),
            total: sum(&|_| true),
            resident: sum(&|u| u.status == Status::Resident),
            pinned: sum(&|u| u.pins > 0),
            watermark: bar.watermark,
            units: bar.units.iter().map(sign).collect(),
            counters: bar.counters,
        }
    });
    Map { policy: state.policy, limit: state.limit, resident: state.resident, rows: rows.collect() }
}

fn sign(unit: &super::Unit) -> char {
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
    for (place, bar, unit) in state.units() {
        let here = matches!(unit.status, Status::Resident | Status::Filling) && unit.held.is_some();
        sum += if here { state.charge(unit) } else { 0 };
        if unit.status == Status::Absent && (unit.pins > 0 || unit.held.is_some() || unit.key.is_some()) {
            wrong.push(format!("{} {place:?}: absent, but {unit:?}", bar.name));
        }
        if unit.status == Status::Resident
            && unit.held.as_ref().map(crate::Reservation::bytes) != Some(state.charge(unit))
        {
            wrong.push(format!("{} {place:?}: resident without its bytes reserved", bar.name));
        }
    }
    if sum != state.resident {
        wrong.push(format!("{} resident by recount, {} in the books", sum, state.resident));
    }
    for bar in state.bars.iter().flatten() {
        let mut end = 0;
        for unit in &bar.units {
            if unit.pages.start < end || unit.pages.end > bar.reserved {
                wrong.push(format!("{}: pages {:?} overlap or leave the range", bar.name, unit.pages));
            }
            end = unit.pages.end;
        }
    }
    wrong
}
