//! Points in time as people write them: RFC 3339, always shown in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) ms: u64,
}

impl Moment {
    /// Now, by this host's clock.
    pub(crate) fn now() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// To the second, in UTC. Where the calendar ends, some 260,000 years from now, only that it is later.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = i64::try_from(self.ms).ok().and_then(DateTime::from_timestamp_millis);
        let (after, at) = match known {
            Some(at) => ("", at),
            None => ("after ", DateTime::<Utc>::MAX_UTC),
        };
        write!(f, "{after}{}", at.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// How long a date is that stands for its midnight in UTC: `2026-11-21`.
const DATE: usize = 10;

/// A leap second is taken as the first of the next minute, and what is finer than a millisecond cut off.
impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = match text.len() {
            DATE => DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")),
            _ => DateTime::parse_from_rfc3339(text),
        };
        let ms = read.ok().and_then(|at| u64::try_from(at.timestamp_millis()).ok());
        ms.map(|ms| Self { ms }).ok_or_else(|| {
            "write a time such as 2026-11-21T22:00:00Z or 2026-11-21, or how long ago, such as 1h"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS_PER_DAY: u64 = 86_400_000;

    fn ms(text: &str) -> Result<u64, String> {
        text.parse::<Moment>().map(|moment| moment.ms)
    }

    #[test]
    fn moments_read_as_they_are_shown() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_800_000_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Moment { ms: at }.to_string(), text);
            assert_eq!(ms(text), Ok(at));
        }
        for day in 0..200_000 {
            let moment = Moment { ms: day * MS_PER_DAY };
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }

    #[test]
    fn no_moment_is_too_late_to_be_shown() {
        assert_eq!(Moment { ms: 253_402_300_799_999 }.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Moment { ms: 253_402_300_800_000 }.to_string(), "+10000-01-01T00:00:00Z");
        for ms in [i64::MAX as u64, u64::MAX] {
            assert_eq!(Moment { ms }.to_string(), "after +262142-12-31T23:59:59Z");
        }
    }

    #[test]
    fn offsets_and_fractions_count() {
        let noon = ms("2026-11-21T12:00:00Z").expect("a time");
        assert_eq!(ms("2026-11-21T13:30:00+01:30"), Ok(noon));
        assert_eq!(ms("2026-11-21t10:00:00-02:00"), Ok(noon));
        assert_eq!(ms("2026-11-21 12:00:00.25z"), Ok(noon + 250));
        assert_eq!(ms("2026-11-21"), Ok(noon - MS_PER_DAY / 2));
        assert_eq!(ms("2016-12-31T23:59:60Z"), ms("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "now",
            "2026",
            "2026-11",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-11-00",
            "1969-12-31",
            "1969-12-31T23:59:59.9999Z",
            "1970-01-01T00:00:00+00:01",
            "2026-11-21T",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:60:00Z",
            "2026-11-21T12:00:61Z",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00+1:00",
            "2026-11-21T12:00:00+24:00",
            "2026-11-21T12:00:00+01:60",
            "2026-11-21T12:00:00Z ",
            "+026-11-21",
            "2026-11-2 ",
            "20261121T120000Z",
            "2026-11-2\u{661}",
        ] {
            assert!(ms(bad).is_err(), "{bad}");
        }
    }
}
