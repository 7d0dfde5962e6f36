//! Acceptance: the window is accepted only when enough was observed and enough was asked; silence proves nothing.

use serde::{Deserialize, Serialize};

/// How sure the bound is: in at most 5 of 100 worlds the true share is above it.
const DOUBT: f64 = 0.05;

/// What was seen in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Observed minutes; unknown ones are not among them.
    pub observed_min: u64,
    /// Requests.
    pub requests: u64,
    /// Failed ones.
    pub errors: u64,
}

/// Whether the window can be accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// Yes: the true share of errors is at most this, with 95 % confidence.
    Accepted {
        /// The bound.
        bound: f64,
    },
    /// The window is not over: so many observed minutes are missing.
    TooEarly {
        /// Minutes.
        minutes: u64,
    },
    /// It is over, but too little was asked: so many more requests without an error are needed.
    TooLittle {
        /// Requests.
        requests: u64,
        /// What is known so far.
        bound: f64,
    },
}

/// Judges the evidence: `window_min` observed minutes, and an upper bound of the error share of at most `limit`.
pub fn judge(evidence: &Evidence, window_min: u64, limit: f64) -> Acceptance {
    if evidence.observed_min < window_min {
        return Acceptance::TooEarly { minutes: window_min - evidence.observed_min };
    }
    let bound = upper_bound(evidence.requests, evidence.errors);
    if bound <= limit {
        return Acceptance::Accepted { bound };
    }
    let needed = requests_needed(evidence.errors, limit);
    Acceptance::TooLittle { requests: needed.saturating_sub(evidence.requests), bound }
}

/// The one-sided 95 % Clopper-Pearson upper bound of the share of errors. Without a request it is 1.
pub fn upper_bound(requests: u64, errors: u64) -> f64 {
    if errors >= requests {
        return 1.0;
    }
    let (errors, good) = (errors as f64, (requests - errors) as f64);
    let (mut low, mut high) = (0.0, 1.0);
    // P(X <= e; n, p) = I_{1-p}(n-e, e+1), which falls as p grows.
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if beta(good, errors + 1.0, 1.0 - middle) > DOUBT { low = middle } else { high = middle }
    }
    high
}

/// How many requests with so many errors make the bound at most `limit`.
pub fn requests_needed(errors: u64, limit: f64) -> u64 {
    let (mut low, mut high) = (errors, errors.max(1) * 2);
    while upper_bound(high, errors) > limit {
        if high > 1 << 50 {
            return high;
        }
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if upper_bound(middle, errors) > limit { low = middle } else { high = middle }
    }
    high
}

/// The regularized incomplete beta function, by its continued fraction (Lentz).
fn beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut sum = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / kept(1.0 + even * d);
        c = kept(1.0 + even / c);
        sum *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / kept(1.0 + odd * d);
        c = kept(1.0 + odd / c);
        sum *= d * c;
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    sum
}

/// The logarithm of the gamma function for positive numbers: Stirling's series, shifted to where it is exact.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 15.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_numbers_of_the_design_come_out() {
        assert_eq!([0, 1, 2].map(|errors| requests_needed(errors, 0.01)), [299, 473, 628]);
    }

    #[test]
    fn without_an_error_the_bound_has_a_closed_form() {
        for requests in [1_u64, 10, 299, 8640, 1_000_000] {
            let expected = 1.0 - DOUBT.powf(1.0 / requests as f64);
            let bound = upper_bound(requests, 0);
            assert!((bound - expected).abs() < 1e-10 * expected.max(1e-3), "{requests}: {bound} {expected}");
        }
        assert!((upper_bound(0, 0) - 1.0).abs() < f64::EPSILON, "who was never asked proves nothing");
    }

    #[test]
    fn a_day_of_enough_requests_is_accepted_and_a_quiet_one_is_not() {
        let of = |observed_min, requests, errors| judge(&Evidence { observed_min, requests, errors }, 1440, 0.01);
        assert!(matches!(of(1440, 8640, 40), Acceptance::Accepted { bound } if bound < 0.0062));
        assert_eq!(of(1400, 8640, 40), Acceptance::TooEarly { minutes: 40 });
        assert!(matches!(of(1440, 100, 0), Acceptance::TooLittle { requests: 199, .. }));
        assert!(matches!(of(1440, 0, 0), Acceptance::TooLittle { requests: 299, .. }));
        assert!(matches!(of(1440, 400, 1), Acceptance::TooLittle { requests: 73, .. }));
    }

    fn tail(requests: u64, errors: u64, p: f64) -> f64 {
        let mut term = (1.0 - p).powf(requests as f64);
        let mut sum = term;
        for k in 1..=errors {
            term *= (requests - k + 1) as f64 / k as f64 * p / (1.0 - p);
            sum += term;
        }
        sum
    }

    proptest! {
        #[test]
        fn at_the_bound_so_few_errors_are_seen_once_in_twenty_worlds(requests in 1u64..1500, share in 0.0f64..0.3) {
            let errors = (requests as f64 * share) as u64;
            let bound = upper_bound(requests, errors);
            if bound < 0.37 {
                prop_assert!((tail(requests, errors, bound) - DOUBT).abs() < 1e-6, "{} {}", bound, tail(requests, errors, bound));
            }
        }

        #[test]
        fn more_errors_never_look_better(requests in 1u64..1_000_000, errors in 0u64..1000) {
            prop_assert!(upper_bound(requests, errors) <= upper_bound(requests, errors + 1));
        }
    }
}
