//! Quantities as people read them.

use std::time::Duration;

use crate::moment::Moment;

/// A duration in its two largest units: `42s`, `3m12s`, `2h5m`, `4d`; below a second in `ms`.
pub(crate) fn duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    let Some(first) = UNITS.iter().position(|(size, _)| seconds >= *size) else {
        return match duration.as_millis() {
            0 => "0s".to_owned(),
            millis => format!("{millis}ms"),
        };
    };
    let (size, name) = UNITS[first];
    let mut text = format!("{}{name}", seconds / size);
    if let Some((smaller, name)) = UNITS.get(first + 1) {
        let rest = seconds % size / smaller;
        if rest > 0 {
            text += &format!("{rest}{name}");
        }
    }
    text
}

/// How long ago something was, in milliseconds; `None` when it never was.
pub(crate) fn ago(ms: Option<u64>) -> String {
    match ms {
        None => "never".to_owned(),
        Some(0..1000) => "now".to_owned(),
        Some(ms) => format!("{} ago", duration(Duration::from_millis(ms))),
    }
}

/// How long ago something was that happened at `at_ms`, in milliseconds since the Unix epoch, by this host's
/// clock. What clocks that differ put into the future was now.
pub(crate) fn since(at_ms: u64) -> String {
    ago(Some(Moment::now().ms.saturating_sub(at_ms)))
}

/// In how long something is that happens at `at_ms`, in milliseconds since the Unix epoch.
pub(crate) fn until(at_ms: u64) -> String {
    match at_ms.saturating_sub(Moment::now().ms) {
        0..1000 => "now".to_owned(),
        left => format!("in {}", duration(Duration::from_millis(left))),
    }
}

/// A count of bytes, in the powers of 1024 that `wg` uses.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths in integers: exact where a float would round 1023.95 up to 1024.0.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A round trip in milliseconds, from microseconds, as `ping` writes it.
pub(crate) fn millis(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// A round trip for a table: three digits are enough.
pub(crate) fn rtt(us: Option<u64>) -> String {
    match us {
        None => super::NOTHING.to_owned(),
        Some(us @ 0..100_000) => format!("{}.{}ms", us / 1000, us % 1000 / 100),
        Some(us) => format!("{}ms", us / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        for (ms, text) in [
            (0, "0s"),
            (420, "420ms"),
            (42_000, "42s"),
            (192_000, "3m12s"),
            (600_000, "10m"),
            (7_500_000, "2h5m"),
            (345_600_000, "4d"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(ago(None), "never");
        assert_eq!(ago(Some(12_345)), "12s ago");
    }

    #[test]
    fn bytes_grow_by_powers_of_1024() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (104_857_600, "100.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn round_trips_are_milliseconds() {
        assert_eq!(millis(421), "0.421");
        assert_eq!(millis(12_003), "12.003");
        assert_eq!(rtt(Some(421)), "0.4ms");
        assert_eq!(rtt(Some(250_900)), "250ms");
        assert_eq!(rtt(None), "-");
    }
}
