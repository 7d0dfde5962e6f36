//! The honest sentence: what can be found out at this traffic, how soon, and what cannot. It is a limit of information.

use super::accept;
use super::cusum::Terms;

/// Slower than this nobody waits for it, minutes.
const LONGEST_MIN: f64 = 24.0 * 60.0;

/// Minutes until the alarm when so large a share of requests fails; none when it is never told from health.
pub fn minutes_to_alarm(terms: &Terms, per_minute: f64, share: f64) -> Option<f64> {
    let gain = mean_evidence(terms, per_minute, share);
    (gain > 0.0).then(|| (terms.alarm() as f64 / gain).max(8.0)).filter(|minutes| *minutes <= LONGEST_MIN)
}

/// Requests that it takes to tell the breach from health.
pub fn requests_to_tell(terms: &Terms) -> f64 {
    let (failure, success) = (terms.failure() as f64, terms.success() as f64);
    terms.alarm() as f64 / (terms.breach * failure + (1.0 - terms.breach) * success)
}

/// The mean evidence of a tick, with its cap, where requests and failures come at random.
fn mean_evidence(terms: &Terms, per_minute: f64, share: f64) -> f64 {
    let (bad, good) = (per_minute * share, per_minute * (1.0 - share));
    let (bad, good) = (shares(bad), shares(good));
    let mut sum = 0.0;
    for (errors, how_often) in &bad {
        for (successes, as_often) in &good {
            sum += how_often * as_often * terms.evidence(errors + successes, *errors) as f64;
        }
    }
    sum
}

/// How often each number comes, for a mean number of events; what is rarer than one in a million is left out.
fn shares(mean: f64) -> Vec<(u64, f64)> {
    if mean > 200.0 {
        return vec![(mean.round() as u64, 1.0)];
    }
    let mut share = (-mean).exp();
    let mut found = Vec::new();
    for number in 0..1000_u32 {
        if share > 1e-6 {
            found.push((u64::from(number), share));
        } else if f64::from(number) > mean {
            break;
        }
        share *= mean / f64::from(number + 1);
    }
    found
}

/// What can be found out at so many requests per minute, in words for the person who decides.
pub fn sentence(terms: &Terms, per_minute: f64, limit: f64) -> String {
    if per_minute <= 0.0 {
        return "No request was counted yet: error rates cannot be judged at all, only a total outage shows (by direct \
                probes, in about a minute). Let synthetic requests run, or somebody click."
            .into();
    }
    let named = |share: f64| format!("{} %", trimmed(share * 100.0));
    let when = |share: f64| match minutes_to_alarm(terms, per_minute, share) {
        Some(minutes) => format!("{} failing in about {}", named(share), spoken(minutes)),
        None => format!("{} failing not at all", named(share)),
    };
    let needed = requests_to_tell(terms);
    let enough = accept::requests_needed(0, limit);
    format!(
        "At {} requests a minute: a total outage shows in about a minute (direct probes); {}, {}, {}, {}. To tell {} \
         from {} takes about {:.0} requests, here {}. To accept the window takes {enough} requests without an error, here {}.",
        trimmed(per_minute),
        when(0.5),
        when(0.1),
        when(terms.breach),
        when(2.0 * terms.healthy),
        named(terms.breach),
        named(terms.healthy),
        needed,
        spoken(needed / per_minute),
        spoken(enough as f64 / per_minute),
    )
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn spoken(minutes: f64) -> String {
    match minutes {
        few if few < 1.0 => "less than a minute".into(),
        few if few < 120.0 => format!("{few:.0} min"),
        many if many < 48.0 * 60.0 => format!("{:.1} h", many / 60.0),
        many => format!("{:.0} days", many / 1440.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_near_those_that_were_measured() {
        // Requests per minute, share, median minutes as simulated.
        let measured =
            [(1, 0.5, 22.0), (1, 0.1, 118.0), (6, 0.1, 26.0), (6, 0.05, 70.0), (60, 0.05, 13.0), (60, 0.5, 7.0)];
        for (rate, share, median) in measured {
            let terms = Terms::new(0.01, 0.05, rate * 1440);
            let minutes = minutes_to_alarm(&terms, rate as f64, share).unwrap();
            assert!((minutes - median).abs() <= 0.25 * median, "{rate}/min {share}: {minutes:.1} against {median}");
        }
        assert!((requests_to_tell(&Terms::new(0.01, 0.05, 1440)) - 343.0).abs() < 2.0);
    }

    #[test]
    fn it_says_what_cannot_be_seen() {
        let said = sentence(&Terms::new(0.01, 0.05, 8640), 6.0, 0.01);
        assert!(said.contains("2 % failing not at all"), "{said}");
        assert!(said.contains("299 requests without an error, here 50 min"), "{said}");
        assert!(sentence(&Terms::new(0.01, 0.05, 0), 0.0, 0.01).contains("cannot be judged"));
    }
}
