//! How numbers, lists and times are said.

use std::net::SocketAddr;

use super::seen::{Server, Values};

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    let all: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match all.as_slice() {
        [] => "nothing".into(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Values, shortened where one is long.
pub(super) fn values(values: &Values) -> String {
    list(values.iter().map(|value| match value.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.clone(),
    }))
}

/// Seconds as people say them, rounded up: who waits that long has waited long enough.
pub fn spoken(seconds: u64) -> String {
    match seconds {
        0..=120 => format!("{seconds} s"),
        121..=7_200 => format!("{} min", seconds.div_ceil(60)),
        7_201..=172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

/// A moment, as `2026-11-21 14:05 UTC`, rounded up to the minute.
pub fn moment(seconds: u64) -> String {
    let whole = i64::try_from(seconds.div_ceil(60) * 60).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(whole).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// An address; the port is said only where it is not DNS's own.
pub fn address(address: SocketAddr) -> String {
    if address.port() == 53 { address.ip().to_string() } else { address.to_string() }
}

/// A server with its name.
pub(super) fn server(server: &Server) -> String {
    format!("{} ({})", server.name, address(server.address))
}

/// `authority` in the number that is meant.
pub(super) fn authorities(count: usize) -> &'static str {
    if count == 1 { "authority" } else { "authorities" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_times_and_moments_are_said_as_people_say_them() {
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
        assert_eq!([60, 121, 3_599, 7_201, 200_000].map(spoken), ["60 s", "3 min", "60 min", "3 h", "3 days"]);
        assert_eq!(moment(1_795_262_401), "2026-11-21 12:01 UTC");
        assert_eq!(address("192.0.2.1:53".parse().unwrap()), "192.0.2.1");
        assert_eq!(address("[::1]:5353".parse().unwrap()), "[::1]:5353");
    }
}
