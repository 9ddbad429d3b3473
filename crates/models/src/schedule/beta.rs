//! The beta scheduler: time steps at the quantiles of a beta distribution (arXiv 2407.12173).

use super::table::Levels;

/// Levels at the quantiles of Beta(a, b), equal neighbours once, then 0.
pub(super) fn sigmas(model: &Levels, n: usize, a: f64, b: f64) -> Vec<f32> {
    let table = model.sigmas();
    let last = (table.len() - 1) as f64;
    let mut sigmas = Vec::with_capacity(n + 1);
    let mut previous = None;
    for i in 0..n {
        let p = 1.0 - i as f64 / n as f64;
        let index = (quantile(p, a, b) * last).round_ties_even() as usize;
        if previous != Some(index) {
            sigmas.push(table[index.min(table.len() - 1)]);
        }
        previous = Some(index);
    }
    sigmas.push(0.0);
    sigmas
}

/// The inverse of the regularised incomplete beta function, by bisection: 60 halvings reach f64's resolution.
pub(super) fn quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if cumulative(middle, a, b) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function I_x(a, b) by its continued fraction (Numerical Recipes 6.4).
fn cumulative(x: f64, a: f64, b: f64) -> f64 {
    let ln_front = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    if x < (a + 1.0) / (a + b + 2.0) {
        ln_front.exp() * fraction(x, a, b) / a
    } else {
        1.0 - ln_front.exp() * fraction(1.0 - x, b, a) / b
    }
}

/// Lentz's evaluation of the continued fraction.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep_off_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / keep_off_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..400 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = value;
        for term in [even, odd] {
            d = 1.0 / keep_off_zero(1.0 + term * d);
            c = keep_off_zero(1.0 + term / c);
            value *= d * c;
        }
        if (value / before - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// Natural logarithm of the gamma function for x > 0 (Lanczos, g = 7, nine coefficients).
fn ln_gamma(x: f64) -> f64 {
    const LANCZOS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum = LANCZOS.iter().enumerate().fold(0.999_999_999_999_809_9, |s, (i, c)| s + c / (x + i as f64 + 1.0));
    let t = x + 7.5;
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_symmetric_distribution_mirror() {
        assert!((quantile(0.5, 0.6, 0.6) - 0.5).abs() < 1e-12);
        assert!((quantile(0.1, 0.6, 0.6) + quantile(0.9, 0.6, 0.6) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_arcsine_distribution_has_its_closed_form() {
        // Beta(1/2, 1/2): the quantile of p is sin²(pi p / 2).
        let expected = (std::f64::consts::FRAC_PI_2 * 0.3).sin().powi(2);
        assert!((quantile(0.3, 0.5, 0.5) - expected).abs() < 1e-12);
    }
}
