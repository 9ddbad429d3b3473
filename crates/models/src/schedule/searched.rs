//! Levels that were searched for: tables by family or by a coefficient, read off for other numbers of steps.
//!
//! Sources: "Optimal Stepsize for Diffusion Sampling" (Pei et al. 2025); "On the Trajectory Regularity of ODE-based
//! Diffusion Sampling" (GITS, Chen et al. 2024); "Align Your Steps" (Sabour et al. 2024) is in the file beside.

use super::error::ScheduleError;

/// The levels that OptimalStepsScheduler knows, by family.
const OPTIMAL: [(&str, &[f64]); 3] = [
    ("FLUX", &[0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001]),
    (
        "Wan",
        &[
            1.0, 0.997, 0.995, 0.993, 0.991, 0.989, 0.987, 0.985, 0.98, 0.975, 0.973, 0.968, 0.96, 0.946, 0.927, 0.902,
            0.864, 0.776, 0.539, 0.208, 0.001,
        ],
    ),
    (
        "Chroma",
        &[
            0.992, 0.99, 0.988, 0.985, 0.982, 0.978, 0.973, 0.968, 0.961, 0.953, 0.943, 0.931, 0.917, 0.9, 0.881,
            0.858, 0.832, 0.802, 0.769, 0.731, 0.69, 0.646, 0.599, 0.55, 0.501, 0.451, 0.402, 0.355, 0.311, 0.27,
            0.232, 0.199, 0.169, 0.143, 0.12, 0.101, 0.084, 0.07, 0.058, 0.048, 0.001,
        ],
    ),
];

/// The last `denoise` of `n` steps that were found best for a family, between those of the table by the logarithm of
/// the level.
///
/// # Shapes
/// Returns one level more than there are steps, the last one 0; none for `denoise` 0.
/// # Errors
/// For no steps, or a family that has no table.
pub fn optimal_steps(family: &str, n: usize, denoise: f64) -> Result<Vec<f32>, ScheduleError> {
    let table = OPTIMAL.iter().find(|(name, _)| *name == family).map(|(_, table)| *table);
    let known = || OPTIMAL.iter().map(|(name, _)| *name).collect();
    let table = table.ok_or_else(|| ScheduleError::UnknownScheduler { name: family.to_owned(), known: known() })?;
    from_table(table, n, denoise)
}

/// The levels of a table for `n` steps, of which the last `denoise` are left; the last level is 0.
pub(super) fn from_table(table: &[f64], n: usize, denoise: f64) -> Result<Vec<f32>, ScheduleError> {
    if n == 0 || table.len() < 2 {
        return Err(ScheduleError::NoSteps);
    }
    if denoise <= 0.0 {
        return Ok(Vec::new());
    }
    let wanted = if denoise < 1.0 { (n as f64 * denoise).round_ties_even() as usize } else { n };
    let level = |i: usize| {
        if n + 1 == table.len() {
            return table[i];
        }
        let place = i as f64 * (table.len() - 1) as f64 / n as f64;
        let low = (place as usize).min(table.len() - 2);
        let share = place - low as f64;
        (table[low].ln() * (1.0 - share) + table[low + 1].ln() * share).exp()
    };
    let mut levels: Vec<f32> = (n - wanted.min(n)..=n).map(|i| level(i) as f32).collect();
    if let Some(last) = levels.last_mut() {
        *last = 0.0;
    }
    Ok(levels)
}

/// The levels between which GITS chooses, from the highest down. The tables name them by their hundredths.
const GITS_LEVELS: [f64; 98] = [
    14.61464119,
    13.76078796,
    12.96784878,
    12.2308979,
    11.54541874,
    10.90732002,
    10.31284904,
    9.75859547,
    9.24142551,
    8.75849152,
    8.30717278,
    7.88507891,
    7.49001646,
    7.11996698,
    6.77309084,
    6.44769001,
    6.14220476,
    5.85520077,
    5.58536053,
    5.09240818,
    4.86714602,
    4.65472794,
    4.45427561,
    4.26497746,
    3.91689563,
    3.75677586,
    3.60512662,
    3.46139455,
    3.32507086,
    3.1956799,
    3.07277966,
    2.95596409,
    2.84484982,
    2.6383388,
    2.54230714,
    2.45070267,
    2.36326075,
    2.27973175,
    2.19988537,
    2.12350607,
    2.05039096,
    1.98035145,
    1.91321158,
    1.84880662,
    1.78698075,
    1.72759056,
    1.67050016,
    1.61558151,
    1.56271636,
    1.51179266,
    1.46270394,
    1.41535246,
    1.36964464,
    1.32549286,
    1.28281462,
    1.24153244,
    1.20157266,
    1.162866,
    1.12534678,
    1.08895338,
    1.05362725,
    1.01931262,
    0.98595673,
    0.95350921,
    0.92192322,
    0.89115214,
    0.86115354,
    0.83188516,
    0.803307,
    0.77538133,
    0.74807048,
    0.72133851,
    0.69515091,
    0.66947293,
    0.64427125,
    0.61951244,
    0.59516323,
    0.57119018,
    0.54755926,
    0.52423614,
    0.50118381,
    0.4783645,
    0.45573691,
    0.43325692,
    0.41087446,
    0.38853383,
    0.36617002,
    0.34370604,
    0.32104823,
    0.29807833,
    0.27464288,
    0.25053367,
    0.22545385,
    0.19894916,
    0.17026083,
    0.13792117,
    0.09824532,
    0.02916753,
];

/// By coefficient, a line per number of steps from 2 to 20: the levels between the highest and the lowest one.
const GITS: &str = include_str!("gits.txt");
/// More steps than the tables have lie between those of the longest.
const MOST_GITS_STEPS: usize = 20;

/// The last `denoise` of `n` steps along which GITS found trajectories bent least, for a coefficient from 0.8 to 1.5
/// in steps of 0.05: the larger, the more of them at low noise.
///
/// # Shapes
/// Returns one level more than there are steps, the last one 0; none for `denoise` 0.
/// # Errors
/// For fewer than 2 steps, or a coefficient that has no table.
pub fn gits(coefficient: f64, n: usize, denoise: f64) -> Result<Vec<f32>, ScheduleError> {
    if n < 2 {
        return Err(ScheduleError::NoSteps);
    }
    let name = format!("{coefficient:.2}");
    let is_name = |line: &&str| line.contains('.');
    let mut lines = GITS.lines().skip_while(|line| *line != name);
    if lines.next().is_none() {
        let known = GITS.lines().filter(is_name).collect();
        return Err(ScheduleError::UnknownScheduler { name, known });
    }
    let row = lines.nth(n.min(MOST_GITS_STEPS) - 2).unwrap_or_default();
    let middle = row.split(' ').filter_map(|key| gits_level(key.parse().ok()?));
    let table: Vec<f64> = GITS_LEVELS[..1].iter().copied().chain(middle).chain(GITS_LEVELS.last().copied()).collect();
    from_table(&table, n, denoise)
}

fn gits_level(hundredths: u32) -> Option<f64> {
    GITS_LEVELS.into_iter().find(|level| (level * 100.0) as u32 == hundredths)
}

#[cfg(test)]
mod tests {
    use super::{GITS, GITS_LEVELS, gits, gits_level};

    #[test]
    fn every_entry_of_every_table_is_a_level_and_every_line_has_its_steps() {
        let mut lines = GITS.lines().peekable();
        let mut tables = 0;
        while let Some(name) = lines.next() {
            assert!(
                (name.parse::<f64>().unwrap_or_default() - (0.8 + 0.05 * f64::from(tables))).abs() < 1e-9,
                "{name}"
            );
            for steps in 2..=20 {
                let keys: Vec<u32> = lines.next().unwrap_or_default().split(' ').flat_map(str::parse).collect();
                assert_eq!(keys.len(), steps - 1, "{name}, {steps} steps");
                assert!(keys.iter().all(|key| gits_level(*key).is_some()), "{name}, {steps} steps");
            }
            tables += 1;
        }
        assert_eq!(tables, 15);
        assert!(GITS_LEVELS.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn the_longest_table_is_used_as_it_is() -> Result<(), Box<dyn std::error::Error>> {
        let twenty = gits(1.5, 20, 1.0)?;
        assert_eq!(
            (twenty.len(), twenty[0], twenty[1], twenty[19], twenty[20]),
            (21, 14.614_641, 2.450_702_7, 0.098_245_32, 0.0)
        );
        assert_eq!(gits(0.8, 2, 1.0)?, [14.614_641, 7.490_016_5, 0.0]);
        Ok(())
    }
}
