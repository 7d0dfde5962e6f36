//! Durations, sizes and shares as people write them: "1m30s", "5GiB", "0.5%". A number without its unit is an error.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

impl Size {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, unit) in SIZES {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(formatter, "{}{name}", self.0 / unit);
            }
        }
        write!(formatter, "{}B", self.0)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A share of a whole, as a ratio: `Percent(0.05)` is 5 %.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Percent(pub f64);

impl Percent {
    /// The ratio, from 0.0 to 1.0.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 0.07 * 100 is 7.000000000000001: nine digits are more than anyone wrote, and fewer than the noise.
        let text = format!("{:.9}", self.0 * 100.0);
        write!(formatter, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Binary units stand before the decimal ones, so that a size is shown in the unit it was most likely written in.
const SIZES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
];

/// From large to small: that is also the order in which the parts of a duration are written.
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// How a duration is written; said wherever one is refused.
pub const DURATION_FORM: &str = "a duration such as \"30s\", \"1m30s\", \"2h\" (units: ms, s, m, h, d)";
/// How a size is written; said wherever one is refused.
pub const SIZE_FORM: &str = "a size such as \"5GiB\" or \"500MB\" (units: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)";
/// How a share is written; said wherever one is refused.
pub const PERCENT_FORM: &str = "a share such as \"5%\" or \"0.5%\"";

/// Reads a duration: whole numbers, each with its unit, the larger unit first, none twice.
///
/// # Errors
/// A hint for the one who wrote it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = DURATIONS.iter();
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        let Some((_, scale)) = units.find(|(name, _)| *name == unit) else {
            return Err(if DURATIONS.iter().any(|(name, _)| *name == unit) {
                format!("unit {unit:?} comes once, and after the larger units")
            } else {
                format!("unit {} is not known; write ms, s, m, h or d", super::problem::quote(unit))
            });
        };
        total = number.checked_mul(*scale).and_then(|part| total.checked_add(part)).ok_or("it is too long to count")?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Splits `1m30s` into 1, `m` and `30s`.
fn part(text: &str) -> Result<(u64, &str, &str), String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err("write whole numbers, each followed by its unit, without spaces".to_owned());
    }
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    if unit.is_empty() {
        return Err(format!("a number needs its unit: \"{number}s\", \"{number}m\" or \"{number}h\"?"));
    }
    let number = number.parse().map_err(|_| "the number is too large".to_owned())?;
    Ok((number, unit, after))
}

/// Writes a duration as [`parse_duration`] reads it; parts of a millisecond are left out.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, scale) in DURATIONS {
        if rest >= scale {
            text.push_str(&format!("{}{name}", rest / scale));
            rest %= scale;
        }
    }
    text
}

/// Reads a size: one whole number and its unit, `B` to `TiB`.
///
/// # Errors
/// A hint for the one who wrote it.
pub fn parse_size(text: &str) -> Result<Size, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("write a whole number followed by its unit, without spaces".to_owned());
    }
    if unit.is_empty() {
        return Err(format!("a number needs its unit: \"{number}MiB\" or \"{number}GiB\"?"));
    }
    let scale =
        SIZES.iter().chain(&[("B", 1)]).find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or_else(|| {
            format!("unit {} is not known; write B, KB, MB, GB, TB, KiB, MiB, GiB or TiB", super::problem::quote(unit))
        })?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale))
        .map(Size)
        .ok_or_else(|| "it is too large to count".to_owned())
}

/// Reads a share of a whole, `0%` to `100%`.
///
/// # Errors
/// A hint for the one who wrote it.
pub fn parse_percent(text: &str) -> Result<Percent, String> {
    let Some(number) = text.strip_suffix('%') else {
        return Err("end it with a percent sign, so that 0.05 and 5 cannot be mixed up".to_owned());
    };
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    match number.parse::<f64>() {
        Ok(value) if plain && value <= 100.0 => Ok(Percent(value / 100.0)),
        Ok(_) if plain => Err("it is more than the whole".to_owned()),
        _ => Err("write a number before the percent sign, without spaces".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, millis) in [
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("24h", 86_400_000),
            ("500ms", 500),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn durations_that_could_mean_two_things_are_refused() {
        for text in [
            "",
            "30",
            "1m30",
            "s",
            "30 s",
            " 30s",
            "30S",
            "-5s",
            "1.5h",
            "30s1m",
            "1s1s",
            "5 minutes",
            "5min",
            "99999999999999999999s",
            "9999999999999999d",
            "1h30",
            "½h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration("30").unwrap_err().contains("\"30s\""));
    }

    #[test]
    fn sizes_are_read_as_written() {
        for (text, bytes) in
            [("5GiB", 5 << 30), ("500MB", 500_000_000), ("1TiB", 1 << 40), ("1KB", 1000), ("0B", 0), ("1023B", 1023)]
        {
            assert_eq!(parse_size(text), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "5", "5G", "5gib", "GiB", "5 GiB", "-1GiB", "1.5GiB", "99999999999TiB", "5GiB "] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_read_as_written() {
        assert_eq!(parse_percent("5%"), Ok(Percent(0.05)));
        assert_eq!(parse_percent("0.5%"), Ok(Percent(0.005)));
        assert_eq!(parse_percent("100%"), Ok(Percent(1.0)));
        for text in ["", "%", "5", "0.05", "5 %", "-1%", "101%", "nan%", "inf%", "1e1%", "1.2.3%", ".%"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
        assert_eq!(Percent(0.07).to_string(), "7%");
        assert_eq!(Percent(0.005).to_string(), "0.5%");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0u64..10_000_000_000, bytes: u64, share in 0u32..=100_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&Size(bytes).to_string()), Ok(Size(bytes)));
            let percent = Percent(f64::from(share) / 100_000.0);
            let read = parse_percent(&percent.to_string()).unwrap();
            prop_assert!((read.0 - percent.0).abs() < 1e-12);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (parse_duration(&text), parse_size(&text), parse_percent(&text));
        }
    }
}
