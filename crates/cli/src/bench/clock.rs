//! The clock: time on the wall, time of the processor, and how much of that the system took. Knows this process only.

use std::time::{Duration, Instant};

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: Instant,
    processor: Duration,
    system: Duration,
}

/// What passed between two moments, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Passed {
    /// On the wall.
    pub wall: f64,
    /// Of all threads together; zero where the system does not say.
    pub processor: f64,
    /// Of these, in the operating system; zero where it does not say.
    pub system: f64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { wall: Instant::now(), processor: processor_time(), system: system_time().unwrap_or_default() }
    }

    pub(crate) fn since(&self, earlier: &Self) -> Passed {
        Passed {
            wall: self.wall.saturating_duration_since(earlier.wall).as_secs_f64(),
            processor: self.processor.saturating_sub(earlier.processor).as_secs_f64(),
            system: self.system.saturating_sub(earlier.system).as_secs_f64(),
        }
    }
}

#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}

/// Time in the kernel on behalf of this process, where there is a `/proc/self/stat` (Linux). Counted in ticks of 10 ms.
fn system_time() -> Option<Duration> {
    let ticks = stime(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(Duration::from_secs_f64(ticks as f64 / ticks_per_second()))
}

/// The field `stime`. The program's name, which may hold anything, ends at the last bracket; 12 fields lie between.
fn stime(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(12)?.parse().ok()
}

#[cfg(unix)]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second().max(1) as f64
}

#[cfg(not(unix))]
fn ticks_per_second() -> f64 {
    100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_time_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b 1) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14";
        assert_eq!(stime(stat), Some(12));
        assert_eq!(stime("7 (kiln) S 1"), None);
    }

    #[test]
    fn work_takes_time_of_both_kinds() {
        let begun = Moment::now();
        let mut sum = 0_u64;
        while begun.wall.elapsed() < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let passed = Moment::now().since(&begun);
        assert!(passed.wall >= 0.02 && (cfg!(not(unix)) || passed.processor > 0.005), "{passed:?}");
    }
}
